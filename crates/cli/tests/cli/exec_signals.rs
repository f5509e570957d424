//! Signals under `exec`: the program gets them, and its end is ours.

use std::{fs, process::Command};

use rustix::process::Signal;

use crate::support::{Home, Started, Sts, role};

const SIGNALS: [(Signal, &str, i32); 6] = [
    (Signal::TERM, "TERM", 15),
    (Signal::HUP, "HUP", 1),
    (Signal::INT, "INT", 2),
    (Signal::QUIT, "QUIT", 3),
    (Signal::USR1, "USR1", 10),
    (Signal::USR2, "USR2", 12),
];

fn exec(home: &Home, sts: &Sts, script: &str) -> Started {
    let words = ["exec", "--role-arn", &role("demo"), "--", "sh", "-c", script];
    let mut started = home.rolekeeper(words).at(sts).start();
    assert_eq!(started.line().as_deref(), Some("begun"));
    started
}

#[test]
fn a_signal_reaches_the_program_once() {
    let (home, sts) = (Home::new(), Sts::start());
    for (signal, name, _) in SIGNALS {
        let script = format!(
            "trap 'echo {name}; trap - {name}; exit 7' {name}; echo begun; while :; do sleep 0.02; done"
        );
        let started = exec(&home, &sts, &script);
        started.signal(signal);
        let (status, stdout, stderr) = started.output();
        assert_eq!(status.code(), Some(7), "{name}: {stderr}");
        assert_eq!(stdout, format!("{name}\n"));
        assert_eq!(fs::read_dir(home.temporary()).unwrap().count(), 0, "{name}");
    }
}

#[test]
fn a_program_that_dies_of_the_signal_gives_128_and_its_number() {
    let (home, sts) = (Home::new(), Sts::start());
    for (signal, name, number) in SIGNALS {
        let started = exec(&home, &sts, "echo begun; exec sleep 600");
        started.signal(signal);
        let (status, _, stderr) = started.output();
        assert_eq!(status.code(), Some(128 + number), "{name}: {stderr}");
        assert_eq!(fs::read_dir(home.temporary()).unwrap().count(), 0, "{name}");
    }
}

#[test]
fn a_program_that_ignores_a_signal_goes_on_and_keeps_its_credentials() {
    let (home, sts) = (Home::new(), Sts::start());
    let script = "trap 'echo asked' TERM; echo begun; while ! [ -e enough ]; do sleep 0.02; done";
    let mut started = exec(&home, &sts, script);
    for _ in 0..3 {
        started.signal(Signal::TERM);
        assert_eq!(started.line().as_deref(), Some("asked"));
        assert!(!started.has_ended());
    }
    home.file("enough", "");
    let (status, _, stderr) = started.output();
    assert!(status.success(), "{stderr}");
}

/// Runs `script` under exec on a terminal of its own, presses Ctrl-C once it has begun, and returns
/// what is seen.
fn on_a_terminal(home: &Home, sts: &Sts, redirection: &str, script: &str) -> Option<String> {
    // `script` (util-linux) gives a program a terminal.
    if !std::path::Path::new("/usr/bin/script").exists() {
        eprintln!("skipped: no `script` here to make a terminal with");
        return None;
    }
    let invocation = home.rolekeeper([""; 0]).at(sts).into_command();
    let inner = format!(
        "{} exec --role-arn {} -- sh -c '{script}' {redirection}; echo ended with $?",
        env!("CARGO_BIN_EXE_rolekeeper"),
        role("demo"),
    );
    let mut command = Command::new("/usr/bin/script");
    // `trap` lets the shell between outlive Ctrl-C and say how exec ended.
    let inner = format!("trap : INT; {inner}");
    command.args(["-qefc", &inner, "/dev/null"]).env_clear().current_dir(home.path());
    command.envs(invocation.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("SHELL", "/bin/sh");
    let mut started = Started::of(command.stdin(std::process::Stdio::piped()));
    loop {
        let line = started.line().expect("it begins");
        if line.trim_end() == "begun" {
            break;
        }
    }
    std::io::Write::write_all(started.stdin(), b"\x03").unwrap();
    let (_, stdout, _) = started.output();
    Some(stdout.replace('\r', ""))
}

/// Counts for a moment after the first, so that a second one shows.
const COUNT: &str = r#"n=0; trap "n=\$((n+1)); echo \$n >> interrupts" INT; echo begun; while [ $n = 0 ]; do sleep 0.02; done; for i in 1 2 3 4 5 6 7 8; do sleep 0.05; done; exit 9"#;

#[test]
fn ctrl_c_reaches_the_program_once_and_it_decides_how_to_end() {
    let (home, sts) = (Home::new(), Sts::start());
    let Some(seen) = on_a_terminal(&home, &sts, "", COUNT) else { return };
    assert!(seen.contains("ended with 9"), "{seen}");
    assert_eq!(fs::read_to_string(home.path().join("interrupts")).unwrap(), "1\n");
}

#[test]
fn ctrl_c_reaches_a_program_once_whose_stdin_is_a_file() {
    let (home, sts) = (Home::new(), Sts::start());
    let Some(seen) = on_a_terminal(&home, &sts, "< /dev/null", COUNT) else { return };
    assert!(seen.contains("ended with 9"), "{seen}");
    assert_eq!(fs::read_to_string(home.path().join("interrupts")).unwrap(), "1\n");
}

#[test]
fn ctrl_c_that_kills_the_program_gives_130() {
    let (home, sts) = (Home::new(), Sts::start());
    let Some(seen) = on_a_terminal(&home, &sts, "", "echo begun; exec sleep 600") else { return };
    assert!(seen.contains("ended with 130"), "{seen}");
    assert_eq!(fs::read_dir(home.temporary()).unwrap().count(), 0);
}
