//! What others tell: a service rejects the session, another process has fetched one.

use rolekeeper_core::{Event, Read, RefreshPolicy};

use crate::scene::{HOUR, SECOND, Scene, TICK, denied, secs, throttled};

fn both() -> [RefreshPolicy; 2] {
    [RefreshPolicy::default(), RefreshPolicy::on_demand()]
}

#[test]
fn a_rejection_starts_a_fetch_at_once_and_the_reader_waits_for_it() {
    for policy in both() {
        let mut scene = Scene::holding(policy, HOUR);
        scene.events();
        scene.reject_held();
        assert!(scene.life.is_rejected());
        assert!(scene.life.offer(scene.now()).is_none());
        let events = scene.events();
        assert!(
            matches!(&events[..], [Event::Rejected { access_key_id }] if access_key_id == "ASIA1")
        );
        let attempt = scene.ask();
        assert_eq!(scene.waits(), attempt);
        scene.succeed(HOUR);
        scene.serves("ASIA2");
        assert!(!scene.life.is_rejected());
    }
}

#[test]
fn in_the_background_a_rejection_needs_no_reader() {
    let mut scene = Scene::holding(RefreshPolicy::default(), HOUR);
    scene.reject_held();
    assert!(scene.life.wakeup().expect("at once").is_due(scene.now()));
    scene.begin();
}

#[test]
fn a_rejected_session_is_served_again_marked_if_the_fetch_fails() {
    for policy in both() {
        for failure in [throttled(), denied(), rolekeeper_core::Failure::needs_person("a code")] {
            let mut scene = Scene::holding(policy.clone(), HOUR);
            scene.reject_held();
            let attempt = scene.ask();
            scene.fail(failure);
            let outcome = scene.life.outcome(scene.now(), attempt);
            assert!(matches!(outcome, Read::Serve(_)), "{outcome:?}");
            scene.serves("ASIA1");
            assert!(scene.life.is_rejected(), "marked");
        }
    }
}

#[test]
fn a_rejection_is_not_held_up_by_an_earlier_failure() {
    for policy in both() {
        for failure in [throttled().with_retry_after(secs(200)), denied()] {
            let mut scene = Scene::holding(policy.clone(), HOUR);
            scene.life.refresh_now();
            scene.begin();
            scene.fail(failure);
            scene.reject_held();
            scene.ask();
        }
    }
}

#[test]
fn a_service_that_rejects_everything_causes_one_fetch_in_ten_seconds() {
    for policy in both() {
        let mut scene = Scene::holding(policy, HOUR);
        for _ in 0..1000 {
            scene.reject_held();
            scene.read();
            if let rolekeeper_core::Wake::Fetch { .. } = scene.wake() {
                scene.succeed(HOUR);
            }
            scene.pass(SECOND / 10);
        }
        let attempts = scene.life.counters().attempts - 1;
        assert!((9..=10).contains(&attempts), "{attempts} in 100 s");
    }
}

#[test]
fn a_source_that_answers_a_rejection_with_the_same_session_is_asked_once_in_ten_seconds() {
    for policy in both() {
        let mut scene = Scene::holding(policy, HOUR);
        for _ in 0..1000 {
            scene.reject("ASIA1");
            scene.read();
            if let rolekeeper_core::Wake::Fetch { .. } = scene.wake() {
                scene.succeed_with("ASIA1", HOUR);
                assert!(scene.life.is_rejected());
            }
            scene.pass(SECOND / 10);
        }
        let attempts = scene.life.counters().attempts - 1;
        assert!((9..=10).contains(&attempts), "{attempts} in 100 s");
    }
}

#[test]
fn a_second_rejection_is_put_off_and_its_readers_are_served_meanwhile() {
    for policy in both() {
        let mut scene = Scene::holding(policy, HOUR);
        scene.reject_held();
        scene.ask();
        scene.pass(SECOND);
        scene.succeed(HOUR);
        scene.pass(SECOND).reject_held();
        scene.serves("ASIA2");
        scene.pass(secs(8) - TICK).serves("ASIA2");
        scene.rests();
        scene.pass(TICK);
        scene.read();
        scene.begin();
    }
}

#[test]
fn rejecting_an_old_key_does_nothing() {
    for policy in both() {
        let mut scene = Scene::new(policy);
        scene.reject("ASIA0");
        scene.ask();
        scene.succeed(HOUR);
        scene.life.refresh_now();
        scene.begin();
        scene.succeed(HOUR);
        scene.events();
        scene.reject("ASIA1");
        assert!(!scene.life.is_rejected());
        assert!(scene.events().is_empty());
        assert_eq!(scene.life.counters().rejected, 0);
        scene.serves("ASIA2");
        scene.rests();
    }
}

#[test]
fn a_session_fetched_elsewhere_is_adopted_if_it_ends_later() {
    for policy in both() {
        let mut scene = Scene::holding(policy, HOUR);
        scene.events();
        let (now, sooner) = (scene.now(), scene.elsewhere("SOONER", HOUR - SECOND));
        assert!(!scene.life.adopt(now, sooner));
        let same = scene.elsewhere("SAME", HOUR);
        assert!(!scene.life.adopt(now, same));
        let later = scene.elsewhere("LATER", HOUR + SECOND);
        assert!(scene.life.adopt(now, later));
        scene.serves("LATER");
        assert!(matches!(scene.events()[..], [Event::Adopted]));
        scene.rests();
    }
}

#[test]
fn an_adopted_session_ends_the_wait_and_the_failure() {
    for policy in both() {
        let mut scene = Scene::new(policy);
        let attempt = scene.ask();
        scene.fail(throttled());
        let session = scene.elsewhere("ELSEWHERE", HOUR);
        assert!(scene.life.adopt(scene.now(), session));
        assert!(matches!(scene.life.outcome(scene.now(), attempt), Read::Serve(_)));
        assert!(scene.life.trouble(scene.now()).is_none());
        scene.pass(secs(60)).rests();
    }
}

#[test]
fn a_dead_session_is_never_adopted_and_any_live_one_takes_a_dead_ones_place() {
    for policy in both() {
        let mut scene = Scene::holding(policy, 2 * HOUR);
        let dead = scene.elsewhere("DEAD", 3 * HOUR);
        let short = scene.elsewhere("SHORT", HOUR);
        // By its wall clock alone the held one is dead; by both clocks the other's end is nearer.
        scene.clocks.step_wall(7200);
        let fresh = scene.elsewhere("FRESH", HOUR);
        assert!(!scene.life.adopt(scene.now(), short));
        assert!(scene.life.adopt(scene.now(), fresh));
        scene.serves("FRESH");
        scene.pass(3 * HOUR);
        assert!(!scene.life.adopt(scene.now(), dead));
    }
}

#[test]
fn a_rejected_session_gives_way_to_any_other_key() {
    for policy in both() {
        let mut scene = Scene::holding(policy, HOUR);
        scene.reject_held();
        let same = scene.elsewhere("ASIA1", 2 * HOUR);
        assert!(!scene.life.adopt(scene.now(), same));
        let other = scene.elsewhere("OTHER", HOUR / 2);
        assert!(scene.life.adopt(scene.now(), other));
        scene.serves("OTHER");
        assert!(!scene.life.is_rejected());
        scene.rests();
    }
}

#[test]
fn generations_count_up_also_after_a_session_was_adopted() {
    let mut scene = Scene::new(RefreshPolicy::default());
    let issued = scene.clocks.issue("PARENT", HOUR);
    let inherited = rolekeeper_core::Session::place(issued, scene.now(), 41);
    assert!(scene.life.adopt(scene.now(), inherited.into()));
    scene.life.refresh_now();
    scene.begin();
    scene.succeed(HOUR);
    assert_eq!(scene.life.held().expect("a session").generation(), 42);
}
