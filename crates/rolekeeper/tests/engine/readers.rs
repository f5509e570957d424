//! Nobody who reads does the work of refreshing, or waits for it while a session is valid.

use std::time::Duration;

use rolekeeper::{Elapsed, FailureKind, RefreshPolicy, RefreshableCredentials, clock::Simulated};

use crate::support::{
    Answer, HOUR, MINUTE, Script, all_at_once, denied, down, pass, settle, timed,
};

#[derive(Debug, Default, PartialEq)]
struct Tally {
    failed: usize,
    waited: usize,
}

/// 64 readers, each of whom reads every 3 s for so long.
async fn swarm(
    credentials: &RefreshableCredentials,
    clock: &Simulated,
    how_long: Duration,
) -> Tally {
    let reader = |number: u64| {
        let (credentials, clock) = (credentials.clone(), clock.clone());
        async move {
            let mut tally = Tally::default();
            let end = clock.now().elapsed.after(how_long);
            tokio::time::sleep(Duration::from_millis(number * 47)).await;
            while clock.now().elapsed < end {
                let (took, read) = timed(&clock, credentials.get()).await;
                tally.waited += usize::from(!took.is_zero());
                tally.failed += usize::from(read.is_err());
                if let Ok(session) = read {
                    assert!(session.is_valid(clock.now()), "a dead session was served");
                }
                tokio::time::sleep(Duration::from_secs(3)).await;
            }
            tally
        }
    };
    let mut total = Tally::default();
    for (_, tally) in all_at_once(clock, (0..64).map(reader)).await {
        total.failed += tally.failed;
        total.waited += tally.waited;
    }
    total
}

/// When the source is asked if, once it has given a session, it does `then`; with readers or
/// without.
async fn asked(then: Answer, with_readers: bool) -> (Vec<Elapsed>, Tally) {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    script.answers_first([Answer::Session(HOUR)]).answers(then);
    let credentials = script.kept();
    settle().await;
    // To the session's last moment.
    let end = HOUR - Duration::from_secs(5);
    let tally = if with_readers {
        swarm(&credentials, &clock, end).await
    } else {
        pass(end).await;
        Tally::default()
    };
    let last = Elapsed::default().after(end);
    (script.called_at().into_iter().filter(|at| *at < last).collect(), tally)
}

#[tokio::test(start_paused = true)]
async fn no_reader_waits_while_a_session_is_valid() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    script.takes(Duration::from_millis(100));
    let credentials = script.kept();
    credentials.get().await.unwrap();

    let tally = swarm(&credentials, &clock, 3 * HOUR).await;

    assert_eq!(tally, Tally { failed: 0, waited: 0 });
    assert!(script.calls() > 5, "there were refreshes: {}", script.calls());
    assert_eq!(script.most_at_once(), 1);
}

#[tokio::test(start_paused = true)]
async fn no_reader_waits_or_fails_while_the_source_fails() {
    let (with_readers, tally) = asked(Answer::Fails(down()), true).await;
    let (alone, _) = asked(Answer::Fails(down()), false).await;
    assert_eq!(tally, Tally { failed: 0, waited: 0 });
    assert_eq!(with_readers, alone, "the source is asked by the backoff, not by the readers");
    assert!(alone.len() > 60, "about every 15 s for half an hour: {}", alone.len());
    for pair in alone[1..].windows(2) {
        let wait = pair[1].since(pair[0]);
        assert!(wait >= Duration::from_millis(100) && wait <= Duration::from_secs(31), "{wait:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_reader_waits_or_fails_while_the_source_refuses() {
    let (with_readers, tally) = asked(Answer::Fails(denied()), true).await;
    let (alone, _) = asked(Answer::Fails(denied()), false).await;
    assert_eq!(tally, Tally { failed: 0, waited: 0 });
    assert_eq!(with_readers, alone);
    // Once a minute; more often only in the session's last minutes.
    let waits: Vec<_> =
        alone[1..].windows(2).map(|pair| pair[1].since(pair[0]).as_secs_f64()).collect();
    assert!(waits.iter().all(|wait| (0.9..66.1).contains(wait)), "{waits:?}");
    assert!(waits[..20].iter().all(|wait| *wait > 53.9), "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn no_reader_waits_or_fails_while_the_source_hangs() {
    let (with_readers, tally) = asked(Answer::Hangs, true).await;
    let (alone, _) = asked(Answer::Hangs, false).await;
    assert_eq!(tally, Tally { failed: 0, waited: 0 });
    assert_eq!(with_readers, alone);
    assert!(alone.len() > 40, "{}", alone.len());
    for pair in alone[1..].windows(2) {
        assert!(pair[1].since(pair[0]) >= Duration::from_secs(10), "one attempt at a time");
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_readers_at_the_start_share_one_fetch() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    script.takes(Duration::from_secs(2));
    let credentials = script.kept();
    let read = |_| {
        let credentials = credentials.clone();
        async move { credentials.get().await.map(|session| session.generation()) }
    };
    for (took, generation) in all_at_once(&clock, (0..1000).map(read)).await {
        assert_eq!(generation.unwrap(), 1);
        assert!(took <= Duration::from_millis(2010), "{took:?}");
    }
    assert_eq!(script.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_gives_up_starves_nobody_and_cancels_nothing() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    script.takes(Duration::from_secs(5));
    let credentials = script.kept();
    let patient = tokio::spawn({
        let credentials = credentials.clone();
        async move { credentials.get().await.map(|session| session.generation()) }
    });
    for _ in 0..100 {
        let hasty = tokio::time::timeout(Duration::from_millis(10), credentials.get()).await;
        assert!(hasty.is_err());
    }
    let error = credentials.get_patiently(Duration::from_millis(10)).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Unavailable);
    assert_eq!(patient.await.unwrap().unwrap(), 1);
    assert_eq!(script.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reader_waits_no_longer_than_its_deadline() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    script.answers(Answer::Hangs);
    let deadline = Duration::from_secs(2);
    let credentials = script.kept_by(RefreshPolicy::default().with_read_deadline(deadline));
    let (took, read) = timed(&clock, credentials.get()).await;
    let error = read.unwrap_err();
    assert!(took >= deadline && took < deadline + Duration::from_millis(10), "{took:?}");
    assert_eq!(
        error.to_string(),
        "no session for arn:aws:iam::123456789012:role/demo: \
         nothing came within 2 s, the reader's deadline"
    );
    assert!(error.is_retryable());
}

#[tokio::test(start_paused = true)]
async fn readers_with_nothing_to_be_served_get_a_transient_error_at_once_within_its_backoff() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    script.answers(Answer::Fails(down().with_retry_after(MINUTE)));
    let credentials = script.kept();
    let first = credentials.get().await.unwrap_err();
    for _ in 0..1000 {
        let (took, read) = timed(&clock, credentials.get()).await;
        let error = read.unwrap_err();
        assert_eq!((took, error.failure()), (Duration::ZERO, first.failure()));
        assert!(error.next_try().is_some_and(|next| next <= MINUTE));
    }
    assert_eq!(script.calls(), 1);
    pass(MINUTE + Duration::from_millis(10)).await;
    assert_eq!(script.calls(), 2, "tried again by itself");
}

#[tokio::test(start_paused = true)]
async fn readers_with_nothing_to_be_served_get_a_denial_at_once_for_five_seconds() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    script.answers(Answer::Fails(denied()));
    let credentials = script.kept();
    let first = credentials.get().await.unwrap_err();
    assert_eq!((first.kind(), first.code()), (FailureKind::Denied, Some("AccessDenied")));
    pass(Duration::from_millis(4900)).await;
    credentials.get().await.unwrap_err();
    assert_eq!(script.calls(), 1);
    pass(Duration::from_millis(200)).await;
    script.answers(Answer::Session(HOUR));
    assert_eq!(credentials.get().await.unwrap().generation(), 1, "whoever asks then has it tried");
    assert_eq!(script.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn current_never_waits_and_never_fails() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    script.takes(Duration::from_secs(1));
    let credentials = script.kept();
    assert!(credentials.current().is_none(), "nothing yet");
    pass(Duration::from_secs(2)).await;
    assert_eq!(credentials.current().unwrap().generation(), 1);

    for failure in [down(), denied()] {
        script.answers(Answer::Fails(failure));
        pass(50 * MINUTE).await;
    }
    assert!(credentials.current().is_none(), "it has ended");
    let calls = script.calls();
    for _ in 0..100 {
        assert!(credentials.current().is_none());
    }
    settle().await;
    assert!(script.calls() <= calls + 1);
}

#[tokio::test(start_paused = true)]
async fn a_session_once_read_stays_as_it_is() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    let credentials = script.kept();
    let held = credentials.get().await.unwrap();
    pass(5 * HOUR).await;
    assert_eq!(held.generation(), 1);
    assert!(credentials.current().unwrap().generation() > 5);
}
