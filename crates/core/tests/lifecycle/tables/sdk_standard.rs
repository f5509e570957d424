//! On demand by the rules that the AWS SDKs converge on.

use std::{sync::Arc, time::Duration};

use rolekeeper_core::{Failure, FailureKind, Read, RefreshMode, RefreshPolicy};

use crate::scene::{HOUR, SECOND, Scene, TICK, denied, secs, throttled};

fn minutes(minutes: u64, seconds: u64) -> Duration {
    secs(minutes * 60 + seconds)
}

fn holding(life: Duration) -> Scene {
    Scene::holding(RefreshPolicy::sdk_standard(), life)
}

/// In the advisory window, where the next reader refreshes.
fn in_advisory() -> Scene {
    let mut scene = holding(HOUR);
    scene.pass_to_remaining(minutes(10, 0));
    scene
}

#[track_caller]
fn refreshes_from(scene: &mut Scene, window: Duration) {
    scene.pass_to_remaining(window + TICK);
    let key = scene.key();
    scene.serves(&key);
    scene.offers(&key);
    assert!(scene.life.offer(scene.now()).is_some());
    scene.pass(TICK);
    assert!(scene.life.offer(scene.now()).is_none());
    scene.ask();
    // One reader refreshes, the others get the old one.
    scene.serves(&key);
}

#[test]
fn the_advisory_window_follows_the_lifetime() {
    for (life, window) in [
        (minutes(15, 0), minutes(5, 0)),
        (minutes(20, 0), minutes(5, 0)),
        (minutes(20, 30), minutes(15, 0)),
        (minutes(89, 59), minutes(15, 0)),
        (minutes(90, 0), minutes(60, 0)),
        (12 * HOUR, minutes(60, 0)),
    ] {
        refreshes_from(&mut holding(life), window);
    }
}

#[test]
fn the_windows_are_computed_anew_after_the_next_success() {
    let mut scene = holding(minutes(15, 0));
    refreshes_from(&mut scene, minutes(5, 0));
    scene.fail(throttled());
    // Fixed for that session, also over failures.
    scene.serves("ASIA1");
    scene.pass(secs(600));
    scene.ask();
    scene.succeed(minutes(90, 0));
    refreshes_from(&mut scene, minutes(60, 0));
    scene.succeed(minutes(60, 0));
    refreshes_from(&mut scene, minutes(15, 0));
}

#[test]
fn configured_windows_override_the_table() {
    let policy = RefreshPolicy::sdk_standard()
        .with_advisory_window(minutes(30, 0))
        .with_mandatory_window(minutes(10, 0));
    for life in [minutes(45, 0), minutes(90, 0), 12 * HOUR] {
        let mut scene = Scene::holding(policy.clone(), life);
        refreshes_from(&mut scene, minutes(30, 0));
        scene.pass_to_remaining(minutes(10, 0) + TICK).serves("ASIA1");
        scene.pass(TICK).waits();
    }
}

#[test]
fn in_the_last_minute_everyone_waits_for_one_fetch() {
    let mut scene = holding(HOUR);
    scene.pass_to_remaining(minutes(10, 0));
    let attempt = scene.ask();
    scene.pass_to_remaining(secs(60) + TICK).serves("ASIA1");
    scene.pass(TICK);
    for _ in 0..3 {
        assert_eq!(scene.waits(), attempt);
        scene.rests();
    }
    scene.succeed(HOUR);
    scene.serves("ASIA2");
}

#[test]
fn a_failed_refresh_leaves_the_source_alone_for_five_to_ten_minutes() {
    let (mut least, mut most) = (Duration::MAX, Duration::ZERO);
    for seed in 0..300 {
        let mut scene = Scene::seeded(RefreshPolicy::sdk_standard(), seed);
        scene.ask();
        scene.succeed(HOUR);
        scene.pass_to_remaining(minutes(15, 0)).ask();
        // It is the rule's own wait, whatever the source asks for.
        scene.fail(throttled().with_retry_after(secs(2)));
        let wait = scene.life.trouble(scene.now()).expect("a failure").next_try.expect("planned");
        scene.serves("ASIA1");
        scene.offers("ASIA1");
        scene.pass(wait - TICK).serves("ASIA1");
        scene.rests();
        scene.pass(TICK);
        assert!(scene.life.offer(scene.now()).is_none());
        scene.ask();
        (least, most) = (least.min(wait), most.max(wait));
    }
    assert!(least >= secs(300) && least < secs(310), "{least:?}");
    assert!(most <= secs(600) && most > secs(590), "{most:?}");
}

#[test]
fn the_cached_session_is_served_even_past_its_end() {
    let mut scene = holding(HOUR);
    scene.pass_to_remaining(secs(30)).ask();
    scene.fail(throttled());
    scene.pass(secs(299)).serves("ASIA1");
    assert_eq!(scene.remaining(), Duration::ZERO);
    scene.offers("ASIA1");
    // Each next failure holds off again, hours past the end.
    for _ in 0..20 {
        scene.pass(secs(600));
        let attempt = scene.ask();
        assert_eq!(scene.waits(), attempt, "with nothing valid everyone waits for the fetch");
        scene.fail(throttled());
        assert!(matches!(scene.life.outcome(scene.now(), attempt), Read::Serve(_)));
        scene.pass(secs(300) - TICK).serves("ASIA1");
        scene.rests();
    }
    scene.pass(secs(300)).ask();
    scene.succeed(HOUR);
    scene.serves("ASIA2");
}

#[test]
fn an_answer_that_is_already_expired_counts_as_a_failed_refresh() {
    let mut scene = in_advisory();
    let attempt = scene.ask();
    scene.succeed(Duration::ZERO);
    assert!(matches!(scene.life.outcome(scene.now(), attempt), Read::Serve(_)));
    assert_eq!(scene.key(), "ASIA1");
    scene.pass(secs(300) - TICK).serves("ASIA1");
    scene.rests();
    let failure = scene.life.trouble(scene.now()).expect("a failure").failure;
    assert_eq!(failure.kind, FailureKind::BadAnswer);
    scene.pass(secs(301));
    scene.waits();
}

#[test]
fn with_nothing_cached_a_failure_is_raised_and_the_next_call_tries_again() {
    let mut scene = Scene::new(RefreshPolicy::sdk_standard());
    for _ in 0..5 {
        let attempt = scene.ask();
        scene.fail(throttled());
        // All that waited for this attempt are told of its failure.
        for _ in 0..2 {
            assert!(matches!(scene.life.outcome(scene.now(), attempt), Read::Refuse(_)));
        }
    }
}

#[test]
fn what_cannot_recover_is_raised_at_once_even_in_the_advisory_window() {
    let person = Failure::needs_person("a login");
    let setting = Failure::misconfigured("no such profile");
    for failure in [denied(), person, setting] {
        let (mut least, mut most) = (Duration::MAX, Duration::ZERO);
        for seed in 0..100 {
            let mut scene = Scene::seeded(RefreshPolicy::sdk_standard(), seed);
            scene.ask();
            scene.succeed(HOUR);
            scene.pass_to_remaining(minutes(10, 0));
            let attempt = scene.ask();
            scene.fail(failure.clone());
            let outcome = scene.life.outcome(scene.now(), attempt);
            let Read::Refuse(first) = outcome else { panic!("{outcome:?}") };
            assert!(scene.life.offer(scene.now()).is_none());
            // Kept for 1 to 5 s, and raised again without asking the source.
            let mut kept = Duration::ZERO;
            let step = Duration::from_millis(20);
            while let Read::Refuse(again) = scene.read() {
                assert!(Arc::ptr_eq(&first.failure, &again.failure));
                scene.rests();
                scene.pass(step);
                kept += step;
            }
            // No backoff.
            scene.ask();
            (least, most) = (least.min(kept), most.max(kept));
        }
        assert!(least >= SECOND && least < secs(2), "{least:?}");
        assert!(most <= secs(5) + SECOND / 50 && most > secs(4), "{most:?}");
    }
}

#[test]
fn what_cannot_recover_does_not_serve_a_session_past_its_end() {
    let mut scene = holding(HOUR);
    scene.pass(2 * HOUR).ask();
    scene.fail(denied());
    scene.refuses();
    scene.pass(secs(5)).ask();
}

#[test]
fn a_rejected_current_key_sends_the_next_read_through_the_mandatory_path() {
    let mut scene = holding(HOUR);
    scene.pass(SECOND).reject_held();
    assert!(scene.life.offer(scene.now()).is_none());
    let attempt = scene.ask();
    assert_eq!(scene.waits(), attempt, "everyone waits");
    scene.succeed(HOUR);
    scene.serves("ASIA2");
}

#[test]
fn a_rejected_old_key_does_nothing() {
    let mut scene = holding(HOUR);
    scene.pass(SECOND).reject("ASIA0");
    scene.serves("ASIA1");
    scene.offers("ASIA1");
    scene.rests();
}

#[test]
fn a_rejection_does_not_lift_a_running_backoff() {
    let mut scene = in_advisory();
    scene.ask();
    scene.fail(throttled());
    scene.reject("ASIA0");
    scene.reject_held();
    scene.pass(secs(300) - TICK).serves("ASIA1");
    scene.offers("ASIA1");
    scene.rests();
    scene.pass(secs(301));
    let attempt = scene.ask();
    assert_eq!(scene.waits(), attempt, "then everyone waits");
}

#[test]
fn a_rejected_session_is_served_through_the_hold_off_if_its_refresh_fails() {
    let mut scene = holding(HOUR);
    scene.reject_held();
    let attempt = scene.ask();
    scene.fail(throttled());
    assert!(matches!(scene.life.outcome(scene.now(), attempt), Read::Serve(_)));
    assert!(scene.life.is_rejected());
    scene.pass(secs(299)).serves("ASIA1");
}

#[test]
fn with_a_refresher_the_same_rules_do_not_make_a_hot_loop() {
    let policy = RefreshPolicy::sdk_standard().with_mode(RefreshMode::Background);
    // Nothing cached: the next call tries again, and nobody else.
    let mut scene = Scene::new(policy.clone());
    assert_eq!(scene.fails_alone(HOUR, &throttled()).len(), 1);
    scene.ask();
    scene.succeed(HOUR);
    scene.pass_to_wakeup();
    let held_off = scene.fails_alone(HOUR, &throttled());
    assert!((6..=13).contains(&held_off.len()), "{held_off:?}");
    let mut scene = Scene::holding(policy, HOUR);
    scene.pass_to_remaining(minutes(20, 0));
    let denials = scene.fails_alone(minutes(10, 0), &denied());
    assert!((9..=12).contains(&denials.len()), "{denials:?}");
}
