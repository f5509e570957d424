//! Driven by reads alone: nothing happens between them, and the SDKs' rules through the shell.

use std::time::Duration;

use rolekeeper::{FailureKind, RefreshPolicy, RefreshableCredentials, clock::Simulated};

use crate::support::{
    Answer, HOUR, MINUTE, SECRET, Script, all_at_once, denied, down, pass, settle, timed,
};

/// 16 readers at the same moment: how long each waited, and the generation each got.
async fn sixteen(
    credentials: &RefreshableCredentials,
    clock: &Simulated,
) -> Vec<(Duration, Option<u64>)> {
    let read = |_| {
        let credentials = credentials.clone();
        async move { credentials.get().await.ok().map(|session| session.generation()) }
    };
    all_at_once(clock, (0..16).map(read)).await
}

#[tokio::test(start_paused = true)]
async fn nothing_happens_between_reads() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    let credentials = script.kept_by(RefreshPolicy::on_demand());
    pass(HOUR).await;
    assert_eq!(script.calls(), 0, "nor before the first");
    assert_eq!(credentials.get().await.unwrap().generation(), 1);
    pass(30 * MINUTE).await;
    clock.sleep(10 * HOUR);
    pass(24 * HOUR).await;
    assert_eq!(script.calls(), 1, "frozen");
    assert!(credentials.current().is_none());
    assert_eq!(credentials.get().await.unwrap().generation(), 2);
    assert_eq!(script.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn in_the_advisory_window_one_reader_refreshes_and_the_others_get_the_old_one_at_once() {
    for policy in [RefreshPolicy::on_demand(), RefreshPolicy::sdk_standard()] {
        let clock = Simulated::new();
        let script = Script::new(&clock);
        let credentials = script.kept_by(policy);
        credentials.get().await.unwrap();
        pass(44 * MINUTE).await;
        sixteen(&credentials, &clock).await;
        assert_eq!(script.calls(), 1, "not in the window yet");

        pass(2 * MINUTE).await;
        script.takes(Duration::from_millis(100));
        let reads = sixteen(&credentials, &clock).await;
        let (new, old): (Vec<_>, Vec<_>) = reads.into_iter().partition(|(_, got)| *got == Some(2));
        assert_eq!((new.len(), old.len()), (1, 15));
        assert!(old.iter().all(|read| *read == (Duration::ZERO, Some(1))), "{old:?}");
        assert_eq!(script.calls(), 2);
        assert_eq!(credentials.get().await.unwrap().generation(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn in_the_mandatory_window_all_wait_for_one_fetch() {
    for policy in [RefreshPolicy::on_demand(), RefreshPolicy::sdk_standard()] {
        let clock = Simulated::new();
        let script = Script::new(&clock);
        let credentials = script.kept_by(policy);
        credentials.get().await.unwrap();
        pass(59 * MINUTE + Duration::from_secs(10)).await;
        script.takes(Duration::from_millis(100));
        for (took, got) in sixteen(&credentials, &clock).await {
            assert_eq!(got, Some(2));
            assert!(took >= Duration::from_millis(100), "{took:?}");
        }
        assert_eq!(script.calls(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn at_its_deadline_a_reader_gets_the_session_that_lives_on_unless_it_was_rejected() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    let deadline = Duration::from_secs(2);
    let credentials = script.kept_by(RefreshPolicy::on_demand().with_read_deadline(deadline));
    credentials.get().await.unwrap();
    for (pause, is_rejected) in [(46 * MINUTE, false), (MINUTE, true)] {
        pass(pause).await;
        script.takes(Duration::from_secs(5));
        if is_rejected {
            credentials.rejected("ASIA0002");
        }
        let (took, read) = timed(&clock, credentials.get()).await;
        assert_eq!(took, deadline);
        assert_eq!(read.map(|session| session.generation()).ok(), (!is_rejected).then_some(1));
        pass(MINUTE).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_gives_up_cancels_no_fetch_on_demand_either() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    script.takes(Duration::from_secs(5));
    let credentials = script.kept_by(RefreshPolicy::on_demand());
    let hasty = tokio::time::timeout(Duration::from_millis(10), credentials.get()).await;
    assert!(hasty.is_err());
    let (took, read) = timed(&clock, credentials.get()).await;
    assert_eq!(read.unwrap().generation(), 1);
    assert!(took < Duration::from_secs(5));
    assert_eq!(script.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn by_the_sdks_rules_a_failed_refresh_serves_what_is_cached_even_past_its_end() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    let credentials = script.kept_by(RefreshPolicy::sdk_standard());
    credentials.get().await.unwrap();
    script.answers(Answer::Fails(down()));
    pass(50 * MINUTE).await;
    for _ in 0..6 * 3600 / 10 {
        let (took, read) = timed(&clock, credentials.get()).await;
        assert_eq!((took, read.unwrap().generation()), (Duration::ZERO, 1));
        pass(Duration::from_secs(10)).await;
    }
    let calls = script.called_at();
    for pair in calls[1..].windows(2) {
        let wait = pair[1].since(pair[0]).as_secs();
        assert!((300..=611).contains(&wait), "the source is left alone: {wait} s");
    }
    assert!(calls.len() > 36, "{}", calls.len());
}

#[tokio::test(start_paused = true)]
async fn by_the_sdks_rules_an_answer_that_has_expired_is_a_failed_refresh() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    let credentials = script.kept_by(RefreshPolicy::sdk_standard());
    credentials.get().await.unwrap();
    script.answers(Answer::EndsAt(clock.now().wall));
    pass(61 * MINUTE).await;
    for _ in 0..29 {
        assert_eq!(credentials.get().await.unwrap().generation(), 1);
        pass(Duration::from_secs(10)).await;
    }
    assert_eq!(script.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn by_the_sdks_rules_a_failure_with_nothing_cached_is_raised_and_the_next_call_tries_again() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    script.answers(Answer::Fails(down()));
    let credentials = script.kept_by(RefreshPolicy::sdk_standard());
    for calls in 1..=5 {
        assert_eq!(credentials.get().await.unwrap_err().kind(), FailureKind::Unavailable);
        assert_eq!(script.calls(), calls);
    }
    script.answers(Answer::Session(HOUR));
    credentials.get().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn by_the_sdks_rules_what_only_a_change_mends_is_raised_at_once_and_kept_for_seconds() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    let credentials = script.kept_by(RefreshPolicy::sdk_standard());
    credentials.get().await.unwrap();
    pass(50 * MINUTE).await;
    script.answers(Answer::Fails(denied()));
    for _ in 0..100 {
        assert_eq!(credentials.get().await.unwrap_err().kind(), FailureKind::Denied);
    }
    assert_eq!(script.calls(), 2);
    assert!(credentials.current().is_some(), "which still gives what is valid");
    script.answers(Answer::Session(HOUR));
    pass(Duration::from_secs(5)).await;
    assert_eq!(credentials.get().await.unwrap().generation(), 2);
}

#[tokio::test(start_paused = true)]
async fn by_the_sdks_rules_a_rejection_sends_the_next_read_to_the_source_unless_it_is_left_alone() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    let credentials = script.kept_by(RefreshPolicy::sdk_standard());
    credentials.get().await.unwrap();
    credentials.rejected("ASIA9999");
    assert_eq!(credentials.get().await.unwrap().generation(), 1, "not the current key");

    script.takes(Duration::from_millis(100));
    credentials.rejected("ASIA0001");
    settle().await;
    assert_eq!(script.calls(), 1, "only a read asks");
    for (took, got) in sixteen(&credentials, &clock).await {
        assert_eq!(got, Some(2));
        assert!(took >= Duration::from_millis(100));
    }
    assert_eq!(script.calls(), 2);

    script.answers(Answer::Fails(down()));
    pass(50 * MINUTE).await;
    credentials.get().await.unwrap();
    assert_eq!(script.calls(), 3);
    credentials.rejected("ASIA0002");
    for _ in 0..29 {
        assert_eq!(credentials.get().await.unwrap().generation(), 2);
        pass(Duration::from_secs(10)).await;
    }
    assert_eq!(script.calls(), 3, "a running backoff is not lifted");
}

#[tokio::test(start_paused = true)]
async fn a_panic_on_demand_is_the_sources_failure() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    script.answers_first([Answer::Panics]);
    let credentials = script.kept_by(RefreshPolicy::on_demand());
    let error = credentials.get().await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::BadAnswer);
    assert!(!format!("{error:?}").contains(SECRET));
    credentials.get_patiently(MINUTE).await.unwrap();
}
