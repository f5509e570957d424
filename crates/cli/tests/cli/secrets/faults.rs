//! Each way in which STS can go wrong, before each command that asks it.

use rolekeeper_sandbox::{AssumeRoleRefusal, Down, Failures, Faults};

use super::{Known, Tap, files::assert_none_in_files, talkative};
use crate::support::{Home, Started, Sts, USER_SECRET, home_with_profiles, role};

/// Every fault that the sandbox knows: one more is an error here.
pub(super) fn all() -> Vec<Faults> {
    let Faults {
        only: _,
        latency_ms: _,
        throttle_per_second: _,
        fail: _,
        hang: _,
        close_connection: _,
        truncate_body: _,
        malformed_body: _,
        missing_field: _,
        already_expired: _,
        clock_offset_seconds: _,
        date_header_offset_seconds: _,
        down: _,
        refuse_assume_role: _,
    } = Faults::default();
    let none = || Faults { only: vec!["AssumeRole".to_owned()], ..Faults::default() };
    let fail = |status| Some(Failures { next: None, status, retry_after_seconds: Some(1) });
    let refuse = |code: &str| {
        let message = "no, not with what you have shown".to_owned();
        Some(AssumeRoleRefusal { code: code.to_owned(), status: 403, message })
    };
    let missing = |name: &str| Faults { missing_field: Some(name.to_owned()), ..none() };
    vec![
        Faults { latency_ms: 300, ..none() },
        Faults { throttle_per_second: Some(0), ..none() },
        Faults { fail: fail(500), ..none() },
        Faults { fail: fail(503), ..none() },
        Faults { hang: true, ..none() },
        Faults { close_connection: true, ..none() },
        Faults { truncate_body: true, ..none() },
        Faults { malformed_body: true, ..none() },
        missing("AccessKeyId"),
        missing("SecretAccessKey"),
        missing("SessionToken"),
        missing("Expiration"),
        Faults { already_expired: true, ..none() },
        Faults { clock_offset_seconds: 3600, ..none() },
        Faults { clock_offset_seconds: -7200, ..none() },
        Faults { date_header_offset_seconds: 3600, ..none() },
        Faults { down: Some(Down { from_seconds: 0, until_seconds: 3600 }), ..none() },
        Faults { refuse_assume_role: refuse("AccessDenied"), ..none() },
        Faults { refuse_assume_role: refuse("ExpiredToken"), ..none() },
        Faults { refuse_assume_role: refuse("SignatureDoesNotMatch"), ..none() },
        Faults { refuse_assume_role: refuse("RegionDisabledException"), ..none() },
        Faults { refuse_assume_role: refuse("NobodyKnowsThisCode"), ..none() },
    ]
}

/// Those that ask STS; the first two print a session.
fn commands() -> [Vec<&'static str>; 6] {
    let with = |words: &[&'static str]| [words, &["--profile", "etl"]].concat();
    [
        with(&["credential-process"]),
        with(&["export"]),
        with(&["whoami"]),
        with(&["doctor"]),
        with(&["write", "--once"]),
        [&with(&["exec"])[..], &["--", "true"]].concat(),
    ]
}

/// So many at once: a machine may have two cores.
const AT_ONCE: usize = 4;

#[test]
fn whatever_sts_does_no_command_shows_a_secret() {
    let all = all();
    for some in all.chunks(AT_ONCE) {
        std::thread::scope(|threads| {
            for faults in some {
                threads.spawn(|| assert_discreet_with(faults));
            }
        });
    }
}

/// Each command runs until it has told of the fault, or to its end; then STS behaves again, so that
/// nobody waits for long.
fn assert_discreet_with(faults: &Faults) {
    let (home, sts) = (home_with_profiles(&["etl"]), Sts::start());
    let tap = Tap::before(&sts);
    sts.misbehave(faults.clone());
    let start = |words: &[&str]| {
        let command = home.rolekeeper([&["-vv"], words].concat()).at_endpoint(&sts);
        tap.under(talkative(command)).env("ROLEKEEPER_STORE", "none").start()
    };
    let mut running: Vec<_> =
        commands().into_iter().map(|words| (start(&words), words, String::new())).collect();
    if !faults.hang {
        for (started, _, stderr) in &mut running {
            until_told(started, stderr);
        }
    }
    crate::support::wait_for("every command's call", || {
        let calls = sts.counts();
        (calls.calls("AssumeRole") + calls.hanging >= 6).then_some(())
    });
    sts.misbehave(Faults::default());
    let ended: Vec<_> = running
        .into_iter()
        .map(|(started, words, before)| {
            let (_, stdout, stderr) = started.output();
            (words, stdout, before + &stderr)
        })
        .collect();
    let known = tap.known(&Known::default().and("the user's secret key", USER_SECRET));
    let mut told = 0;
    for (number, (words, stdout, stderr)) in ended.iter().enumerate() {
        told += stderr.len();
        known.assert_none_in(stderr, format!("stderr of {words:?} with {faults:?}"));
        let user = Known::default().and("the user's secret key", USER_SECRET);
        let known = if number < 2 { &user } else { &known };
        known.assert_none_in(stdout, format!("stdout of {words:?} with {faults:?}"));
    }
    assert!(told > 0, "they talk");
    assert_none_in_files(&known, &home, &[".aws/credentials"]);
}

/// Reads on until it says that a fetch has failed, or ends.
fn until_told(started: &mut Started, stderr: &mut String) {
    while let Some(line) = started.told() {
        stderr.push_str(&line);
        if line.contains("no new session") {
            return;
        }
    }
}

#[test]
fn what_is_refused_shows_no_secret() {
    const DEVICE: &str = "arn:aws:iam::123456789012:mfa/demo";
    let (home, sts) = (Home::new(), Sts::start());
    let tap = Tap::before(&sts);
    let demo = role("demo");
    let mut known = Known::default().and("the user's secret key", USER_SECRET);
    for (last, more) in [
        ("forbidden", &[][..]),
        ("external", &[]),
        ("external", &["--external-id", "wrong"]),
        ("mfa", &[]),
        ("mfa", &["--mfa-serial", DEVICE]),
        ("mfa", &["--mfa-serial", DEVICE, "--mfa-code", "000000"]),
        ("short", &["--duration", "2h"]),
        // As the second of a chain, with the session of the first.
        ("forbidden", &["--role-arn", &demo]),
    ] {
        let last = role(last);
        for verb in ["whoami", "export", "doctor"] {
            let words = [&["-vv", verb][..], more, &["--role-arn", &last]].concat();
            let invocation = talkative(home.rolekeeper(&words).at(&sts));
            let ran = tap.under(invocation).env("ROLEKEEPER_STORE", "none").run();
            assert_ne!(ran.status, Some(0), "{words:?}");
            known = tap.known(&known);
            known.assert_none_in(ran.stdout + &ran.stderr, format!("what {words:?} tells"));
        }
    }
    assert_none_in_files(&known, &home, &[]);
}
