//! Each command that there is, at its most talkative, where all goes well.

use std::collections::BTreeSet;

use rustix::process::Signal;

use super::{
    Known, Tap,
    files::{assert_none_in_files, with_store_key},
    talkative,
};
use crate::support::{
    ANY_PORT, Agent, Home, Invocation, Sts, USER_SECRET, home_with_profiles, role,
};

/// What is printed by whose job it is to print a session.
const A_SESSION: &[&str] = &["a session's secret key", "a session token"];

/// All but those that run until they are told to end, with what belongs on their stdout.
fn commands() -> Vec<(Vec<&'static str>, &'static [&'static str])> {
    let mut all: Vec<(Vec<_>, &[&str])> = vec![
        (vec!["exec", "--profile", "etl", "--", "true"], &[]),
        (vec!["exec", "--profile", "etl", "--env", "--", "true"], &[]),
        (vec!["exec", "--profile", "etl", "--imds", "--", "true"], &[]),
        (vec!["serve", "--profile", "etl", "--check"], &[]),
        (vec!["status"], &[]),
        (vec!["status", "--json"], &[]),
        (vec!["write", "--profile", "etl", "--once"], &[]),
        (vec!["credential-process", "--profile", "etl", "--no-agent"], A_SESSION),
        (vec!["credential-process", "--profile", "etl"], A_SESSION),
        (vec!["export", "--profile", "etl", "--aws-cache", "write"], A_SESSION),
        (vec!["whoami", "--profile", "etl"], &[]),
        (vec!["cache", "list"], &[]),
        (vec!["cache", "clear"], &[]),
        (vec!["doctor", "--profile", "etl"], &[]),
        (vec!["doctor", "--profile", "etl", "--json"], &[]),
        (vec!["simulate", "--workers", "10", "--hours", "1"], &[]),
        (vec!["completions", "bash"], &[]),
    ];
    for format in ["env", "env-no-export", "json", "powershell", "windows-cmd", "fish"] {
        all.push((vec!["export", "--profile", "etl", "--format", format], A_SESSION));
    }
    all
}

/// Those that run until they are told to end, or for so long that it is done beside the others.
const OTHERS: [&str; 2] = ["demo", "sandbox"];

#[test]
fn no_command_that_goes_well_shows_a_secret() {
    let help = Home::new().rolekeeper(["--help"]).run().expect(0).stdout;
    let listed = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let listed = listed.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let listed: BTreeSet<_> = listed.filter_map(|line| line.split_whitespace().next()).collect();
    let tried = commands().into_iter().map(|(words, _)| words[0]).chain(OTHERS).chain(["help"]);
    assert_eq!(tried.collect::<BTreeSet<_>>(), listed, "all there are");

    let (home, sts) = (home_with_profiles(&["etl"]), Sts::start());
    let tap = Tap::before(&sts);
    let call = |words: &[&str]| tap.under(talkative(home.rolekeeper(words).at_endpoint(&sts)));
    let agent = Agent::of(&home, call(&["serve", "-vv", "--profile", "etl", "--listen", ANY_PORT]));
    let mut known = Known::default()
        .and("the user's secret key", USER_SECRET)
        .and("the endpoint's token", &agent.token("etl"));
    let mut told = Vec::new();
    for (words, shown) in commands() {
        let ran = call(&[&["-vv"], &words[..]].concat()).that_shows_secrets().run().expect(0);
        known = tap.known(&known);
        let what = |found: &super::forms::Found| !shown.contains(&found.what);
        let found: Vec<_> = known.found_in(ran.stdout.as_bytes());
        let found: Vec<_> = found.into_iter().filter(what).collect();
        assert_eq!(found, [], "stdout of {words:?}");
        known.assert_none_in(&ran.stderr, format!("stderr of {words:?}"));
        told.push((words, ran.stdout, ran.stderr, shown));
    }
    let (_, stderr) = agent.end(Signal::TERM);
    known.assert_none_in(&stderr, "stderr of the agent");
    // A session may have been told before it was known.
    known = with_store_key(tap.known(&known), &home);
    for (words, stdout, stderr, shown) in told {
        let place = format!("what {words:?} tells");
        let shows = |what: &str| shown.contains(&what);
        if !shown.is_empty() {
            assert!(known.found_in(stdout.as_bytes()).iter().all(|found| shows(found.what)));
            assert_ne!(known.found_in(stdout.as_bytes()), [], "{words:?} prints a session");
        } else {
            known.assert_none_in(&stdout, &place);
        }
        known.assert_none_in(&stderr, &place);
    }
    let are_for_them = [
        // `write`'s job.
        ".aws/credentials",
        // `--aws-cache write` was asked for in so many words.
        ".aws/cli/cache",
        ".local/state/rolekeeper/tokens",
        super::files::STORE_KEY,
    ];
    assert_none_in_files(&known, &home, &are_for_them);
}

#[test]
fn a_demonstration_shows_no_secret() {
    let home = Home::new();
    let words = ["-vv", "demo", "--quick", "--readers", "2"];
    let ran = talkative(home.rolekeeper(words)).that_shows_secrets().run();
    let text = ran.stdout + &ran.stderr;
    assert!(text.contains("fetched a session"), "it tells something: {text}");
    // Its sandbox is within it, and its sessions are not known here; their beginning is.
    let known = Known::default()
        .and("the user's secret key", USER_SECRET)
        .and("the beginning of a session token", "IQoJb3JpZ2luX2VjIQoJ");
    known.assert_none_in(&text, "what it tells");
    assert!(!text.contains("IQoJ"), "it shows a session token");
    assert_none_in_files(&known, &home, &[]);
}

#[test]
fn a_sandbox_shows_its_keys_where_they_are_to_be_read_and_nowhere_else() {
    let home = Home::new();
    let sandbox: Invocation = talkative(home.rolekeeper(["-vv", "sandbox", "--json"]));
    let mut started = sandbox.start();
    let line = started.line().unwrap();
    let told: serde_json::Value = serde_json::from_str(&line).unwrap();
    let of = |name: &str| told[name].as_str().unwrap().to_owned();
    let known = Known::default()
        .and("the user's secret key", &of("AWS_SECRET_ACCESS_KEY"))
        .and("the admin token", &of("ROLEKEEPER_SANDBOX_TOKEN"));
    let whoami = home.rolekeeper(["-vv", "whoami", "--role-arn", &role("demo")]);
    let whoami = whoami
        .env("AWS_ENDPOINT_URL", of("AWS_ENDPOINT_URL"))
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", of("AWS_ACCESS_KEY_ID"))
        .env("AWS_SECRET_ACCESS_KEY", of("AWS_SECRET_ACCESS_KEY"));
    whoami.run().expect(0);
    started.signal(Signal::INT);
    let (_, stdout, stderr) = started.output();
    assert!((stdout.clone() + &stderr).contains("AssumeRole"), "it says what was called");
    known.assert_none_in(stdout + &stderr, "what it tells later");
    assert_none_in_files(&known, &home, &[]);
}
