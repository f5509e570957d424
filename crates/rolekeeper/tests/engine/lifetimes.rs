//! What a handle's end leaves behind (nothing), and that a session goes on for days.

use std::{sync::Arc, time::Duration};

use rolekeeper::{
    Clock, FailureKind, Moment, RefreshPolicy, RefreshableCredentials, clock::Simulated,
};
use rolekeeper_core::{Lifecycle, Wake};

use crate::support::{Answer, HOUR, Script, down, issued, pass, session, settle, timed};

fn kept(script: &Script, clock: &Simulated) -> (RefreshableCredentials, std::sync::Weak<()>) {
    let source = script.source();
    let life = source.life();
    let builder = RefreshableCredentials::builder(source);
    (builder.clock(Clock::Simulated(clock.clone())).build(), life)
}

#[tokio::test(start_paused = true)]
async fn the_last_handles_end_is_the_end_of_refresher_source_and_session() {
    for then in [Answer::Session(HOUR), Answer::Hangs, Answer::Fails(down())] {
        let clock = Simulated::new();
        let script = Script::new(&clock);
        let (credentials, source) = kept(&script, &clock);
        let session = Arc::downgrade(&credentials.get().await.unwrap().share());
        // With another answer under way, or failed, or none.
        script.answers(then.clone());
        pass(40 * Duration::from_secs(60)).await;
        let clone = credentials.clone();
        drop(credentials);
        settle().await;
        assert!(source.upgrade().is_some(), "one handle is left");
        let newest = Arc::downgrade(&clone.current().unwrap().share());
        drop(clone);
        settle().await;
        assert!(source.upgrade().is_none(), "{then:?}");
        assert!(session.upgrade().is_none() && newest.upgrade().is_none(), "wiped");
        let calls = script.calls();
        pass(24 * HOUR).await;
        assert_eq!(script.calls(), calls);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_reader_holds_outlives_the_handle() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    let (credentials, _) = kept(&script, &clock);
    let current = credentials.get().await.unwrap();
    drop(credentials);
    settle().await;
    assert_eq!(current.access_key_id(), "ASIA0001");
}

#[tokio::test(start_paused = true)]
async fn on_demand_too_a_fetch_under_way_ends_with_the_last_handle() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    script.answers(Answer::Hangs);
    let source = script.source();
    let life = source.life();
    let credentials = RefreshableCredentials::builder(source)
        .clock(Clock::Simulated(clock.clone()))
        .policy(RefreshPolicy::on_demand())
        .build();
    let read = tokio::time::timeout(Duration::from_secs(1), credentials.get()).await;
    assert!(read.is_err());
    drop(credentials);
    settle().await;
    assert!(life.upgrade().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_all_clones_and_wipes() {
    for policy in [RefreshPolicy::default(), RefreshPolicy::on_demand()] {
        let clock = Simulated::new();
        let script = Script::new(&clock);
        let credentials = script.kept_by(policy);
        let clone = credentials.clone();
        let held = Arc::downgrade(&credentials.get().await.unwrap().share());
        credentials.shutdown();
        settle().await;
        assert!(held.upgrade().is_none(), "wiped");
        assert!(clone.current().is_none());
        for read in [clone.get().await, clone.refresh_now().await] {
            assert_eq!(read.unwrap_err().kind(), FailureKind::Misconfigured);
        }
        clone.rejected("ASIA0001");
        assert!(!clone.adopt(session(&clock, 9, HOUR)));
        pass(5 * HOUR).await;
        let status = clone.status();
        assert!(status.is_shut_down && status.access_key_id.is_none());
        assert_eq!(script.calls(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_in_the_middle_of_a_fetch_leaves_no_reader_waiting_and_no_session_behind() {
    for policy in [RefreshPolicy::default(), RefreshPolicy::on_demand()] {
        let clock = Simulated::new();
        let script = Script::new(&clock);
        script.takes(Duration::from_secs(5));
        let credentials = script.kept_by(policy);
        let reader = tokio::spawn({
            let (credentials, clock) = (credentials.clone(), clock.clone());
            async move { timed(&clock, credentials.get()).await }
        });
        pass(Duration::from_secs(1)).await;
        credentials.shutdown();
        let (took, read) = reader.await.unwrap();
        assert_eq!(read.unwrap_err().kind(), FailureKind::Misconfigured);
        assert!(took < Duration::from_millis(1010), "{took:?}");
        pass(Duration::from_secs(10)).await;
        assert!(credentials.status().access_key_id.is_none());
        assert!(credentials.current().is_none());
    }
}

/// When the state machine alone asks, in a world that is exact.
fn by_schedule(seed: u64, days: u32) -> usize {
    let mut lifecycle = Lifecycle::new(RefreshPolicy::default(), seed);
    let mut now = Moment::default();
    let end = now.after(days * 24 * HOUR);
    let mut asked = 0;
    while !now.reached(end) {
        if let Wake::Fetch { .. } = lifecycle.wake(now) {
            asked += 1;
            lifecycle.fetched(now, issued(1, now.wall.after(HOUR)).with_issued_at(now.wall));
        }
        now = now.after(lifecycle.wakeup().unwrap().wait(now));
    }
    asked
}

#[tokio::test(start_paused = true)]
async fn a_session_goes_on_for_days_exactly_by_the_schedule() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    let credentials = script.kept();
    for _ in 0..30 * 24 {
        pass(HOUR).await;
        assert!(credentials.current().is_some());
    }
    assert_eq!(script.calls(), by_schedule(7, 30));
    assert_eq!(credentials.status().counters.fetched, script.calls() as u64);
}
