//! The whole keyring with its stores, in virtual time, in worlds that follow from a seed: whatever
//! sources, stores, clocks, machines and readers do, the promises of ENGINE.md are kept.

mod calls;
mod dice;
mod machine;
mod plan;
mod readers;
mod run;
mod source;
mod store;
mod tally;
mod watch;
mod world;

use std::{
    env,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use rolekeeper::Clock;
use run::run;
use tally::Tally;

/// As many worlds as the promises have to be kept in with every test run.
const SEEDS: u64 = 10_000;

/// Runs the worlds of these seeds, on all cores, and tells what happened in them.
fn run_all(seeds: std::ops::Range<u64>, progress: impl Fn(u64) + Sync) -> Tally {
    let (next, done) = (AtomicU64::new(seeds.start), AtomicU64::new(0));
    let (all, broken) = (Mutex::new(Tally::default()), Mutex::new(None));
    let work = || {
        let mut tally = Tally::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                break;
            }
            let seen = run(seed, false);
            tally.join(&seen.tally);
            if let Some(what) = seen.broken {
                next.store(seeds.end, Ordering::Relaxed);
                let mut broken = broken.lock().unwrap_or_else(PoisonError::into_inner);
                broken.get_or_insert((seed, what));
            }
            progress(done.fetch_add(1, Ordering::Relaxed) + 1);
        }
        all.lock().unwrap_or_else(PoisonError::into_inner).join(&tally);
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(work))));
    if let Some((seed, what)) = broken.into_inner().unwrap_or_else(PoisonError::into_inner) {
        panic!(
            "the world of seed {seed} breaks a promise: {what}\n\
             to see it happen:\n\
             ROLEKEEPER_SEED={seed} cargo test --workspace --test simulation -- replay --nocapture"
        );
    }
    all.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// What has to happen, at the least, in a thousand worlds: a test in which it does not shows nothing.
const PER_THOUSAND: &[(&str, u64)] = &[
    ("source calls", 10_000),
    ("reads that were served", 40_000),
    ("reads that were refused", 1000),
    ("reads that waited", 1000),
    ("readers that gave up", 20),
    ("refreshes that readers asked for", 1000),
    ("rejections", 500),
    ("sessions fetched", 5000),
    ("sessions taken over", 1000),
    ("sessions that ended with no newer one", 500),
    ("idle sessions let go", 20),
    ("calls in an outage", 500),
    ("calls without an answer", 100),
    ("calls to a slow source", 50),
    ("calls that were throttled", 200),
    ("calls that were denied", 50),
    ("calls that need a person", 10),
    ("calls of a wrong setting", 10),
    ("bad answers: garbage", 100),
    ("bad answers: expired on arrival", 100),
    ("bad answers: no secret key", 100),
    ("sleeps", 300),
    ("sleeps of days", 20),
    ("stops", 300),
    ("steps of a wall clock", 200),
    ("pauses of a machine", 200),
    ("kills", 100),
    ("keyrings let go", 100),
    ("leases that another had", 500),
    ("leases renewed", 50),
    ("leases lost", 1),
    ("saves of a lost lease", 1),
    ("failures told by the store", 50),
    ("store calls that failed", 200),
    ("store calls without an answer", 200),
    ("store calls that were slow", 200),
    ("store calls whose answer was lost", 200),
    ("stores that forgot everything", 200),
];

/// Full jitter over the cap of 30 s is 15 s on average; what so many draws stay within.
const USUAL_WAITS: std::ops::RangeInclusive<f64> = 13.0..=17.0;

fn assert_full(tally: &Tally) {
    let worlds = tally.of("worlds");
    for (what, least) in PER_THOUSAND {
        let (many, least) = (tally.of(what), least * worlds / 1000);
        assert!(many >= least, "only {many} {what}, not {least}, in {worlds} worlds:\n{tally}");
    }
    let waits = tally.of("waits of a full backoff");
    let mean = tally.of("milliseconds of full backoffs") as f64 / 1000.0 / waits as f64;
    assert!(waits > worlds / 20, "{waits} waits of a full backoff\n{tally}");
    assert!(USUAL_WAITS.contains(&mean), "{mean} s on average between attempts in an outage");
}

#[expect(clippy::print_stdout, reason = "what was simulated is for whoever runs it")]
fn print(text: impl std::fmt::Display) {
    println!("{text}");
}

#[test]
fn in_ten_thousand_worlds_every_promise_is_kept() {
    let tally = run_all(0..SEEDS, |_| {});
    print(&tally);
    assert_full(&tally);
}

/// As many as one likes: `cargo xtask soak`. What it runs are others than the tests run.
#[test]
#[ignore = "as long as one likes: cargo xtask soak"]
fn soak() {
    let number = |name| env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seeds = number("ROLEKEEPER_SEEDS").unwrap_or(1_000_000);
    let first = number("ROLEKEEPER_FIRST_SEED").unwrap_or(SEEDS);
    let step = (seeds / 100).max(1);
    let clock = Clock::default();
    let begun = clock.now().elapsed;
    let rate = |done: u64| done as f64 / clock.now().elapsed.since(begun).as_secs_f64();
    let tally = run_all(first..first + seeds, |done| {
        if done % step == 0 {
            print(format_args!("{done} of {seeds} worlds, {:.0} a second", rate(done)));
        }
    });
    print(format_args!("{seeds} worlds from seed {first}, {:.0} a second\n{tally}", rate(seeds)));
    if seeds >= 1000 {
        assert_full(&tally);
    }
}

/// The world of `ROLEKEEPER_SEED`, told line by line.
#[test]
fn replay() {
    let seed = env::var("ROLEKEEPER_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    let seen = run(seed, true);
    print(seen.history.join("\n"));
    assert_eq!(seen.broken, None, "seed {seed}");
}

#[test]
fn the_same_seed_is_the_same_world() {
    for seed in 0..50 {
        let (first, second) = (run(seed, true), run(seed, true));
        assert!(!first.history.is_empty());
        assert_eq!(first.history, second.history, "seed {seed}");
        assert_eq!(first.tally, second.tally, "seed {seed}");
    }
}
