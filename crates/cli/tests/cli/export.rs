//! `rolekeeper export`: read by the shells themselves, where they are installed.

use std::process::Command;

use crate::support::{Home, Ran, Sts, role};

const NAMES: [&str; 5] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_ACCOUNT_ID",
];

fn export(format: &str) -> Ran {
    let (home, sts) = (Home::new(), Sts::start());
    let words = ["export", "--role-arn", &role("demo"), "--format", format];
    home.rolekeeper(words).at(&sts).that_shows_secrets().run().expect(0)
}

/// The values that a shell sees after it has read `script`, in a process that it starts.
fn values_in(shell: &str, script: &str) -> Option<Vec<String>> {
    let print = NAMES.map(|name| format!("printenv {name}")).join("\n");
    let output = Command::new(shell)
        .args(["-c", &format!("{script}\n{print}")])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", "/nowhere")
        .output();
    let Ok(output) = output else {
        eprintln!("skipped: no {shell} here");
        return None;
    };
    assert!(output.status.success(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect())
}

/// `NAME=value` of each line, whatever stands around it.
fn assigned(text: &str, before: &str, between: &str, after: &str) -> Vec<String> {
    let values = NAMES.iter().map(|name| {
        let start = format!("{before}{name}{between}");
        let line = text.lines().find_map(|line| line.strip_prefix(&start));
        line.and_then(|line| line.strip_suffix(after)).unwrap_or_else(|| panic!("{name}: {text}"))
    });
    values.map(str::to_owned).collect()
}

#[track_caller]
fn assert_is_a_session(values: &[String]) {
    assert_eq!(values.len(), NAMES.len(), "{values:?}");
    assert!(values[0].starts_with("ASIA"), "{values:?}");
    assert_eq!(values[1].len(), 40);
    assert!(values[2].len() > 100);
    assert!(values[3].ends_with('Z'));
    assert_eq!(values[4], "123456789012");
}

#[test]
fn posix_shells_read_it() {
    let ran = export("env");
    let told = assigned(&ran.stdout, "export ", "='", "'");
    assert_is_a_session(&told);
    for shell in ["sh", "bash", "dash", "zsh", "ksh"] {
        if let Some(values) = values_in(shell, &ran.stdout) {
            assert_eq!(values, told, "{shell}");
        }
    }
}

#[test]
fn without_export_only_the_shell_itself_sees_it() {
    let ran = export("env-no-export");
    let told = assigned(&ran.stdout, "", "='", "'");
    assert_is_a_session(&told);
    let exporting = format!("set -a\n{}", ran.stdout);
    assert_eq!(values_in("sh", &exporting), Some(told));
}

#[test]
fn fish_reads_it() {
    let ran = export("fish");
    let told = assigned(&ran.stdout, "set -gx ", " '", "'");
    assert_is_a_session(&told);
    if let Some(values) = values_in("fish", &ran.stdout) {
        assert_eq!(values, told);
    }
}

#[test]
fn powershell_reads_it() {
    let ran = export("powershell");
    let told = assigned(&ran.stdout, "$Env:", "='", "'");
    assert_is_a_session(&told);
    if let Some(values) = values_in("pwsh", &ran.stdout) {
        assert_eq!(values, told);
    }
}

#[test]
fn cmd_gets_lines_without_quotes() {
    assert_is_a_session(&assigned(&export("windows-cmd").stdout, "set ", "=", ""));
}

#[test]
fn json_is_what_credential_process_prints() {
    for format in ["json", "process"] {
        assert_eq!(export(format).json()["Version"], 1);
    }
}

#[test]
fn what_is_exported_opens_what_the_role_opens() {
    let (home, sts) = (Home::new(), Sts::start());
    let words = ["export", "--role-arn", &role("demo"), "--role-session-name", "exported"];
    let ran = home.rolekeeper(words).at(&sts).that_shows_secrets().run().expect(0);
    let script = format!(
        "{}\n{} whoami --json --role-arn {}",
        ran.stdout,
        env!("CARGO_BIN_EXE_rolekeeper"),
        role("chained")
    );
    let environment = home.rolekeeper([""; 0]).at_endpoint(&sts).into_command();
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).env_clear();
    shell.envs(environment.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let exported = "arn:aws:sts::123456789012:assumed-role/demo/exported";
    assert_eq!(sts.counts().by_caller("AssumeRole", exported), 1);
}
