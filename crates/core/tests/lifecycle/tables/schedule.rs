//! When the source is asked.

use std::time::Duration;

use rolekeeper_core::{Event, Failure, FailureKind, RefreshPolicy, Wake};

use crate::scene::{HOUR, SECOND, Scene, TICK, denied, secs, throttled};

fn background() -> RefreshPolicy {
    RefreshPolicy::default()
}

#[test]
fn refreshing_begins_at_the_point_of_the_table_within_its_jitter() {
    let minute = 60.0;
    // Lifetime, and remaining at the refresh point: max(L/2, window + 5 min), at most 0.75 L.
    for (life, point) in [
        (60.0, 45.0),
        (15.0 * minute, 10.0 * minute),
        (20.0 * minute, 10.0 * minute),
        (20.0 * minute + 1.0, 0.75 * (20.0 * minute + 1.0)),
        (33.0 * minute, 24.75 * minute),
        (34.0 * minute, 25.0 * minute),
        (50.0 * minute, 25.0 * minute),
        (60.0 * minute, 30.0 * minute),
        (90.0 * minute - 1.0, 45.0 * minute - 0.5),
        (90.0 * minute, 65.0 * minute),
        (130.0 * minute, 65.0 * minute),
        (12.0 * 60.0 * minute, 6.0 * 60.0 * minute),
    ] {
        let spread = 0.05 * life;
        let (mut least, mut most) = (f64::MAX, 0.0_f64);
        for seed in 0..300 {
            let mut scene = Scene::seeded(background(), seed);
            scene.begin();
            scene.succeed(Duration::from_secs_f64(life));
            scene.pass_to_wakeup();
            let left = scene.remaining().as_secs_f64();
            assert_eq!(scene.begin(), 2);
            assert!((left - point).abs() <= spread + 1e-6, "life {life}: {left}, not {point}");
            (least, most) = (least.min(left), most.max(left));
        }
        assert!(most - least > 1.8 * spread, "life {life}: only from {least} to {most}");
    }
}

#[test]
fn the_shortest_sessions_are_kept_for_a_second_at_least() {
    for seed in 0..100 {
        let mut scene = Scene::seeded(background(), seed);
        scene.begin();
        scene.succeed(secs(3));
        while scene.wake() == Wake::Nothing {
            scene.pass_to_wakeup();
        }
        assert!(scene.remaining() <= secs(2));
    }
}

#[test]
fn one_attempt_is_made_at_a_time() {
    let mut scene = Scene::new(background());
    scene.begin();
    for _ in 0..5 {
        scene.read();
        scene.life.refresh_now();
        scene.pass(SECOND).rests();
    }
    scene.succeed(HOUR);
    scene.rests();
    scene.life.refresh_now();
    scene.begin();
    scene.life.refresh_now();
    scene.reject_held();
    scene.pass(HOUR).rests();
    scene.succeed(HOUR);
    scene.rests();
}

#[test]
fn refresh_now_asks_at_once_whatever_the_state() {
    for failure in [throttled().with_retry_after(secs(200)), denied()] {
        for policy in [background(), RefreshPolicy::on_demand(), RefreshPolicy::sdk_standard()] {
            let mut scene = Scene::holding(policy.clone(), HOUR);
            scene.life.refresh_now();
            if policy == background() {
                assert!(scene.life.wakeup().expect("at once").is_due(scene.now()));
            }
            scene.begin();
            scene.fail(failure.clone());
            scene.rests();
            scene.life.refresh_now();
            scene.begin();
        }
    }
}

#[test]
fn transient_failures_are_retried_with_full_jitter_from_one_second_to_thirty() {
    for kind in [FailureKind::Unavailable, FailureKind::BadAnswer] {
        let mut longest = [Duration::ZERO; 8];
        let mut shortest = [Duration::MAX; 8];
        for seed in 0..400 {
            let mut scene = Scene::seeded(background(), seed);
            scene.begin();
            for n in 0..8 {
                scene.fail(Failure::new(kind, "down"));
                let wait = scene.pass_to_wakeup();
                scene.begin();
                longest[n] = longest[n].max(wait);
                shortest[n] = shortest[n].min(wait);
            }
        }
        for n in 0..8 {
            let cap = secs((1 << n).min(30));
            assert!(longest[n] <= cap && longest[n] > cap.mul_f64(0.95), "{n}: {longest:?}");
            assert!(shortest[n] < cap.mul_f64(0.11), "full jitter, {n}: {shortest:?}");
            assert!(shortest[n] >= Duration::from_millis(100), "no hot loop, {n}: {shortest:?}");
        }
    }
}

#[test]
fn retry_after_is_honoured_for_five_minutes_at_most() {
    for (asked, waited) in [(45, 45), (300, 300), (301, 300), (u64::MAX, 300)] {
        let mut scene = Scene::holding(background(), HOUR);
        scene.pass_to_wakeup();
        scene.begin();
        scene.fail(throttled().with_retry_after(secs(asked)));
        assert_eq!(scene.pass_to_wakeup(), secs(waited));
        scene.begin();
    }
}

#[test]
fn five_more_attempts_fit_before_the_end_however_late_it_is() {
    for left in [secs(2), secs(10), secs(60), secs(300)] {
        for seed in 0..100 {
            let mut scene = Scene::seeded(background(), seed);
            scene.begin();
            scene.succeed(HOUR);
            // Far into the backoff: six attempts have failed before.
            scene.pass_to_wakeup();
            for _ in 0..6 {
                scene.begin();
                scene.fail(throttled());
                scene.pass_to_wakeup();
            }
            scene.pass_to_remaining(left);
            scene.begin();
            scene.fail(throttled());
            let more = scene.fails_alone(left - TICK, &throttled());
            assert!(more.len() >= 5, "seed {seed}, {left:?} left: {more:?}");
        }
    }
}

#[test]
fn a_denied_failure_is_retried_every_minute_while_a_session_is_valid() {
    for failure in [denied(), Failure::misconfigured("no such profile")] {
        let mut scene = Scene::holding(background(), HOUR);
        scene.pass_to_remaining(secs(25 * 60));
        let begun = scene.fails_alone(secs(20 * 60), &failure);
        assert!((18..=23).contains(&begun.len()), "{begun:?}");
        let pauses: Vec<_> = begun.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(pauses.iter().all(|pause| (secs(54)..=secs(66)).contains(pause)), "{pauses:?}");
        assert!(pauses.iter().max() > pauses.iter().min(), "with a jitter: {pauses:?}");
        scene.serves("ASIA1");
    }
}

#[test]
fn a_denied_failure_is_not_retried_by_itself_when_nothing_is_valid() {
    // Since the start:
    let mut scene = Scene::new(background());
    assert_eq!(scene.fails_alone(24 * HOUR, &denied()).len(), 1);
    assert_eq!(scene.life.wakeup(), None);
    // A reader's call does it.
    scene.ask();
    scene.fail(denied());
    // After the end:
    let mut scene = Scene::holding(background(), HOUR);
    scene.pass_to_remaining(secs(60));
    scene.fails_alone(secs(60), &denied());
    let attempts = scene.life.counters().attempts;
    assert_eq!(scene.fails_alone(24 * HOUR, &denied()), []);
    assert_eq!(scene.life.counters().attempts, attempts);
    assert_eq!(scene.life.trouble(scene.now()).expect("a failure").next_try, None);
    scene.ask();
}

#[test]
fn what_needs_a_person_is_never_retried_in_a_loop() {
    let person = Failure::needs_person("a code is wanted");
    let mut scene = Scene::holding(background(), HOUR);
    scene.pass_to_wakeup();
    assert_eq!(scene.fails_alone(24 * HOUR, &person).len(), 1);
    // Readers that ask without a pause: one attempt in five seconds.
    let attempts = scene.life.counters().attempts;
    for _ in 0..600 {
        scene.read();
        scene.fails_alone(Duration::from_millis(100), &person);
    }
    let asked = scene.life.counters().attempts - attempts;
    assert!((11..=13).contains(&asked), "{asked} in a minute");
}

#[test]
fn a_session_that_nobody_reads_is_let_go_and_fetched_again_when_asked_for() {
    let idle = 2 * HOUR;
    let mut scene = Scene::holding(background().with_idle_after(idle), 12 * HOUR);
    scene.pass(HOUR).serves("ASIA1");
    scene.events();
    let wait = scene.pass_to_wakeup();
    assert_eq!(wait, idle, "from the last read on");
    scene.rests();
    assert!(scene.life.held().is_none());
    assert!(matches!(scene.events()[..], [Event::LetGo]));
    assert_eq!(scene.life.wakeup(), None, "and is left alone");
    scene.pass(100 * HOUR).rests();
    scene.ask();
    scene.succeed(HOUR);
    scene.serves("ASIA2");
}

#[test]
fn a_session_that_is_read_without_asking_is_not_idle() {
    let mut scene = Scene::holding(background().with_idle_after(HOUR), 12 * HOUR);
    for _ in 0..5 {
        scene.pass(HOUR - TICK);
        scene.life.seen(scene.now());
        scene.rests();
        assert!(scene.life.held().is_some());
    }
}

#[test]
fn a_source_that_fails_is_not_asked_for_ever_for_nobody() {
    let mut scene = Scene::new(background().with_idle_after(HOUR));
    let begun = scene.fails_alone(24 * HOUR, &throttled());
    assert!(*begun.last().expect("some") <= HOUR + secs(30), "{:?}", begun.last());
    scene.ask();
}

#[test]
fn however_soon_sessions_are_let_go_a_reader_gets_its_fetch() {
    for policy in [background(), RefreshPolicy::on_demand()] {
        let mut scene = Scene::new(policy.with_idle_after(Duration::ZERO));
        scene.ask();
        scene.succeed(HOUR);
        scene.serves("ASIA1");
        scene.pass(SECOND);
        scene.rests();
        scene.ask();
    }
}
