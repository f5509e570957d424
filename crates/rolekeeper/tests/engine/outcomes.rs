//! Patient readers, refreshing by hand, events and status.

use std::time::Duration;

use rolekeeper::{EventKind, FailureKind, RefreshPolicy, clock::Simulated};

use crate::support::{Answer, HOUR, MINUTE, Script, denied, down, pass, session, settle, timed};

#[tokio::test(start_paused = true)]
async fn a_patient_reader_waits_through_transient_failures() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    script.answers_first((0..5).map(|_| Answer::Fails(down())));
    let credentials = script.kept();
    let session = credentials.get_patiently(5 * MINUTE).await.unwrap();
    assert_eq!((session.generation(), script.calls()), (1, 6));
}

#[tokio::test(start_paused = true)]
async fn a_patient_reader_waits_through_the_sdks_rules_too() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    script.answers_first((0..5).map(|_| Answer::Fails(down())));
    let credentials = script.kept_by(RefreshPolicy::sdk_standard());
    let session = credentials.get_patiently(5 * MINUTE).await.unwrap();
    assert_eq!((session.generation(), script.calls()), (1, 6));
}

#[tokio::test(start_paused = true)]
async fn patience_is_not_spent_on_a_denial() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    script.answers(Answer::Fails(denied()));
    let credentials = script.kept();
    let (took, read) = timed(&clock, credentials.get_patiently(5 * MINUTE)).await;
    assert_eq!(read.unwrap_err().kind(), FailureKind::Denied);
    assert_eq!((took, script.calls()), (Duration::ZERO, 1));
}

#[tokio::test(start_paused = true)]
async fn patience_ends() {
    for answer in [Answer::Fails(down()), Answer::Hangs] {
        for policy in [RefreshPolicy::default(), RefreshPolicy::sdk_standard()] {
            let clock = Simulated::new();
            let script = Script::new(&clock);
            script.answers(answer.clone());
            let credentials = script.kept_by(policy);
            let (took, read) = timed(&clock, credentials.get_patiently(MINUTE)).await;
            assert_eq!(read.unwrap_err().kind(), FailureKind::Unavailable);
            assert!(took <= MINUTE + Duration::from_millis(10), "{took:?}");
            assert!(took >= Duration::from_secs(29), "{answer:?}: {took:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn refresh_now_brings_a_new_session_while_readers_get_the_old_one() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    let credentials = script.kept();
    credentials.get().await.unwrap();
    script.takes(Duration::from_secs(3));
    let refresh = tokio::spawn({
        let credentials = credentials.clone();
        async move { credentials.refresh_now().await.map(|session| session.generation()) }
    });
    settle().await;
    let (took, read) = timed(&clock, credentials.get()).await;
    assert_eq!((took, read.unwrap().generation()), (Duration::ZERO, 1));
    assert_eq!(refresh.await.unwrap().unwrap(), 2);
    assert_eq!(credentials.current().unwrap().generation(), 2);
}

#[tokio::test(start_paused = true)]
async fn refresh_now_joins_the_fetch_under_way() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    script.takes(Duration::from_secs(3));
    let credentials = script.kept();
    settle().await;
    assert_eq!(credentials.refresh_now().await.unwrap().generation(), 1);
    assert_eq!(script.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn refresh_now_tells_of_a_failure_and_the_old_session_is_still_served() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    let credentials = script.kept();
    credentials.get().await.unwrap();
    script.answers(Answer::Fails(denied()));
    let error = credentials.refresh_now().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "no newer session for arn:aws:iam::123456789012:role/demo: \
         AccessDenied: not authorized to perform sts:AssumeRole; \
         the one held is valid until 2026-01-01T01:00:00Z; next try in 65 s"
            .replace("65", &error.next_try().unwrap().as_secs_f64().ceil().to_string())
    );
    assert_eq!(credentials.get().await.unwrap().generation(), 1);
    script.answers(Answer::Session(HOUR));
    assert_eq!(credentials.refresh_now().await.unwrap().generation(), 2, "whatever the backoff");
}

#[tokio::test(start_paused = true)]
async fn refresh_now_waits_no_longer_than_the_deadline() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    script.answers(Answer::Hangs);
    let policy = RefreshPolicy::default().with_read_deadline(Duration::from_secs(4));
    let credentials = script.kept_by(policy);
    let (took, read) = timed(&clock, credentials.refresh_now()).await;
    read.unwrap_err();
    assert!(took < Duration::from_millis(4010), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn those_who_watch_are_told_what_happens() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    let credentials = script.kept();
    let mut events = credentials.events();
    credentials.get().await.unwrap();
    script.answers(Answer::Fails(denied()));
    pass(HOUR).await;
    credentials.adopt(session(&clock, 77, HOUR));
    credentials.rejected("ASIA0077");
    settle().await;

    let mut seen = Vec::new();
    while let Ok(event) = events.try_recv() {
        seen.push((
            match event.kind {
                EventKind::Fetched { .. } => "fetched",
                EventKind::Adopted { .. } => "adopted",
                EventKind::Failed(_) => "failed",
                EventKind::Rejected { .. } => "rejected",
                EventKind::Expired => "expired",
                EventKind::LetGo => "let go",
                _ => "other",
            },
            event.at.as_unix_secs() - 1_767_225_600,
        ));
    }
    let kinds: Vec<_> = seen.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds.first(), Some(&"fetched"));
    assert_eq!(kinds[kinds.len() - 4..], ["expired", "adopted", "rejected", "failed"]);
    let failures = kinds.iter().filter(|kind| **kind == "failed").count();
    assert!((25..60).contains(&failures), "about once a minute: {failures}");
    let expired = seen.iter().find(|(kind, _)| *kind == "expired").unwrap();
    assert_eq!(expired.1, 3599, "told when it happens");
}

#[tokio::test(start_paused = true)]
async fn an_end_is_told_in_time_though_a_fetch_is_under_way() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    let policy = RefreshPolicy::default().with_attempt_timeout(2 * HOUR);
    let credentials = script.kept_by(policy);
    credentials.get().await.unwrap();
    let mut events = credentials.events();
    script.answers(Answer::Hangs);
    pass(HOUR + MINUTE).await;
    let event = events.try_recv().unwrap();
    assert!(matches!(event.kind, EventKind::Expired), "{event:?}");
    assert_eq!(event.at.as_unix_secs(), 1_767_225_600 + 3599);
}

#[tokio::test(start_paused = true)]
async fn the_status_tells_the_state() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    script.takes(Duration::from_secs(1));
    let credentials = script.kept();
    let status = credentials.status();
    assert_eq!((status.generation, status.remaining), (0, Duration::ZERO));
    assert!(status.access_key_id.is_none() && status.next_refresh.is_none());

    credentials.get().await.unwrap();
    let status = credentials.status();
    assert_eq!(status.name, "arn:aws:iam::123456789012:role/demo");
    assert_eq!(status.access_key_id.as_deref(), Some("ASIA0001"));
    assert_eq!(status.account_id.as_deref(), Some("123456789012"));
    assert_eq!((status.lifetime, status.remaining), (HOUR, HOUR));
    let next = status.next_refresh.unwrap();
    assert!(next > 25 * MINUTE && next < 35 * MINUTE, "{next:?}");
    assert!(status.last_error.is_none() && !status.is_rejected && !status.is_shut_down);

    script.answers(Answer::Fails(down()));
    credentials.refresh_now().await.unwrap_err();
    let status = credentials.status();
    assert_eq!(status.last_error.unwrap().attempts(), 1);
    assert_eq!(
        (status.counters.attempts, status.counters.fetched, status.counters.failed),
        (2, 1, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_from_elsewhere_is_taken_if_it_ends_later() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    let credentials = script.kept();
    credentials.get().await.unwrap();
    assert!(!credentials.adopt(session(&clock, 50, MINUTE)), "it ends sooner");
    assert!(credentials.adopt(session(&clock, 51, 2 * HOUR)));
    assert_eq!(credentials.current().unwrap().access_key_id(), "ASIA0051");
    pass(35 * MINUTE).await;
    assert_eq!(script.calls(), 1, "refreshed by its own life, not the old one's");
}
