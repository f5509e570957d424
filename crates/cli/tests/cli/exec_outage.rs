//! STS is down while a program runs under `exec`: the session is served to its end, then requests
//! are held for as long as the least patient SDK allows, and only then answered with an error.

use std::time::Duration;

use rolekeeper_sandbox::{Failures, Faults};

use crate::support::{Home, LEAST_PATIENT_SDK, Reply, Served, Sts, now, wait_for};

fn outage() -> Faults {
    let fail = Some(Failures { next: None, status: 503, retry_after_seconds: None });
    Faults { fail, ..Faults::default() }
}

/// An answer, and how long it took.
fn timed(served: &Served) -> (Reply, Duration) {
    let start = now();
    let reply = served.get();
    (reply, now().saturating_sub(start))
}

#[test]
fn a_session_is_served_to_its_end_while_sts_is_down() {
    let (home, sts) = (Home::new(), Sts::start());
    let served = Served::start(&home, &sts);
    sts.misbehave(outage());
    for _ in 0..20 {
        let (reply, took) = timed(&served);
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
}

#[test]
fn after_its_end_requests_are_held_then_told_why_and_served_again_once_sts_is_back() {
    let (home, sts) = (Home::new(), Sts::short_lived(3));
    let served = Served::start(&home, &sts);
    sts.misbehave(outage());
    let refused = wait_for("the session's end", || {
        let (reply, took) = timed(&served);
        // botocore would have given up, and not seen the reason.
        assert!(took < LEAST_PATIENT_SDK, "{took:?}");
        (reply.status != 200).then_some(reply)
    });
    assert_eq!(refused.status, 503, "{}", refused.body);
    let why = refused.json();
    assert_eq!(why["Code"], "ServiceUnavailable");
    assert_eq!(why["code"], "ServiceUnavailable");
    assert_eq!(why["Message"], why["message"]);
    let message = why["Message"].as_str().unwrap();
    assert!(message.contains("role/demo"), "{message}");
    assert!(refused.head.contains("retry-after: "), "{}", refused.head);

    sts.misbehave(Faults::default());
    wait_for("a session again", || (timed(&served).0.status == 200).then_some(()));
    let (status, stderr) = served.end();
    assert!(status.success());
    assert!(stderr.contains("warning: no new session: ServiceUnavailable"), "{stderr}");
    assert!(stderr.contains("warning: the session has ended"), "{stderr}");
}

#[test]
fn a_slow_sts_is_noticed_by_nobody() {
    let (home, sts) = (Home::new(), Sts::short_lived(3));
    let served = Served::start(&home, &sts);
    sts.misbehave(Faults { latency_ms: 1000, ..Faults::default() });
    let start = now();
    while now().saturating_sub(start) < Duration::from_secs(6) {
        let (reply, took) = timed(&served);
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert!(took < LEAST_PATIENT_SDK, "{took:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_hanging_sts_holds_a_request_for_a_second_and_a_half() {
    let (home, sts) = (Home::new(), Sts::short_lived(3));
    let served = Served::start(&home, &sts);
    sts.misbehave(Faults { hang: true, ..Faults::default() });
    let (reply, took) = wait_for("the session's end", || {
        let (reply, took) = timed(&served);
        assert!(took < LEAST_PATIENT_SDK, "{took:?}");
        (reply.status != 200).then_some((reply, took))
    });
    assert_eq!(reply.status, 503, "{}", reply.body);
    assert!(took >= Duration::from_millis(1400), "{took:?}");
    // It ends at once all the same.
    let (status, _) = served.end();
    assert!(status.success());
}
