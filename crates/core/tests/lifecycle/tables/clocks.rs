//! Two clocks: the stricter one wins, and neither can make a dead session live.

use std::time::Duration;

use rolekeeper_core::{Event, Read, RefreshPolicy, WallTime};

use crate::scene::{Clocks, HOUR, SECOND, Scene, TICK, denied, secs, throttled};

fn background() -> RefreshPolicy {
    RefreshPolicy::default()
}

fn policies() -> [RefreshPolicy; 3] {
    [background(), RefreshPolicy::on_demand(), RefreshPolicy::sdk_standard()]
}

#[test]
fn a_machine_that_slept_through_the_end_serves_nothing_dead() {
    for policy in policies() {
        let mut scene = Scene::holding(policy, HOUR);
        scene.pass(8 * HOUR);
        assert!(scene.life.offer(scene.now()).is_none());
        scene.ask();
        scene.succeed(HOUR);
        scene.serves("ASIA2");
    }
}

#[test]
fn a_machine_that_slept_past_the_refresh_point_refreshes_as_soon_as_it_runs() {
    let mut scene = Scene::holding(background(), HOUR);
    scene.pass(secs(50 * 60));
    assert!(scene.life.wakeup().expect("planned").is_due(scene.now()));
    scene.serves("ASIA1");
    scene.begin();
}

#[test]
fn a_pause_that_only_the_wall_clock_saw_counts() {
    for policy in policies() {
        let mut scene = Scene::holding(policy, HOUR);
        scene.clocks.pause(2 * HOUR);
        assert!(scene.life.offer(scene.now()).is_none());
        scene.ask();
        // The issuer's clock says the same, and the session stays dead.
        let date = scene.clocks.date();
        scene.fail(denied().with_issuer_now(date));
        scene.refuses();
    }
}

#[test]
fn a_step_back_prolongs_nothing() {
    for policy in policies() {
        let mut scene = Scene::holding(policy, HOUR);
        scene.clocks.step_wall(-7200);
        scene.serves("ASIA1");
        scene.rests();
        scene.pass(HOUR - SECOND);
        assert!(scene.life.offer(scene.now()).is_none());
        scene.ask();
    }
}

#[test]
fn after_a_step_back_the_refresh_point_is_kept_by_elapsed_time() {
    let mut scene = Scene::holding(background(), HOUR);
    let planned = scene.life.wakeup().expect("planned").wait(scene.now());
    scene.clocks.step_wall(-7200);
    assert_eq!(scene.pass_to_wakeup(), planned);
    scene.begin();
}

#[test]
fn a_step_forward_looks_like_a_pause_until_the_next_fetch() {
    for policy in policies() {
        let mut scene = Scene::holding(policy, HOUR);
        scene.clocks.step_wall(7200);
        scene.ask();
        scene.succeed(HOUR);
        scene.serves("ASIA2");
        assert_eq!(scene.remaining(), HOUR);
        scene.pass(secs(10)).serves("ASIA2");
    }
}

#[test]
fn a_host_that_is_off_by_minutes_or_hours_uses_the_whole_life() {
    for ahead in [-7200, -1200, 1200, 7200] {
        for policy in policies() {
            let mut scene = Scene::new(policy.clone());
            scene.clocks.step_wall(ahead);
            scene.ask();
            scene.succeed(HOUR);
            let session = scene.life.held().expect("a session").clone();
            assert_eq!(session.lifetime(), HOUR);
            assert_eq!(session.skew().as_secs(), -ahead);
            assert_eq!(session.issuer_expiration(), scene.clocks.date().after(HOUR));
            // Other programs will compare it with this machine's clock.
            assert_eq!(session.expiration(), scene.now().wall.after(HOUR));
            scene.pass(HOUR / 2).serves("ASIA1");
            if policy == background() {
                scene.pass_to_remaining(SECOND + TICK).serves("ASIA1");
                scene.pass(TICK).waits();
            }
        }
    }
}

#[test]
fn a_failure_with_the_issuers_clock_keeps_a_live_session_after_a_step_forward() {
    for policy in policies() {
        let mut scene = Scene::holding(policy, HOUR);
        scene.pass(secs(60));
        scene.clocks.step_wall(7200);
        let attempt = scene.ask();
        let date = scene.clocks.date();
        scene.fail(throttled().with_issuer_now(date));
        let outcome = scene.life.outcome(scene.now(), attempt);
        assert!(matches!(outcome, Read::Serve(_)), "{outcome:?}");
        assert_eq!(scene.remaining(), HOUR - secs(60));
        scene.offers("ASIA1");
        let session = scene.life.held().expect("a session");
        assert_eq!(session.expiration(), scene.now().wall.after(HOUR - secs(60)));
    }
}

#[test]
fn without_the_issuers_clock_a_step_forward_is_believed() {
    for policy in [background(), RefreshPolicy::on_demand()] {
        let mut scene = Scene::holding(policy, HOUR);
        scene.clocks.step_wall(7200);
        scene.ask();
        scene.fail(denied());
        scene.refuses();
    }
}

#[test]
fn the_issuers_clock_corrects_the_end_and_the_refresh_point_alike() {
    let mut scene = Scene::holding(background(), HOUR);
    scene.pass_to_wakeup();
    let left = scene.remaining();
    let planned = scene.life.refresh_at().expect("planned");
    scene.clocks.step_wall(-5400);
    scene.begin();
    let date = scene.clocks.date();
    scene.fail(throttled().with_issuer_now(date));
    let corrected = scene.life.refresh_at().expect("planned");
    assert_eq!(planned.elapsed, corrected.elapsed);
    assert!(corrected.wall.before(2 * SECOND) < planned.wall.before(secs(5400)));
    assert!(left - scene.remaining() < 2 * SECOND);
    assert!(scene.now().reached(corrected));
}

#[test]
fn whole_seconds_and_delays_are_no_step() {
    let mut scene = Scene::holding(background(), HOUR);
    let end = scene.life.held().expect("a session").end();
    for off in [-2, 2] {
        scene.life.refresh_now();
        scene.begin();
        let date = WallTime::from_unix_secs(scene.clocks.date().as_unix_secs() + off);
        scene.fail(throttled().with_issuer_now(date));
        assert_eq!(scene.life.held().expect("a session").end(), end);
    }
}

#[test]
fn a_wall_clock_that_jumps_ahead_and_back_leaves_the_schedule_as_it_was() {
    let mut scene = Scene::holding(background(), HOUR);
    scene.pass_to_wakeup();
    scene.begin();
    scene.fail(denied());
    scene.events();
    scene.clocks.step_wall(7200);
    scene.rests();
    assert!(matches!(scene.events()[..], [Event::Expired]));
    scene.clocks.step_wall(-7200);
    scene.serves("ASIA1");
    scene.rests();
    let refusal = scene.life.trouble(scene.now()).expect("a failure");
    assert!(refusal.next_try.is_some(), "denied, and a session is valid: every minute");
    assert!(scene.pass_to_wakeup() <= secs(66));
    scene.begin();
}

#[test]
fn a_session_that_has_ended_is_told_of_once() {
    let mut scene = Scene::holding(background(), HOUR);
    scene.pass(2 * HOUR).begin();
    for _ in 0..3 {
        let date = WallTime::from_unix_secs(scene.clocks.date().as_unix_secs() + 100);
        scene.fail(throttled().with_issuer_now(date));
        scene.pass(secs(60)).begin();
    }
    let ended = scene.events().iter().filter(|event| matches!(event, Event::Expired)).count();
    assert_eq!(ended, 1);
}

#[test]
fn an_answer_that_waited_while_the_machine_slept_is_not_taken_for_a_new_one() {
    for asleep in [Clocks::pass, Clocks::pause] {
        for policy in policies() {
            let mut scene = Scene::new(policy);
            scene.ask();
            let answer = scene.clocks.issue("OLD", HOUR);
            asleep(&mut scene.clocks, 8 * HOUR);
            scene.life.fetched(scene.now(), answer);
            assert!(scene.life.held().is_none(), "it died hours ago");
        }
    }
}

#[test]
fn a_failure_that_waited_while_the_machine_slept_does_not_revive_a_dead_session() {
    for policy in [background(), RefreshPolicy::on_demand()] {
        let mut scene = Scene::holding(policy, HOUR);
        scene.life.refresh_now();
        scene.begin();
        let date = scene.clocks.date();
        scene.clocks.pause(8 * HOUR);
        scene.fail(denied().with_issuer_now(date));
        scene.refuses();
    }
}

#[test]
fn a_failure_of_a_fetch_in_which_the_machine_slept_shortens_no_live_session() {
    for policy in [background(), RefreshPolicy::on_demand()] {
        let mut scene = Scene::holding(policy, HOUR);
        scene.life.refresh_now();
        scene.begin();
        // It slept before it had asked: the answer is new.
        scene.clocks.pass(HOUR / 3);
        let date = scene.clocks.date();
        scene.fail(throttled().with_issuer_now(date));
        assert_eq!(scene.remaining(), HOUR - HOUR / 3);
    }
}

#[test]
fn an_answer_within_the_attempts_own_time_counts_from_its_arrival() {
    let mut scene = Scene::new(background().with_attempt_timeout(Duration::from_secs(10)));
    scene.begin();
    scene.pass(secs(10));
    scene.succeed(HOUR);
    assert_eq!(scene.remaining(), HOUR);
}

#[test]
fn waiting_for_its_turn_does_not_shorten_a_session() {
    let mut scene = Scene::new(RefreshPolicy::default());
    scene.begin();
    scene.pass(secs(600));
    scene.life.asked(scene.now());
    scene.succeed(HOUR);
    let session = scene.life.held().expect("it came").clone();
    assert_eq!(session.remaining(scene.now()), HOUR);
}
