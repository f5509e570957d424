//! What the system tells of processes to whoever may ask: environment and command line of `exec`,
//! of the program under it, and of `serve`.

use std::{collections::BTreeSet, fs};

use super::{Known, Tap, talkative};
use crate::support::{
    ANY_PORT, Agent, Sts, USER_SECRET, file_once_there, home_with_profiles, wait_for,
};

/// Writes its number down, then stays until stdin is closed.
const PROGRAM: &str =
    r#"echo $$ > "$HOME/pid.new" && mv "$HOME/pid.new" "$HOME/pid"; cat > /dev/null"#;

fn environ(pid: u32) -> Vec<u8> {
    fs::read(format!("/proc/{pid}/environ")).unwrap_or_default()
}

fn cmdline(pid: u32) -> Vec<u8> {
    fs::read(format!("/proc/{pid}/cmdline")).unwrap()
}

#[test]
fn exec_and_its_program_have_no_secret_in_environment_and_command_line() {
    if !fs::exists("/proc/self/environ").unwrap() {
        eprintln!("skipped: no /proc here");
        return;
    }
    let (home, sts) = (home_with_profiles(&["etl"]), Sts::start());
    let tap = Tap::before(&sts);
    let words = ["-vv", "exec", "--profile", "etl", "--", "sh", "-c", PROGRAM];
    let exec = tap.under(talkative(home.rolekeeper(words).at_endpoint(&sts)));
    let mut started = exec.start();
    let child: u32 = file_once_there(&home.path().join("pid")).trim().parse().unwrap();
    let known = tap.known(&Known::default().and("the user's secret key", USER_SECRET));
    for (pid, who) in [(started.pid(), "exec"), (child, "the program")] {
        known.assert_none_in(environ(pid), format!("environ of {who}"));
        known.assert_none_in(cmdline(pid), format!("cmdline of {who}"));
    }
    // Nothing but where to ask, and with what.
    let variables = String::from_utf8(environ(child)).unwrap();
    let names = variables.split('\0').filter_map(|line| line.split_once('='));
    let names: BTreeSet<_> = names.map(|(name, _)| name).collect();
    let credentials = [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_SECURITY_TOKEN",
        "AWS_PROFILE",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    ];
    let found: Vec<_> = credentials.into_iter().filter(|name| names.contains(name)).collect();
    assert_eq!(found, credentials[5..]);
    let token = variables
        .split('\0')
        .find_map(|line| line.strip_prefix("AWS_CONTAINER_AUTHORIZATION_TOKEN="));
    let known = known.and("the endpoint's token", token.unwrap());
    for bytes in [environ(started.pid()), cmdline(started.pid()), cmdline(child)] {
        known.assert_none_in(bytes, "what belongs to the program alone");
    }
    started.close_stdin();
    let (_, stdout, stderr) = started.output();
    known.assert_none_in(stdout + &stderr, "what exec tells");
}

#[test]
fn serve_has_no_secret_in_environment_and_command_line() {
    let (home, sts) = (home_with_profiles(&["etl"]), Sts::short_lived(super::agent::LIFETIME));
    let tap = Tap::before(&sts);
    let agent: Agent = super::agent::start(&home, &sts, &tap, "json");
    let first = agent.key_id("etl");
    wait_for("another session", || (agent.key_id("etl") != first).then_some(()));
    let known = Known::default()
        .and("the user's secret key", USER_SECRET)
        .and("the endpoint's token", &agent.token("etl"));
    let known = tap.known(&known);
    known.assert_none_in(environ(agent.pid()), "environ");
    known.assert_none_in(cmdline(agent.pid()), "cmdline");
    assert!(ANY_PORT.len() < cmdline(agent.pid()).len());
}
