//! Programs that read a credentials file which `write` keeps: each one starts, calls, and ends.

use std::process::Command;

use rustix::process::Signal;

use super::{job_length, program, script};
use crate::support::{Home, Sts, now, role, wait_for};

#[test]
#[ignore = "needs the virtual environment that `cargo xtask test` makes"]
fn short_lived_programs_never_find_an_ended_session_in_the_file() {
    let (home, sts) = (Home::new(), Sts::short_lived(10));
    let words = ["write", "--role-arn", &role("demo"), "--section", "etl-fresh"];
    let started = home.rolekeeper(words).at(&sts).start();
    let file = home.path().join(".aws/credentials");
    wait_for("the file", || file.exists().then_some(()));

    let environment = home.rolekeeper([""; 0]).at_endpoint(&sts).into_command();
    let (aws, python, whoami) = (program("aws"), program("python"), script("whoami.py"));
    let cli = [&aws[..], "sts", "get-caller-identity", "--query", "Arn", "--output", "text"];
    let (start, mut calls) = (now(), 0);
    while now().saturating_sub(start) < job_length() {
        for words in [&[&python[..], &whoami][..], &cli] {
            let mut client = Command::new(words[0]);
            client.args(&words[1..]).env_clear();
            client.envs(environment.get_envs().filter_map(|(name, value)| Some((name, value?))));
            client.env("AWS_DEFAULT_REGION", sts.region()).env("AWS_MAX_ATTEMPTS", "1");
            let output = client.env("AWS_PROFILE", "etl-fresh").output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let arn = String::from_utf8_lossy(&output.stdout);
            assert!(arn.contains("assumed-role/demo/"), "{arn}");
            calls += 1;
        }
    }
    started.signal(Signal::TERM);
    let (status, _, stderr) = started.output();
    assert!(status.success(), "{stderr}");
    let counts = sts.counts();
    println!("{calls} programs with {} sessions", counts.ok("AssumeRole"));
    assert_eq!((counts.ok("GetCallerIdentity"), counts.failed("GetCallerIdentity")), (calls, 0));
    assert!(counts.ok("AssumeRole") >= job_length().as_secs() / 10, "{counts:?}");
}
