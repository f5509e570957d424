//! Each way to misbehave, and that it ends when it is told to.

use std::time::Duration;

use crate::common::{
    Answer, Call, Key, admin, assume_role, clock, demo, exchange, list_buckets, sts,
};
use rolekeeper_sandbox::{AssumeRoleRefusal, Down, Failures, Faults, Running, Sandbox};

async fn start(faults: Faults) -> (Running, Key) {
    let sandbox = Sandbox::builder().faults(faults).start().await.unwrap();
    let key = demo(&sandbox);
    (sandbox, key)
}

async fn try_send(call: &Call, sandbox: &Running, key: &Key) -> Option<Answer> {
    exchange(sandbox, call.signed(sandbox, key).as_bytes()).await
}

/// How far the answer's `Date` is from this machine's clock, in seconds.
fn date_offset(answer: &Answer) -> i64 {
    let date = jiff::fmt::rfc2822::parse(&answer.headers["date"]).unwrap();
    let now = jiff::Timestamp::try_from(clock(0)).unwrap();
    date.timestamp().as_second() - now.as_second()
}

#[tokio::test]
async fn throttling_refuses_in_each_services_words() {
    let (sandbox, key) = start(Faults { throttle_per_second: Some(0), ..Faults::default() }).await;
    let answer = assume_role("demo", &[]).send(&sandbox, &key).await;
    answer.is(400, "Throttling");
    assert_eq!(answer.message(), "Rate exceeded");
    list_buckets().send(&sandbox, &key).await.is(503, "SlowDown");
    sandbox.faults().clear();
    assume_role("demo", &[]).send(&sandbox, &key).await.is(200, "");
}

#[tokio::test]
async fn so_many_calls_fail_and_then_no_more() {
    let fail = Failures { next: Some(2), status: 503, retry_after_seconds: Some(7) };
    let only = vec!["AssumeRole".to_owned()];
    let (sandbox, key) = start(Faults { only, fail: Some(fail), ..Faults::default() }).await;
    for _ in 0..2 {
        sts("GetCallerIdentity", &[]).send(&sandbox, &key).await.is(200, "");
        let answer = assume_role("demo", &[]).send(&sandbox, &key).await;
        answer.is(503, "ServiceUnavailable");
        assert_eq!(answer.headers["retry-after"], "7");
        assert!(answer.body.contains("<Type>Receiver</Type>"), "{answer:?}");
    }
    assume_role("demo", &[]).send(&sandbox, &key).await.is(200, "");
    assert_eq!(sandbox.counts().with_result("AssumeRole", "ServiceUnavailable"), 2);
}

#[tokio::test]
async fn every_call_fails_until_it_is_cleared() {
    let fail = Some(Failures { next: None, status: 500, retry_after_seconds: None });
    let (sandbox, key) = start(Faults { fail, ..Faults::default() }).await;
    for _ in 0..5 {
        let answer = assume_role("demo", &[]).send(&sandbox, &key).await;
        answer.is(500, "InternalFailure");
        assert!(!answer.headers.contains_key("retry-after"));
    }
    sandbox.faults().clear();
    assume_role("demo", &[]).send(&sandbox, &key).await.is(200, "");
}

#[tokio::test]
async fn a_call_hangs_until_the_fault_is_cleared_and_is_then_answered() {
    let (sandbox, key) = start(Faults { hang: true, ..Faults::default() }).await;
    let call = assume_role("demo", &[]);
    let talk = async {
        while sandbox.counts().hanging == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(sandbox.counts().total(), 0);
        // Other faults that hang as well let nobody go.
        let latency_ms = 1;
        sandbox.faults().set(Faults { hang: true, latency_ms, ..Faults::default() });
        admin(&sandbox, "GET", "/_sandbox/health", "").await.is(200, "");
        sandbox.faults().clear();
    };
    let both = async { tokio::join!(call.send(&sandbox, &key), talk) };
    let (answer, ()) =
        tokio::time::timeout(crate::common::PATIENCE, both).await.expect("it is let go");
    answer.is(200, "");
    assert_eq!((sandbox.counts().hanging, sandbox.counts().ok("AssumeRole")), (0, 1));
}

#[tokio::test]
async fn an_answer_is_late_by_the_latency() {
    let (sandbox, key) = start(Faults { latency_ms: 30, ..Faults::default() }).await;
    let before = clock(0);
    list_buckets().send(&sandbox, &key).await.is(200, "");
    assert!(clock(0).duration_since(before).unwrap() >= Duration::from_millis(30));
}

#[tokio::test]
async fn a_connection_is_closed_without_an_answer() {
    let (sandbox, key) = start(Faults { close_connection: true, ..Faults::default() }).await;
    assert!(try_send(&assume_role("demo", &[]), &sandbox, &key).await.is_none());
    assert_eq!(sandbox.counts().with_result("AssumeRole", "(closed)"), 1);
    sandbox.faults().clear();
    assume_role("demo", &[]).send(&sandbox, &key).await.is(200, "");
}

#[tokio::test]
async fn a_service_that_is_down_closes_connections_from_then_to_then() {
    let down = |from_seconds, until_seconds| Faults {
        down: Some(Down { from_seconds, until_seconds }),
        ..Faults::default()
    };
    let (sandbox, key) = start(down(0, 1_000_000)).await;
    assert!(try_send(&list_buckets(), &sandbox, &key).await.is_none());
    admin(&sandbox, "GET", "/_sandbox/health", "").await.is(200, "");
    sandbox.faults().set(down(1_000_000, 2_000_000));
    list_buckets().send(&sandbox, &key).await.is(200, "");
}

#[tokio::test]
async fn a_truncated_body_is_shorter_than_was_announced() {
    let (sandbox, key) = start(Faults { truncate_body: true, ..Faults::default() }).await;
    let answer = assume_role("demo", &[]).send(&sandbox, &key).await;
    assert_eq!(answer.status, 200);
    assert!(!answer.complete && answer.body.contains("<AssumeRoleResult>"), "{answer:?}");
    assert!(!answer.body.contains("</AssumeRoleResponse>"));
    assert_eq!(sandbox.counts().with_result("AssumeRole", "(truncated)"), 1);
}

#[tokio::test]
async fn a_malformed_body_is_not_xml() {
    let (sandbox, key) = start(Faults { malformed_body: true, ..Faults::default() }).await;
    let answer = assume_role("demo", &[]).send(&sandbox, &key).await;
    assert!(answer.status == 200 && answer.complete && answer.body.contains("& not"), "{answer:?}");
}

#[tokio::test]
async fn a_field_can_be_missing_from_the_answer() {
    for field in ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration", "Credentials"] {
        let missing_field = Some(field.to_owned());
        let (sandbox, key) = start(Faults { missing_field, ..Faults::default() }).await;
        let answer = assume_role("demo", &[]).send(&sandbox, &key).await;
        answer.is(200, "");
        assert!(answer.xml(field).is_none() && answer.xml("Arn").is_some(), "{answer:?}");
    }
}

#[tokio::test]
async fn a_session_can_be_over_when_it_is_issued() {
    let (sandbox, key) = start(Faults { already_expired: true, ..Faults::default() }).await;
    let answer = assume_role("demo", &[]).send(&sandbox, &key).await;
    let expiration: jiff::Timestamp = answer.xml("Expiration").unwrap().parse().unwrap();
    assert!(expiration < jiff::Timestamp::try_from(clock(0)).unwrap());
    sandbox.faults().clear();
    list_buckets().send(&sandbox, &answer.key()).await.is(400, "ExpiredToken");
}

#[tokio::test]
async fn a_server_whose_clock_is_off_dates_checks_and_expires_by_it() {
    for offset in [-7200, 7200] {
        let clock_offset_seconds = offset;
        let (sandbox, key) = start(Faults { clock_offset_seconds, ..Faults::default() }).await;
        let answer = assume_role("demo", &[]).send(&sandbox, &key).await;
        answer.is(403, "SignatureDoesNotMatch");
        assert!((date_offset(&answer) - offset).abs() <= 60, "{answer:?}");

        let call = Call { skew: offset, ..assume_role("demo", &[]) };
        let answer = call.send(&sandbox, &key).await;
        answer.is(200, "");
        let expiration: jiff::Timestamp = answer.xml("Expiration").unwrap().parse().unwrap();
        let expected = jiff::Timestamp::try_from(clock(offset + 3600)).unwrap();
        assert!((expiration.as_second() - expected.as_second()).abs() <= 60);
    }
}

#[tokio::test]
async fn a_clock_at_either_end_of_time_is_no_reason_to_fail() {
    for end in [i64::MIN, i64::MAX] {
        let (clock_offset_seconds, date_header_offset_seconds) = (end, end);
        let faults =
            Faults { clock_offset_seconds, date_header_offset_seconds, ..Faults::default() };
        let lifetime = Duration::MAX;
        let sandbox = Sandbox::builder().session_lifetime(lifetime).faults(faults).start().await;
        let sandbox = sandbox.unwrap();
        sandbox.advance(Duration::MAX);
        let key = demo(&sandbox);
        let serial = "arn:aws:iam::123456789012:mfa/demo";
        sandbox.mfa_code(serial).unwrap();
        sandbox.identity_token("sandbox", "me", Duration::MAX).unwrap();
        assume_role("demo", &[]).send(&sandbox, &key).await.is(403, "SignatureDoesNotMatch");
        sandbox.faults().clear();
        assume_role("demo", &[]).send(&sandbox, &key).await.is(200, "");
    }
}

#[tokio::test]
async fn the_date_header_alone_can_be_off() {
    let date_header_offset_seconds = -7200;
    let (sandbox, key) = start(Faults { date_header_offset_seconds, ..Faults::default() }).await;
    let answer = assume_role("demo", &[]).send(&sandbox, &key).await;
    answer.is(200, "");
    assert!((date_offset(&answer) + 7200).abs() <= 60, "{answer:?}");
}

#[tokio::test]
async fn assume_role_is_refused_with_the_error_that_was_told() {
    let refuse_assume_role = Some(AssumeRoleRefusal {
        code: "AccessDenied".to_owned(),
        status: 403,
        message: "not <today>".to_owned(),
    });
    let (sandbox, key) = start(Faults { refuse_assume_role, ..Faults::default() }).await;
    let answer = assume_role("demo", &[]).send(&sandbox, &key).await;
    answer.is(403, "AccessDenied");
    assert_eq!(answer.message(), "not <today>");
    sts("GetCallerIdentity", &[]).send(&sandbox, &key).await.is(200, "");
    list_buckets().send(&sandbox, &key).await.is(200, "");
}

#[tokio::test]
async fn faults_that_cannot_be_are_not_started_with() {
    let fail = Some(Failures { next: None, status: 42, retry_after_seconds: None });
    let started = Sandbox::builder().faults(Faults { fail, ..Faults::default() }).start().await;
    assert_eq!(started.unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
}
