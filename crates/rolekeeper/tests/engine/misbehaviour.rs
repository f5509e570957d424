//! Sources that panic, hang, answer nonsense or are of two minds.

use std::time::Duration;

use rolekeeper::{FailureKind, WallTime, clock::Simulated};

use crate::support::{Answer, HOUR, MINUTE, SECRET, Script, pass, timed};

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_source_is_the_sources_failure() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    script.answers_first([Answer::Panics, Answer::Panics]);
    let credentials = script.kept();
    let error = credentials.get().await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::BadAnswer);
    assert!(!format!("{error} {error:?}").contains(SECRET), "{error:?}");
    assert_eq!(credentials.get_patiently(MINUTE).await.unwrap().generation(), 1);

    script.answers(Answer::Panics);
    pass(50 * MINUTE).await;
    assert_eq!(credentials.current().unwrap().generation(), 1, "served on");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_never_answers_is_given_up_after_its_time() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    script.answers_first([Answer::Hangs]);
    let credentials = script.kept();
    let (took, read) = timed(&clock, credentials.get()).await;
    assert_eq!(read.unwrap_err().failure().message, "no answer within 10 s");
    assert_eq!(took.as_secs(), 10);
    credentials.get_patiently(MINUTE).await.unwrap();
    assert_eq!(script.most_at_once(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_expired_answer_does_not_replace_a_valid_session() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    let credentials = script.kept();
    credentials.get().await.unwrap();
    script.answers(Answer::EndsAt(clock.now().wall));
    let error = credentials.refresh_now().await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::BadAnswer);
    assert_eq!(
        error.failure().message,
        "the source's answer had expired on arrival (Expiration 2026-01-01T00:00:00Z)"
    );
    pass(30 * MINUTE).await;
    assert_eq!(credentials.current().unwrap().generation(), 1);
}

#[tokio::test(start_paused = true)]
async fn any_expiration_is_lived_with() {
    let clock = Simulated::new();
    for end in [i64::MIN, -1, 0, 1_767_225_600, 1_767_225_601] {
        let script = Script::new(&clock);
        script.answers(Answer::EndsAt(WallTime::from_unix_secs(end)));
        let credentials = script.kept();
        assert_eq!(credentials.get().await.unwrap_err().kind(), FailureKind::BadAnswer, "{end}");
        let calls = script.calls();
        assert!(calls < 3, "{calls}");
    }
    for end in [1_767_225_600 + 86_400, 4_102_444_800, i64::MAX / 2, i64::MAX] {
        let script = Script::new(&clock);
        script.answers(Answer::EndsAt(WallTime::from_unix_secs(end)));
        let credentials = script.kept();
        credentials.get().await.unwrap();
        credentials.status();
        assert!(!format!("{credentials:?}").is_empty());
        assert_eq!(script.calls(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn sessions_of_seconds_are_fetched_no_more_than_once_a_second() {
    for life in [1100, 1500, 2000, 3000, 10_000] {
        let clock = Simulated::new();
        let script = Script::new(&clock);
        script.answers(Answer::Session(Duration::from_millis(life)));
        let credentials = script.kept();
        credentials.get().await.unwrap();
        pass(MINUTE).await;
        assert!(script.calls() <= 61, "a life of {life} ms: {} calls", script.calls());
        assert!(script.calls() >= 10, "a life of {life} ms: {} calls", script.calls());
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_gives_the_same_session_again_is_asked_less_and_less_often_but_not_in_a_loop()
{
    let clock = Simulated::new();
    let script = Script::new(&clock);
    // A container that hands on one session until its end.
    script.answers(Answer::EndsAt(clock.now().wall.after(HOUR)));
    let credentials = script.kept();
    credentials.get().await.unwrap();
    pass(HOUR - Duration::from_secs(2)).await;
    assert!(credentials.current().is_some(), "served to its end");
    assert!(script.calls() < 40, "{}", script.calls());
    script.answers(Answer::Session(HOUR));
    assert_eq!(credentials.get_patiently(MINUTE).await.map(|_| ()).ok(), Some(()));
}
