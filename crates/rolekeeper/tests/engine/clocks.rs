//! Machines that sleep, clocks that are stepped, hosts that are off: no dead session is served, and
//! no live one is thrown away.

use std::time::Duration;

use rolekeeper::{
    Clock, Elapsed, WallTime,
    clock::Simulated,
    stores::{MemoryStore, SessionStore, StoreKey},
};
use rolekeeper_core::{Lease, Sharing};

use crate::support::{Answer, HOUR, MINUTE, Script, down, issued, pass, settle, timed};

#[tokio::test(start_paused = true)]
async fn a_session_that_ended_while_the_machine_slept_is_not_served() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    let credentials = script.kept();
    credentials.get().await.unwrap();
    script.takes(Duration::from_millis(100));
    clock.sleep(2 * HOUR);
    assert!(credentials.current().is_none());
    let (took, read) = timed(&clock, credentials.get()).await;
    assert_eq!(read.unwrap().generation(), 2);
    assert!(took < Duration::from_millis(110), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_sleep_the_refresher_is_at_work_at_once_without_a_reader() {
    for sleep in [40 * MINUTE, HOUR, 24 * HOUR] {
        let clock = Simulated::new();
        let script = Script::new(&clock);
        let credentials = script.kept();
        credentials.get().await.unwrap();
        clock.sleep(sleep);
        settle().await;
        assert_eq!(script.calls(), 2, "asleep for {sleep:?}");
        assert_eq!(credentials.current().unwrap().generation(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_nap_costs_no_fetch() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    let credentials = script.kept();
    credentials.get().await.unwrap();
    for _ in 0..20 {
        clock.sleep(MINUTE);
        settle().await;
    }
    assert_eq!(script.calls(), 1);
    pass(15 * MINUTE).await;
    assert_eq!(script.calls(), 2, "the time asleep counts");
}

#[tokio::test(start_paused = true)]
async fn a_sleep_or_step_in_the_middle_of_a_fetch_is_only_what_it_took() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    script.takes(Duration::from_secs(6));
    let credentials = script.kept();
    pass(Duration::from_secs(1)).await;
    clock.step_wall(-7200);
    clock.step_wall(7200);
    assert_eq!(credentials.get().await.unwrap().generation(), 1, "a step is no time-out");
    assert_eq!(script.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_set_back_does_not_prolong_a_session() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    let credentials = script.kept();
    credentials.get().await.unwrap();
    script.answers(Answer::Fails(down()));
    clock.step_wall(-3 * 3600);
    pass(HOUR - Duration::from_secs(2)).await;
    assert!(credentials.current().is_some(), "alive, and served");
    pass(Duration::from_secs(2)).await;
    assert!(credentials.current().is_none());
    credentials.get().await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_set_back_does_not_put_a_refresh_off() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    let credentials = script.kept();
    credentials.get().await.unwrap();
    clock.step_wall(-12 * 3600);
    pass(35 * MINUTE).await;
    assert_eq!(script.calls(), 2);
    assert_eq!(credentials.current().unwrap().remaining(clock.now()).as_secs() / 600, 5);
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_set_forward_past_the_end_brings_a_new_session_at_once() {
    // A virtual machine that was paused looks like this, and its session may be dead.
    let clock = Simulated::new();
    let script = Script::new(&clock);
    let credentials = script.kept();
    credentials.get().await.unwrap();
    clock.step_wall(3 * 3600);
    assert!(credentials.current().is_none());
    settle().await;
    assert_eq!((script.calls(), credentials.current().unwrap().generation()), (2, 2));
    pass(20 * MINUTE).await;
    assert_eq!(script.calls(), 2, "the new one's end is placed by the issuer's clock");
}

#[tokio::test(start_paused = true)]
async fn a_live_session_is_served_again_once_the_issuers_clock_is_seen() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    let credentials = script.kept();
    credentials.get().await.unwrap();
    script.answers(Answer::Fails(down().with_issuer_now(script.issuer_now())));
    clock.step_wall(3 * 3600);
    settle().await;
    assert_eq!(script.calls(), 2);
    assert_eq!(credentials.get().await.unwrap().generation(), 1, "it was only the clock here");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_off_refreshes_as_any_other() {
    let mut asked = Vec::new();
    for ahead in [-1200, 0, 1200, 7 * 3600] {
        let clock = Simulated::new();
        let script = Script::new(&clock);
        script.issuer_is_ahead(ahead);
        let credentials = script.kept();
        let session = credentials.get().await.unwrap();
        assert_eq!(session.remaining(clock.now()), HOUR);
        assert_eq!(session.expiration(), clock.now().wall.after(HOUR), "by the clock here");
        assert_eq!(session.issuer_expiration(), script.issuer_now().after(HOUR));
        pass(10 * HOUR).await;
        assert!(credentials.current().is_some());
        asked.push(script.called_at());
    }
    assert!(asked.windows(2).all(|pair| pair[0] == pair[1]));
    assert!(asked[0].len() > 15);
}

#[tokio::test(start_paused = true)]
async fn hours_of_steps_and_sleeps_serve_no_dead_session_and_ask_for_no_storm() {
    let clock = Simulated::new();
    let script = Script::new(&clock);
    let credentials = script.kept();
    let mut random = 88_172_645_463_325_252_u64;
    for _ in 0..500 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let size = random / 8 % 7200;
        match random % 4 {
            0 => clock.sleep(Duration::from_secs(size)),
            1 => clock.step_wall(i64::try_from(size).unwrap()),
            2 => clock.step_wall(-i64::try_from(size).unwrap()),
            _ => pass(Duration::from_secs(size)).await,
        }
        let session = credentials.get().await.unwrap();
        // The truth: what the issuer's clock says.
        assert!(session.issuer_expiration() > script.issuer_now(), "a dead session was served");
        settle().await;
    }
    let run = clock.now().elapsed.since(Elapsed::default());
    let by_schedule = run.as_secs() / (25 * 60);
    assert!((script.calls() as u64) < by_schedule + 500, "at most one for each step");
    assert_ne!(clock.now().wall, WallTime::default());
}

#[tokio::test(start_paused = true)]
async fn what_a_memory_store_holds_grows_older_while_the_machine_is_paused() {
    let clock = Simulated::new();
    let store = MemoryStore::with_clock(Clock::Simulated(clock.clone()));
    let key = StoreKey::of("test").build();
    let lease = store.lease(&key, Sharing::LEASE).await.unwrap();
    let Lease::Granted(fence) = lease else { panic!("{lease:?}") };
    let session = issued(1, clock.now().wall.after(HOUR)).with_arrived(clock.now());
    assert!(store.save(&key, fence, &session).await.unwrap());
    // The elapsed clock stands still; the wall clock is set right.
    clock.step_wall(2400);
    assert_eq!(store.load(&key).await.unwrap().unwrap().age, 40 * MINUTE);
}
