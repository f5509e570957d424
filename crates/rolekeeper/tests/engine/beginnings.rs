//! What credentials can be given to begin with: a session, a wall clock, an observer.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use rolekeeper::{
    Clock, EventKind, Failure, Issued, RefreshPolicy, RefreshableCredentials, WallTime,
    clock::Simulated,
    sources::{Callback, sort_sts_code},
};

use crate::support::{Answer, HOUR, MINUTE, Script, denied, down, issued, pass, settle};

fn holding(
    script: &Script,
    clock: &Simulated,
    policy: RefreshPolicy,
    left: i64,
) -> RefreshableCredentials {
    let now = clock.now().wall.as_unix_secs();
    RefreshableCredentials::builder(script.source())
        .clock(Clock::Simulated(clock.clone()))
        .policy(policy)
        .seed(7)
        .session(issued(99, WallTime::from_unix_secs(now + left)))
        .build()
}

#[tokio::test(start_paused = true)]
async fn a_session_in_hand_is_served_at_once_and_nothing_is_fetched_before_its_time() {
    for policy in [RefreshPolicy::default(), RefreshPolicy::on_demand()] {
        let clock = Simulated::new();
        let script = Script::new(&clock);
        let credentials = holding(&script, &clock, policy, 3600);
        assert_eq!(credentials.ready().unwrap().access_key_id(), "ASIA0099");
        pass(20 * MINUTE).await;
        assert_eq!(credentials.get().await.unwrap().access_key_id(), "ASIA0099");
        assert_eq!(script.calls(), 0);
        pass(35 * MINUTE).await;
        credentials.get().await.unwrap();
        settle().await;
        assert_eq!(script.calls(), 1);
        assert_eq!(credentials.get().await.unwrap().access_key_id(), "ASIA0001");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_in_hand_that_has_ended_is_never_served() {
    for policy in [RefreshPolicy::default(), RefreshPolicy::on_demand()] {
        let clock = Simulated::new();
        let script = Script::new(&clock);
        let credentials = holding(&script, &clock, policy, -1);
        assert!(credentials.ready().is_none() && credentials.current().is_none());
        assert_eq!(credentials.get().await.unwrap().access_key_id(), "ASIA0001");
    }
}

#[tokio::test(start_paused = true)]
async fn by_the_sdks_rule_an_ended_session_in_hand_is_served_if_the_source_fails() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    script.answers(Answer::Fails(down()));
    let credentials = holding(&script, &clock, RefreshPolicy::sdk_standard(), -60);
    assert_eq!(credentials.get().await.unwrap().access_key_id(), "ASIA0099");
    credentials.get().await.unwrap();
    assert_eq!(script.calls(), 1, "and the source is left alone");
}

#[tokio::test(start_paused = true)]
async fn ready_never_does_what_a_reader_would_have_to() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    let credentials = script.kept_by(RefreshPolicy::on_demand());
    assert!(credentials.ready().is_none());
    settle().await;
    assert_eq!(script.calls(), 0);

    credentials.get().await.unwrap();
    assert_eq!(credentials.ready().unwrap().generation(), 1);
    pass(50 * MINUTE).await;
    assert!(credentials.ready().is_none(), "in the advisory window this reader would refresh");
    assert!(credentials.current().is_some());
}

#[tokio::test(start_paused = true)]
async fn an_observer_is_told_everything_in_order() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    let told = Arc::new(Mutex::new(Vec::new()));
    let credentials = RefreshableCredentials::builder(script.source())
        .clock(Clock::Simulated(clock.clone()))
        .observer({
            let told = Arc::clone(&told);
            move |event| {
                told.lock().unwrap().push(match event.kind {
                    EventKind::Fetched { .. } => "fetched",
                    EventKind::Failed(_) => "failed",
                    EventKind::Rejected { .. } => "rejected",
                    EventKind::Expired => "expired",
                    _ => "other",
                });
                std::panic::resume_unwind(Box::new("harms nobody but the observer"));
            }
        })
        .build();
    credentials.get().await.unwrap();
    credentials.rejected("ASIA0001");
    settle().await;
    script.answers(Answer::Fails(denied()));
    pass(HOUR).await;
    let mut told = told.lock().unwrap().clone();
    told.dedup();
    assert_eq!(told, ["fetched", "rejected", "fetched", "failed", "expired"]);
}

/// A wall clock of the test's, in seconds.
fn wall() -> (Arc<AtomicI64>, Clock) {
    let seconds = Arc::new(AtomicI64::new(1_900_000_000));
    let told = Arc::clone(&seconds);
    (seconds, Clock::with_wall(move || WallTime::from_unix_secs(told.load(Ordering::SeqCst))))
}

#[tokio::test]
async fn a_wall_clock_of_the_callers_judges_each_read() {
    let (seconds, clock) = wall();
    let source = {
        let seconds = Arc::clone(&seconds);
        Callback::new("callback", move || {
            let end = WallTime::from_unix_secs(seconds.load(Ordering::SeqCst) + 3600);
            async move { Ok::<Issued, Failure>(issued(1, end)) }
        })
    };
    let credentials = RefreshableCredentials::builder(source)
        .clock(clock)
        .policy(RefreshPolicy::on_demand())
        .build();
    assert_eq!(credentials.get().await.unwrap().generation(), 1);
    assert!(credentials.ready().is_some());
    seconds.fetch_add(3600, Ordering::SeqCst);
    assert!(credentials.ready().is_none(), "it has ended by that clock");
    assert_eq!(credentials.get().await.unwrap().generation(), 2);
}

#[tokio::test]
async fn a_refresher_notices_a_step_of_the_callers_wall_clock() {
    let (seconds, clock) = wall();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let source = {
        let seconds = Arc::clone(&seconds);
        Callback::new("callback", move || {
            let _ = tell.send(());
            let end = WallTime::from_unix_secs(seconds.load(Ordering::SeqCst) + 3600);
            async move { Ok::<Issued, Failure>(issued(1, end)) }
        })
    };
    let credentials = RefreshableCredentials::builder(source).clock(clock).build();
    credentials.get().await.unwrap();
    told.recv().await.unwrap();
    seconds.fetch_add(3000, Ordering::SeqCst);
    // Nobody reads; within a second or so it looks again.
    tokio::time::timeout(10 * Duration::from_secs(1), told.recv()).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_ended_session_in_hand_is_replaced_in_the_background_with_nobody_reading() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    let _credentials = holding(&script, &clock, RefreshPolicy::default(), -1);
    settle().await;
    assert_eq!(script.calls(), 1);
}

#[test]
fn deadlines_do_not_depend_on_the_callers_wall_clock() {
    let (_, clock) = wall();
    let source = Callback::new("callback", std::future::pending::<Result<Issued, Failure>>);
    let policy = RefreshPolicy::default().with_read_deadline(Duration::from_millis(20));
    let credentials = RefreshableCredentials::builder(source).clock(clock).policy(policy).build();
    assert!(credentials.blocking_get().is_err());
}

#[test]
fn a_simulated_calendar_begins_where_it_is_told() {
    let clock = Simulated::starting_at(WallTime::from_unix_secs(1_900_000_000));
    assert_eq!(clock.now().wall.as_unix_secs(), 1_900_000_000);
}

#[test]
fn the_codes_of_sts_are_sorted_for_others_too() {
    for (code, status, kind) in [
        ("AccessDenied", 403, "denied"),
        ("Throttling", 400, "unavailable"),
        ("InternalFailure", 500, "unavailable"),
        ("ValidationError", 400, "denied"),
    ] {
        assert_eq!(sort_sts_code(code, "", status).0.as_str(), kind, "{code}");
    }
}
