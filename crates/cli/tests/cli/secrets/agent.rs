//! An agent whose sessions are replaced every two or three seconds, before an STS that goes wrong.

use std::fs;

use rolekeeper_sandbox::Faults;
use rustix::process::Signal;

use super::{
    Known, Tap, faults,
    files::{STORE_KEY, assert_none_in_files, with_store_key},
    talkative,
};
use crate::support::{
    ANY_PORT, Agent, Home, Sts, USER_SECRET, home_with_profiles, invocation, wait_for,
};

/// Sessions of ten seconds, replaced every two or three.
pub(super) const LIFETIME: u64 = 10;

pub(super) fn start(home: &Home, sts: &Sts, tap: &Tap, format: &str) -> Agent {
    let mut arguments = vec!["--profile", "etl", "--listen", ANY_PORT, "--store", "file", "-vv"];
    arguments.extend(["--log", format]);
    let agent = Agent::of(home, tap.under(talkative(invocation(home, sts, &arguments))));
    wait_for_session(&agent, "etl");
    agent
}

/// The first may take longer than a request is held, on a machine that is busy.
pub(super) fn wait_for_session(agent: &Agent, role: &str) {
    wait_for("the first session", || (agent.get(role).status == 200).then_some(()));
}

/// So many at once, for the same reason.
const AT_ONCE: usize = 6;

#[test]
fn whatever_goes_wrong_no_secret_is_told_or_written() {
    for some in faults::all().chunks(AT_ONCE) {
        std::thread::scope(|threads| {
            for faults in some {
                threads.spawn(|| assert_discreet_with(faults));
            }
        });
    }
}

fn assert_discreet_with(faults: &Faults) {
    let (home, sts) = (home_with_profiles(&["etl"]), Sts::short_lived(LIFETIME));
    let tap = Tap::before(&sts);
    let agent = start(&home, &sts, &tap, "text");
    let before = sts.counts();
    let tried = |counts: &rolekeeper_sandbox::Counts| counts.calls("AssumeRole") + counts.hanging;
    sts.misbehave(faults.clone());
    // The second of its calls begins after the first has gone wrong.
    let wanted = tried(&before) + if faults.hang { 1 } else { 2 };
    wait_for("calls that go wrong", || (tried(&sts.counts()) >= wanted).then_some(()));
    let known = Known::default()
        .and("the user's secret key", USER_SECRET)
        .and("the endpoint's token", &agent.token("etl"));
    let status = home.rolekeeper(["status", "-vv"]).run();
    tap.known(&known).assert_none_in(status.stdout + &status.stderr, "status");
    for name in ["environ", "cmdline"] {
        // Of a process that is not dumpable, only root can read the first.
        let told = fs::read(format!("/proc/{}/{name}", agent.pid())).unwrap_or_default();
        tap.known(&known).assert_none_in(told, name);
    }
    let (_, stderr) = agent.end(Signal::TERM);
    assert!(stderr.contains("fetched a session"), "it talks: {stderr}");
    let known = with_store_key(tap.known(&known), &home);
    known.assert_none_in(&stderr, format!("stderr with {faults:?}"));
    let are_for_them = [".aws/credentials", ".local/state/rolekeeper/tokens", STORE_KEY];
    assert_none_in_files(&known, &home, &are_for_them);
}
