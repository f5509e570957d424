//! The server's clock, and what becomes of a host whose own is wrong.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

use rolekeeper::{Clock, FailureKind, Source, sources::Surroundings};

use crate::support::{NO_VARIABLES, lasts, nothing_but, role, sandbox};

/// This machine's clock, off by as many seconds as the number says.
fn off_by(seconds: &Arc<AtomicI64>) -> Surroundings {
    let seconds = Arc::clone(seconds);
    Surroundings::with_variables(NO_VARIABLES).with_clock(move || {
        let now = SystemTime::from(Clock::System.now().wall);
        let off = seconds.load(Ordering::Relaxed);
        let distance = Duration::from_secs(off.unsigned_abs());
        if off < 0 { now - distance } else { now + distance }
    })
}

#[tokio::test]
async fn a_wrong_clock_costs_one_more_call_once_and_is_remembered() {
    for seconds in [-1200, 1200] {
        let sandbox = sandbox().await;
        let clock = Arc::new(AtomicI64::new(seconds));
        let role = role(&sandbox, "demo").surroundings(off_by(&clock)).build().await.unwrap();
        role.fetch().await.unwrap();
        assert_eq!((sandbox.counts().failed("AssumeRole"), sandbox.counts().total()), (1, 2));
        role.fetch().await.unwrap();
        assert_eq!(sandbox.counts().total(), 3, "the second fetch signs by the server's clock");

        clock.store(0, Ordering::Relaxed); // somebody sets it right
        role.fetch().await.unwrap();
        assert_eq!(sandbox.counts().total(), 5);
        role.fetch().await.unwrap();
        assert_eq!(sandbox.counts().total(), 6);
    }
}

#[tokio::test]
async fn a_clock_that_is_a_little_off_is_no_matter() {
    let sandbox = sandbox().await;
    let clock = Arc::new(AtomicI64::new(120));
    let role = role(&sandbox, "demo").surroundings(off_by(&clock)).build().await.unwrap();
    role.fetch().await.unwrap();
    assert_eq!(sandbox.counts().total(), 1);
}

#[tokio::test]
async fn a_refusal_for_the_time_is_tried_once_more_and_no_more() {
    let sandbox = sandbox().await;
    let role = role(&sandbox, "demo").build().await.unwrap();
    // A Date that lies about the clock that signatures are judged by.
    sandbox.faults().set(nothing_but(|f| {
        f.clock_offset_seconds = 1200;
        f.date_header_offset_seconds = -1200;
    }));
    let failure = role.fetch().await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Denied);
    assert!(failure.hint.unwrap().starts_with("set this machine's clock"));
    assert_eq!(sandbox.counts().total(), 2);
}

#[tokio::test]
async fn the_answers_date_is_the_issuers_clock() {
    let sandbox = sandbox().await;
    let role = role(&sandbox, "demo").build().await.unwrap();
    let exact = role.fetch().await.unwrap();
    assert!(lasts(&exact, Duration::from_secs(3600)));

    sandbox.faults().set(nothing_but(|f| f.clock_offset_seconds = 240));
    let ahead = role.fetch().await.unwrap();
    assert!(lasts(&ahead, Duration::from_secs(3600)));
    assert!(ahead.issued_at.unwrap().since(exact.issued_at.unwrap()) >= Duration::from_secs(240));
}
