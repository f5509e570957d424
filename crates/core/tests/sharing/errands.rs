//! One participant, told what the store and the source say.

use std::time::Duration;

use rolekeeper_core::{
    Credentials, Failure, FailureKind, Fence, Issued, Lease, Moment, RefreshPolicy, Sharing, Step,
    StoreTrouble, WallTime,
};

const POLL: Duration = Duration::from_millis(20);

fn participant() -> Sharing {
    Sharing::new(RefreshPolicy::default(), POLL, 7)
}

fn at(secs: u32) -> Moment {
    Moment::default().after(Duration::from_secs(secs.into()))
}

/// Of an hour, issued and arrived at `secs`.
fn hour(key: &str, secs: u32) -> Issued {
    let end = WallTime::from_unix_secs(i64::from(secs) + 3600);
    Issued::new(Credentials::new(key, "secret", "token"), end)
        .with_issued_at(at(secs).wall)
        .with_arrived(at(secs))
}

#[track_caller]
fn done(step: Step) -> Result<String, Failure> {
    match step {
        Step::Done(outcome) => outcome.map(|issued| issued.credentials.access_key_id),
        other => panic!("{other:?}"),
    }
}

/// As far as the fetch of the one who was granted the lease.
fn granted(sharing: &mut Sharing, now: Moment) -> Fence {
    assert!(matches!(sharing.begin(at(0)), Step::Load));
    assert!(matches!(sharing.loaded(now, Ok(None)), Step::Lease));
    assert!(matches!(sharing.leased(now, Ok(Lease::Granted(Fence(4)))), Step::Load));
    match sharing.loaded(now, Ok(None)) {
        Step::Fetch { lease: Some(fence) } => fence,
        other => panic!("{other:?}"),
    }
}

#[test]
fn with_an_empty_store_the_one_with_the_lease_fetches_and_saves() {
    let mut sharing = participant();
    let fence = granted(&mut sharing, at(0));
    let step = sharing.fetched(at(0), Ok(hour("A", 0)));
    let Step::Save { fence: saved_under, issued } = step else { panic!("{step:?}") };
    assert_eq!(saved_under, fence);
    // The save itself ends the lease.
    assert_eq!(done(sharing.saved(at(0), issued)), Ok("A".to_owned()));
}

#[test]
fn a_fresh_session_is_taken_without_a_lease() {
    let mut sharing = participant();
    sharing.begin(at(0));
    let step = sharing.loaded(at(600), Ok(Some(hour("A", 0))));
    assert_eq!(done(step), Ok("A".to_owned()));
}

#[test]
fn a_session_that_was_saved_while_the_lease_was_granted_is_taken() {
    let mut sharing = participant();
    sharing.begin(at(0));
    sharing.loaded(at(0), Ok(None));
    sharing.leased(at(0), Ok(Lease::Granted(Fence(4))));
    let step = sharing.loaded(at(1), Ok(Some(hour("A", 0))));
    assert_eq!(done(step), Ok("A".to_owned()));
}

#[test]
fn who_gets_no_lease_waits_and_looks_again() {
    let mut sharing = participant();
    sharing.begin(at(0));
    sharing.loaded(at(0), Ok(None));
    let step = sharing.leased(at(0), Ok(Lease::Taken { left: None }));
    let Step::Wait(wait) = step else { panic!("{step:?}") };
    assert!(wait >= POLL / 2 && wait <= POLL);
    assert!(matches!(sharing.waited(), Step::Load));
    assert_eq!(done(sharing.loaded(at(0), Ok(Some(hour("A", 0))))), Ok("A".to_owned()));
}

#[test]
fn nobody_waits_longer_than_a_lease_lasts() {
    let mut sharing = participant();
    sharing.begin(at(0));
    sharing.loaded(at(0), Ok(None));
    let left = Some(Duration::from_millis(1));
    let step = sharing.leased(at(0), Ok(Lease::Taken { left }));
    assert!(matches!(step, Step::Wait(wait) if Some(wait) == left));
}

#[test]
fn a_holder_of_whom_no_end_is_known_is_waited_for_in_vain_only_so_long() {
    let known = Lease::Taken { left: Some(Duration::from_secs(3)) };
    let unknown = Lease::Taken { left: None };
    // Of the 10 s that an attempt may take, the last quarter is left.
    for (lease, secs, goes_alone) in [(&unknown, 7, false), (&unknown, 8, true), (&known, 9, false)]
    {
        let mut sharing = participant();
        sharing.begin(at(0));
        sharing.loaded(at(secs), Ok(None));
        let step = sharing.leased(at(secs), Ok(lease.clone()));
        assert_eq!(matches!(step, Step::Fetch { lease: None }), goes_alone, "{step:?}");
    }
}

#[test]
fn the_session_in_hand_is_no_news_and_one_that_ends_earlier_is_none() {
    let mut sharing = participant();
    sharing.begin(at(0));
    assert!(done(sharing.loaded(at(600), Ok(Some(hour("B", 600))))).is_ok());
    for stored in [hour("B", 600), hour("A", 0)] {
        sharing.begin(at(0));
        let step = sharing.loaded(at(700), Ok(Some(stored)));
        assert!(matches!(step, Step::Lease), "{step:?}");
    }
}

#[test]
fn a_refused_session_is_replaced_by_any_other_and_never_taken_again() {
    let mut sharing = participant();
    sharing.begin(at(0));
    assert!(done(sharing.loaded(at(600), Ok(Some(hour("B", 600))))).is_ok());
    sharing.refused("another");
    sharing.refused("B");
    sharing.begin(at(0));
    assert!(matches!(sharing.loaded(at(700), Ok(Some(hour("B", 600)))), Step::Lease));
    sharing.begin(at(0));
    assert_eq!(done(sharing.loaded(at(700), Ok(Some(hour("A", 0))))), Ok("A".to_owned()));
}

#[test]
fn what_was_refused_is_not_taken_again_though_its_successor_was_no_good() {
    let ended = Issued::new(Credentials::new("B", "secret", "token"), at(59).wall);
    for (successor, is_refused_too) in [(ended, false), (hour("B", 60), true)] {
        let mut sharing = participant();
        sharing.begin(at(0));
        assert!(done(sharing.loaded(at(0), Ok(Some(hour("A", 0))))).is_ok());
        sharing.refused("A");
        sharing.begin(at(60));
        let step = sharing.loaded(at(60), Err(StoreTrouble));
        assert!(matches!(step, Step::Fetch { lease: None }), "{step:?}");
        // The store still has the first.
        sharing.fetched(at(60), Ok(successor));
        if is_refused_too {
            sharing.refused("B");
        }
        sharing.begin(at(120));
        let step = sharing.loaded(at(120), Ok(Some(hour("A", 0))));
        assert!(matches!(step, Step::Lease), "{is_refused_too}: {step:?}");
    }
}

#[test]
fn what_has_ended_is_as_if_it_were_not_there() {
    let mut sharing = participant();
    sharing.begin(at(0));
    sharing.loaded(at(3600), Ok(Some(hour("A", 0))));
    sharing.leased(at(3600), Ok(Lease::Granted(Fence(1))));
    sharing.loaded(at(3600), Ok(Some(hour("A", 0))));
    let failure = Failure::unavailable("no STS");
    let step = sharing.fetched(at(3600), Err(failure.clone()));
    assert!(matches!(step, Step::Cool { .. }));
    assert_eq!(done(sharing.cooled(at(3600), failure.clone())), Err(failure));
}

#[test]
fn past_its_refresh_point_a_session_is_served_only_if_the_source_fails() {
    let mut sharing = participant();
    sharing.begin(at(0));
    assert!(matches!(sharing.loaded(at(3000), Ok(Some(hour("A", 0)))), Step::Lease));
    sharing.leased(at(3000), Ok(Lease::Granted(Fence(1))));
    let step = sharing.loaded(at(3000), Ok(Some(hour("A", 0))));
    assert!(matches!(step, Step::Fetch { lease: Some(Fence(1)) }));
    let failure = Failure::unavailable("no STS");
    sharing.fetched(at(3001), Err(failure.clone()));
    assert_eq!(done(sharing.cooled(at(3001), failure)), Ok("A".to_owned()));
}

#[test]
fn a_failure_is_shared_with_those_who_ask_within_its_pause() {
    let mut sharing = participant();
    granted(&mut sharing, at(0));
    let failure = Failure::denied("no such role");
    let step = sharing.fetched(at(0), Err(failure.clone()));
    let Step::Cool { failure: told, pause, .. } = step else { panic!("{step:?}") };
    let mut other = participant();
    other.begin(at(0));
    other.loaded(at(0), Ok(None));
    let step = other.leased(at(0), Ok(Lease::Cooling { failure: told, left: pause }));
    // It comes back when the pause is over, and not before.
    assert_eq!(done(step), Err(failure.with_retry_after(pause)));
}

#[test]
fn what_the_source_said_of_time_to_another_counts_from_then() {
    let mut sharing = participant();
    sharing.begin(at(0));
    sharing.loaded(at(0), Ok(None));
    let asked = Failure::unavailable("not now").with_retry_after(Duration::from_secs(300));
    let failure = asked.clone().with_issuer_now(at(0).wall);
    let left = Duration::from_secs(10);
    let told = done(sharing.leased(at(290), Ok(Lease::Cooling { failure, left })));
    assert_eq!(told, Err(asked.with_retry_after(left)));
}

#[test]
fn what_may_be_wrong_in_one_process_alone_is_told_to_nobody_else() {
    for kind in [FailureKind::NeedsPerson, FailureKind::Misconfigured] {
        let mut sharing = participant();
        granted(&mut sharing, at(0));
        let failure = Failure::new(kind, "no code was given");
        assert_eq!(done(sharing.fetched(at(0), Err(failure.clone()))), Err(failure));
    }
}

#[test]
fn a_source_that_asks_to_be_left_alone_is_left_alone_by_all() {
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    for kind in [FailureKind::Unavailable, FailureKind::Denied] {
        for (asked, pause) in [(minutes(2), minutes(2)), (minutes(60), minutes(5))] {
            let mut sharing = participant();
            granted(&mut sharing, at(0));
            let failure = Failure::new(kind, "not now").with_retry_after(asked);
            let step = sharing.fetched(at(0), Err(failure));
            assert!(matches!(step, Step::Cool { pause: told, .. } if told == pause), "{step:?}");
        }
    }
}

#[test]
fn whatever_fails_in_the_store_the_source_is_asked() {
    type Fails = fn(&mut Sharing) -> Step;
    let fails: [Fails; 3] = [
        |sharing| {
            sharing.begin(at(0));
            sharing.loaded(at(0), Err(StoreTrouble))
        },
        |sharing| {
            sharing.begin(at(0));
            sharing.loaded(at(0), Ok(None));
            sharing.leased(at(0), Err(StoreTrouble))
        },
        |sharing| {
            sharing.begin(at(0));
            sharing.loaded(at(0), Ok(None));
            sharing.leased(at(0), Ok(Lease::Granted(Fence(1))));
            sharing.loaded(at(0), Err(StoreTrouble))
        },
    ];
    for fails in fails {
        let mut sharing = participant();
        let step = fails(&mut sharing);
        assert!(matches!(step, Step::Fetch { lease: None }), "{step:?}");
        let step = sharing.fetched(at(0), Ok(hour("A", 0)));
        assert_eq!(done(step), Ok("A".to_owned()));
        // The next errand tries the store again.
        assert!(matches!(sharing.begin(at(0)), Step::Load));
    }
}

#[test]
fn who_has_much_of_a_session_left_waits_for_the_store_to_come_back() {
    // Of an hour's last 30 minutes, a third to two thirds are for asking alone.
    for (secs, is_patient) in [(1800, true), (2300, true), (3100, false), (3599, false)] {
        let mut sharing = participant();
        let fence = granted(&mut sharing, at(0));
        let Step::Save { issued, .. } = sharing.fetched(at(0), Ok(hour("A", 0))) else { panic!() };
        sharing.saved(at(0), issued);
        assert_eq!(fence, Fence(4));
        sharing.begin(at(secs));
        let step = sharing.loaded(at(secs), Err(StoreTrouble));
        if is_patient {
            let failure = done(step).unwrap_err();
            assert_eq!(failure.kind, FailureKind::Unavailable);
            // The next errand asks the store again.
            assert!(matches!(sharing.begin(at(secs)), Step::Load));
        } else {
            assert!(matches!(step, Step::Fetch { lease: None }), "{secs}: {step:?}");
        }
    }
}

#[test]
fn a_session_that_was_refused_is_replaced_without_the_store() {
    let mut sharing = participant();
    sharing.begin(at(0));
    sharing.loaded(at(60), Ok(Some(hour("A", 0))));
    sharing.refused("A");
    sharing.begin(at(61));
    let step = sharing.loaded(at(61), Err(StoreTrouble));
    assert!(matches!(step, Step::Fetch { lease: None }), "{step:?}");
}

#[test]
fn without_a_store_a_spare_session_is_still_served_when_the_source_fails() {
    let mut sharing = participant();
    sharing.begin(at(0));
    sharing.loaded(at(3000), Ok(Some(hour("A", 0))));
    assert!(matches!(sharing.leased(at(3000), Err(StoreTrouble)), Step::Fetch { lease: None }));
    let step = sharing.fetched(at(3001), Err(Failure::unavailable("no STS")));
    assert_eq!(done(step), Ok("A".to_owned()));
}
