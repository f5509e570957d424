//! What a reader gets, in each state, in the background and on demand.

use std::sync::Arc;

use rolekeeper_core::{END_GUARD, Event, FailureKind, Read, RefreshPolicy};

use crate::scene::{HOUR, SECOND, Scene, TICK, denied, secs, throttled};

fn both() -> [RefreshPolicy; 2] {
    [RefreshPolicy::default(), RefreshPolicy::on_demand()]
}

#[test]
fn a_valid_session_is_served_at_once() {
    for policy in both() {
        let mut scene = Scene::holding(policy, HOUR);
        for _ in 0..20 {
            scene.pass(secs(60)).serves("ASIA1");
            scene.offers("ASIA1");
            scene.rests();
        }
        assert_eq!(scene.life.counters().attempts, 1);
    }
}

#[test]
fn in_the_background_a_session_past_its_refresh_point_is_served_at_once() {
    let mut scene = Scene::holding(RefreshPolicy::default(), HOUR);
    scene.pass_to_wakeup();
    scene.serves("ASIA1");
    assert_eq!(scene.begin(), 2);
    scene.pass(secs(10)).serves("ASIA1");
    scene.offers("ASIA1");
    scene.succeed(HOUR);
    scene.serves("ASIA2");
}

#[test]
fn on_demand_one_reader_refreshes_in_the_advisory_window_and_the_others_get_the_old_one() {
    let mut scene = Scene::holding(RefreshPolicy::on_demand(), HOUR);
    scene.pass_to_remaining(secs(15 * 60) + TICK).serves("ASIA1");
    scene.pass(TICK);
    let attempt = scene.ask();
    for _ in 0..3 {
        scene.pass(SECOND).serves("ASIA1");
        scene.offers("ASIA1");
    }
    scene.succeed(HOUR);
    let outcome = scene.life.outcome(scene.now(), attempt);
    assert!(matches!(outcome, Read::Serve(new) if new.access_key_id() == "ASIA2"));
}

#[test]
fn on_demand_everyone_waits_for_the_one_fetch_in_the_mandatory_window() {
    let mut scene = Scene::holding(RefreshPolicy::on_demand(), HOUR);
    scene.pass_to_remaining(secs(60));
    let attempt = scene.ask();
    for _ in 0..3 {
        assert_eq!(scene.waits(), attempt);
        assert!(scene.life.offer(scene.now()).is_none());
        scene.rests();
    }
}

#[test]
fn the_reader_whose_refresh_fails_gets_the_session_that_is_still_valid() {
    for failure in [throttled(), denied()] {
        let mut scene = Scene::holding(RefreshPolicy::on_demand(), HOUR);
        scene.pass_to_remaining(secs(50));
        let attempt = scene.ask();
        scene.fail(failure);
        let outcome = scene.life.outcome(scene.now(), attempt);
        assert!(matches!(outcome, Read::Serve(old) if old.access_key_id() == "ASIA1"));
    }
}

#[test]
fn a_session_whose_refresh_failed_is_served_at_once_and_an_event_says_so() {
    for policy in both() {
        let mut scene = Scene::holding(policy, HOUR);
        scene.pass_to_remaining(secs(14 * 60));
        if let Read::Wait { .. } = scene.read() {}
        scene.begin();
        scene.events();
        scene.fail(throttled());
        scene.serves("ASIA1");
        scene.offers("ASIA1");
        let events = scene.events();
        let [Event::Failed(refusal)] = &events[..] else { panic!("{events:?}") };
        assert_eq!((refusal.attempts, refusal.failure.kind), (1, FailureKind::Unavailable));
        assert_eq!(scene.life.counters().failed, 1);
    }
}

#[test]
fn with_nothing_valid_all_readers_wait_for_the_one_fetch() {
    for policy in both() {
        let mut scene = Scene::new(policy);
        let attempt = scene.ask();
        for _ in 0..5 {
            assert_eq!(scene.pass(SECOND).waits(), attempt);
            scene.rests();
        }
        scene.succeed(HOUR);
        assert!(matches!(scene.life.outcome(scene.now(), attempt), Read::Serve(_)));
    }
}

#[test]
fn with_nothing_valid_readers_get_the_transient_error_within_its_backoff() {
    for policy in both() {
        let mut scene = Scene::new(policy);
        let attempt = scene.ask();
        scene.fail(throttled().with_retry_after(secs(20)));
        let outcome = scene.life.outcome(scene.now(), attempt);
        assert!(matches!(outcome, Read::Refuse(_)), "the reader that waited is told");
        let first = scene.refuses();
        assert_eq!(first.next_try, Some(secs(20)));
        let second = scene.pass(secs(20) - TICK).refuses();
        assert!(Arc::ptr_eq(&first.failure, &second.failure), "that same error");
        assert_eq!(second.next_try, Some(TICK));
        scene.rests();
        scene.pass(TICK).ask();
    }
}

#[test]
fn on_demand_a_first_failure_is_not_kept_and_an_outage_costs_one_call_more() {
    let mut scene = Scene::new(RefreshPolicy::on_demand());
    let attempt = scene.ask();
    scene.fail(throttled());
    let outcome = scene.life.outcome(scene.now(), attempt);
    assert!(matches!(outcome, Read::Refuse(_)), "those who waited share it: {outcome:?}");
    scene.ask();
    scene.fail(throttled());
    let pause = scene.refuses().next_try.expect("a pause");
    scene.rests();
    scene.pass(pause).ask();
}

#[test]
fn with_nothing_valid_readers_get_the_lasting_error_for_five_seconds() {
    for policy in both() {
        for kind in [FailureKind::Denied, FailureKind::Misconfigured, FailureKind::NeedsPerson] {
            let mut scene = Scene::new(policy.clone());
            scene.ask();
            scene.fail(rolekeeper_core::Failure::new(kind, "no"));
            let refusal = scene.pass(secs(5) - TICK).refuses();
            assert_eq!(refusal.failure.kind, kind);
            assert_eq!(
                refusal.next_try, None,
                "only a reader's next call brings the next try about"
            );
            scene.rests();
            scene.pass(TICK).ask();
        }
    }
}

#[test]
fn an_expired_session_is_never_served() {
    for policy in both() {
        let mut scene = Scene::holding(policy.clone(), HOUR);
        scene.pass_to_remaining(END_GUARD + TICK);
        if policy == RefreshPolicy::default() {
            scene.serves("ASIA1");
        }
        let attempt = scene.pass(TICK).ask();
        assert!(scene.life.offer(scene.now()).is_none());
        scene.fail(throttled());
        let outcome = scene.life.outcome(scene.now(), attempt);
        assert!(matches!(outcome, Read::Refuse(_)), "{outcome:?}");
        assert!(scene.life.offer(scene.now()).is_none());
    }
}

#[test]
fn an_expired_session_is_served_where_that_is_asked_for_and_the_source_is_asked_on() {
    for policy in both() {
        for failure in [throttled(), denied()] {
            let policy = policy.clone().with_serve_expired(true);
            let mut scene = Scene::holding(policy.clone(), HOUR);
            let attempt = scene.pass(2 * HOUR).ask();
            scene.fail(failure.clone());
            let outcome = scene.life.outcome(scene.now(), attempt);
            assert!(matches!(outcome, Read::Serve(_)), "{outcome:?}");
            scene.serves("ASIA1");
            // With or without a refresher, the next attempt is made within its pause.
            scene.pass(secs(66));
            if policy == RefreshPolicy::default().with_serve_expired(true) {
                scene.serves("ASIA1");
                assert_eq!(scene.begin(), 2 + 1);
            } else {
                scene.ask();
            }
            scene.serves("ASIA1");
            scene.succeed(HOUR);
            scene.serves("ASIA2");
        }
    }
}

#[test]
fn an_expired_session_that_needs_a_person_is_asked_for_by_readers_alone() {
    for policy in both() {
        let mut scene = Scene::holding(policy.with_serve_expired(true), HOUR);
        scene.pass(2 * HOUR).ask();
        scene.fail(rolekeeper_core::Failure::needs_person("a code is wanted"));
        scene.pass(secs(5) - TICK).serves("ASIA1");
        scene.rests();
        scene.pass(TICK).rests();
        scene.ask();
        scene.serves("ASIA1");
    }
}

#[test]
fn the_lock_free_offer_ends_where_a_configured_window_or_the_session_ends() {
    for (advisory, mandatory) in [(0, 0), (0, 60), (60, 600), (600, 60)] {
        for policy in [RefreshPolicy::on_demand(), RefreshPolicy::sdk_standard()] {
            let policy =
                policy.with_advisory_window(secs(advisory)).with_mandatory_window(secs(mandatory));
            let mut scene = Scene::holding(policy, HOUR);
            let offer = scene.life.offer(scene.now()).expect("an offer");
            let first = secs(advisory).max(secs(mandatory)).max(END_GUARD);
            assert_eq!(scene.now().until(offer.until), scene.remaining() - first);
            scene.pass_to_remaining(first + TICK).serves("ASIA1");
            scene.pass(TICK).waits();
        }
    }
}

#[test]
fn a_reader_that_waited_gets_what_came_though_it_is_in_its_window_from_the_start() {
    let wide = RefreshPolicy::sdk_standard().with_mandatory_window(HOUR);
    for policy in [RefreshPolicy::sdk_standard(), wide] {
        let mut scene = Scene::new(policy);
        let attempt = scene.ask();
        scene.succeed(secs(50));
        for _ in 0..2 {
            let outcome = scene.life.outcome(scene.now(), attempt);
            assert!(matches!(outcome, Read::Serve(_)), "{outcome:?}");
        }
        scene.rests();
    }
}

#[test]
fn a_configured_window_as_wide_as_a_session_costs_one_fetch_and_not_one_a_read() {
    let policy =
        RefreshPolicy::on_demand().with_advisory_window(secs(900)).with_mandatory_window(secs(600));
    let mut scene = Scene::new(policy);
    scene.ask();
    scene.succeed(secs(900));
    for _ in 0..1000 {
        assert!(matches!(scene.read(), Read::Serve(_)));
        scene.rests();
    }
    scene.pass_to_remaining(secs(900 * 3 / 4)).ask();
}

#[test]
fn a_session_in_its_last_moments_is_not_refused_for_an_error_that_is_still_kept() {
    for left in 2..30 {
        let mut scene = Scene::holding(RefreshPolicy::on_demand(), HOUR);
        scene.pass_to_remaining(secs(left)).ask();
        scene.fail(denied());
        while scene.remaining() > END_GUARD {
            assert!(!matches!(scene.read(), Read::Refuse(_)), "{:?}", scene.life);
            scene.pass(SECOND / 4);
        }
    }
}
