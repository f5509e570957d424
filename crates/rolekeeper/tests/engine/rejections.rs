//! A service refuses a session that is still valid by its expiration.

use std::time::Duration;

use rolekeeper::clock::Simulated;

use crate::support::{Answer, HOUR, Script, all_at_once, down, pass, settle, timed};

#[tokio::test(start_paused = true)]
async fn a_rejection_brings_about_a_fetch_at_once_and_readers_wait_for_it() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    let credentials = script.kept();
    credentials.get().await.unwrap();
    script.takes(Duration::from_secs(1));
    for _ in 0..100 {
        credentials.rejected("ASIA0001");
    }
    assert_eq!(credentials.current().unwrap().generation(), 1, "which still gives the old one");
    let read = |_| {
        let credentials = credentials.clone();
        async move { credentials.get().await.map(|session| session.generation()) }
    };
    for (took, generation) in all_at_once(&clock, (0..50).map(read)).await {
        assert_eq!(generation.unwrap(), 2);
        assert!(took >= Duration::from_secs(1) && took < Duration::from_millis(1010), "{took:?}");
    }
    assert_eq!(script.calls(), 2);
    assert!(!credentials.status().is_rejected);
}

#[tokio::test(start_paused = true)]
async fn a_rejection_needs_no_reader_to_bring_about_its_fetch() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    let credentials = script.kept();
    credentials.get().await.unwrap();
    credentials.rejected("ASIA0001");
    settle().await;
    assert_eq!(script.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn rejections_bring_about_one_fetch_in_ten_seconds() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    let credentials = script.kept();
    credentials.get().await.unwrap();
    // A service that rejects everything.
    for _ in 0..600 {
        let key = credentials.get().await.unwrap().access_key_id().to_owned();
        credentials.rejected(&key);
        pass(Duration::from_millis(100)).await;
    }
    let calls = script.called_at();
    assert!((6..=8).contains(&calls.len()), "in a minute: {}", calls.len());
    for pair in calls[1..].windows(2) {
        assert!(pair[1].since(pair[0]) >= Duration::from_secs(10));
    }
}

#[tokio::test(start_paused = true)]
async fn a_rejected_session_is_served_again_and_marked_if_there_is_no_better_one() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    let credentials = script.kept();
    credentials.get().await.unwrap();
    script.answers(Answer::Fails(down())).takes(Duration::from_secs(1));
    credentials.rejected("ASIA0001");
    let (took, read) = timed(&clock, credentials.get()).await;
    assert_eq!(read.unwrap().generation(), 1);
    assert!(took >= Duration::from_secs(1) && took < Duration::from_millis(1010), "{took:?}");
    assert!(credentials.status().is_rejected);
    let (took, read) = timed(&clock, credentials.get()).await;
    assert_eq!((took, read.unwrap().generation()), (Duration::ZERO, 1), "without another wait");
}

#[tokio::test(start_paused = true)]
async fn a_rejection_of_another_session_changes_nothing() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    let credentials = script.kept();
    credentials.get().await.unwrap();
    credentials.refresh_now().await.unwrap();
    credentials.rejected("ASIA0001");
    settle().await;
    assert_eq!(script.calls(), 2);
    assert!(!credentials.status().is_rejected);
}

#[tokio::test(start_paused = true)]
async fn a_rejection_is_not_held_up_by_a_backoff() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    let credentials = script.kept();
    credentials.get().await.unwrap();
    script.answers(Answer::Fails(down().with_retry_after(Duration::from_secs(200))));
    credentials.refresh_now().await.unwrap_err();
    script.answers(Answer::Session(HOUR));
    credentials.rejected("ASIA0001");
    let (took, read) = timed(&clock, credentials.get()).await;
    assert_eq!((took, read.unwrap().generation()), (Duration::ZERO, 2));
}
