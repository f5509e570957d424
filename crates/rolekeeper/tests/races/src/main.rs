//! The concurrent parts on real threads and a real runtime, for ThreadSanitizer to watch: the cell,
//! the fast lane, the engine, the refresher and the pace. `cargo xtask races` builds it and runs it.
//!
//! The sources themselves are included, with the library's own primitives under them, but for std's
//! locks (`sync.rs`). Sessions live for less than a second here, so that in a few seconds there are
//! hundreds of refreshes. With the word `watched` it does what ThreadSanitizer must report.

#[allow(dead_code, unreachable_pub)]
#[path = "../../../src/cell.rs"]
mod cell;
#[allow(dead_code)]
#[path = "../../../src/engine.rs"]
mod engine;
#[allow(dead_code, unreachable_pub)]
#[path = "../../../src/events.rs"]
mod events;
#[allow(dead_code)]
#[path = "../../../src/futures.rs"]
mod futures;
#[allow(dead_code)]
#[path = "../../../src/clock/lane.rs"]
mod lane;
#[allow(dead_code)]
#[path = "../../../src/pace.rs"]
mod pace;
#[allow(dead_code)]
#[path = "../../../src/refresher.rs"]
mod refresher;
mod sync;
mod world;

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use lane::{CLOSED, Lane};
use pace::Pace;
use rolekeeper_core::{Elapsed, Moment, RefreshPolicy, WallTime};
use world::{Role, now};

/// How long each story takes.
const STORY: Duration = Duration::from_secs(5);

fn main() {
    if std::env::args().any(|word| word == "watched") {
        return drop_what_is_shared();
    }
    for policy in [RefreshPolicy::default(), RefreshPolicy::on_demand()] {
        readers_of_many_refreshes(&policy);
    }
    the_lane_under_steps();
}

/// Readers, rejections, refreshes by hand, looks at the state, and runtimes that go and come.
fn readers_of_many_refreshes(policy: &RefreshPolicy) {
    let pace = Arc::new(Pace::new(NonZeroU32::new(500).unwrap()));
    let roles: Arc<[Role]> = (0..8).map(|_| Role::new(policy, &pace)).collect();
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (roles, done) = (Arc::clone(&roles), Arc::clone(&done));
            thread::spawn(move || {
                let (mut reads, mut newest) = (0_u64, vec![0; roles.len()]);
                while !done.load(Ordering::Relaxed) {
                    for (role, newest) in roles.iter().zip(&mut newest) {
                        let Some(generation) = role.read() else { continue };
                        assert!(generation >= *newest, "an older session after a newer one");
                        *newest = generation;
                        reads += 1;
                    }
                }
                reads
            })
        })
        .collect();
    let end = Instant::now() + STORY;
    while Instant::now() < end {
        for role in &*roles {
            role.meddle();
        }
        thread::sleep(Duration::from_millis(5));
    }
    done.store(true, Ordering::Relaxed);
    let reads: u64 = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
    let fetched: u64 = roles.iter().map(Role::shut_down).sum();
    println!("{:?}: {reads} reads, {fetched} sessions", policy.mode());
    assert!(reads > 1000 && fetched > 100, "that shows nothing");
}

/// One who notes how the clocks stand, with steps of an hour between, and readers.
fn the_lane_under_steps() {
    const HOUR: i64 = 3600;
    /// Within the 10 ms that readers assume a coarse clock to be late.
    const DISTINCT_NOTES: u64 = 9_000_000;
    let lane = Arc::new(Lane::over(AtomicI64::new(CLOSED), AtomicI64::new(0)));
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..3_i64)
        .map(|hours| {
            let (lane, done) = (Arc::clone(&lane), Arc::clone(&done));
            thread::spawn(move || {
                let mut glances = 0_u64;
                while !done.load(Ordering::Relaxed) {
                    // At each of these wall clocks, elapsed time is the same second.
                    let wall = hours * HOUR * 1_000_000_000;
                    if let Some(now) = lane.glance(|| wall) {
                        let off = now.elapsed.since(Elapsed::default());
                        assert!(off <= Duration::from_millis(10), "a distance of another note");
                        glances += 1;
                    }
                }
                glances
            })
        })
        .collect();
    let end = Instant::now() + STORY;
    let mut nanos = (0..DISTINCT_NOTES).cycle();
    while Instant::now() < end {
        // No two notes are of the same nanosecond, as in life: a reader that sleeps while the clock
        // goes round would take them for one.
        let later = Duration::from_nanos(nanos.next().unwrap_or_default());
        for hours in 0..3 {
            let wall = WallTime::from_unix_secs(hours * HOUR).after(later);
            lane.open(Moment { elapsed: Elapsed::default(), wall });
        }
    }
    done.store(true, Ordering::Relaxed);
    let glances: u64 = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
    println!("lane: {glances} glances, until {:?}", now().elapsed);
    assert!(glances > 1000, "that shows nothing");
}

/// What std frees is reported where nothing is suppressed: so it is seen that somebody watches. (Safe
/// code can't race, so there is no better proof.)
fn drop_what_is_shared() {
    let ours = Arc::new(vec![0_u64; 10]);
    for _ in 0..100 {
        let theirs = Arc::clone(&ours);
        let mine = Arc::new(theirs.len());
        let other = Arc::clone(&mine);
        let reader = thread::spawn(move || *other);
        let read = *mine;
        drop(mine);
        assert_eq!(reader.join().unwrap(), read);
    }
}
