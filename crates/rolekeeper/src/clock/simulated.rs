//! A clock for tests: tokio's own time (which `tokio::time::pause` makes virtual), plus sleeps of
//! the machine and steps of the wall clock that the test decides.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use rolekeeper_core::{Elapsed, Moment, WallTime};
use tokio::time::Instant;

use super::Steps;

/// Clones show the same clock.
///
/// ```
/// use rolekeeper::clock::Simulated;
/// use std::time::Duration;
///
/// let clock = Simulated::new();
/// let before = clock.now();
/// clock.sleep(Duration::from_secs(3600)); // the lid was closed for an hour
/// assert!(clock.now().elapsed.since(before.elapsed) >= Duration::from_secs(3600));
/// ```
#[derive(Clone, Debug)]
pub struct Simulated(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    start: Instant,
    slept: AtomicI64,
    stepped: AtomicI64,
    steps: Steps,
}

/// Where a simulated calendar begins: 2026-01-01T00:00:00Z.
const START: WallTime = WallTime::from_unix_secs(1_767_225_600);

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

impl Default for Simulated {
    fn default() -> Self {
        Self::new()
    }
}

impl Simulated {
    /// Starts at 2026-01-01T00:00:00Z.
    #[expect(clippy::disallowed_methods, reason = "this module is the clock")]
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            start: Instant::now(),
            slept: AtomicI64::new(0),
            stepped: AtomicI64::new(0),
            steps: Steps::unwatched(),
        }))
    }

    /// Starts at `wall`.
    pub fn starting_at(wall: WallTime) -> Self {
        let clock = Self::new();
        let ahead = wall.as_unix_nanos().saturating_sub(START.as_unix_nanos());
        clock.0.stepped.store(ahead, Ordering::Release);
        clock
    }

    /// Both clocks.
    #[expect(clippy::disallowed_methods, reason = "this module is the clock")]
    pub fn now(&self) -> Moment {
        let run = nanos(Instant::now().duration_since(self.0.start));
        let elapsed = run.saturating_add(self.0.slept.load(Ordering::Acquire));
        let wall = elapsed.saturating_add(self.0.stepped.load(Ordering::Acquire));
        let start = START.as_unix_nanos();
        Moment {
            elapsed: Elapsed::from_nanos(elapsed),
            wall: WallTime::from_unix_nanos(start.saturating_add(wall)),
        }
    }

    /// The machine sleeps: both clocks go on, no timer does. Noticed at once, where a real
    /// machine's sleep is noticed within a second of running again.
    pub fn sleep(&self, duration: Duration) {
        self.0.slept.fetch_add(nanos(duration), Ordering::AcqRel);
        self.tell();
    }

    /// The wall clock is set forward by this many seconds, or back by a negative number; a paused
    /// virtual machine looks like a step forward.
    pub fn step_wall(&self, seconds: i64) {
        self.0.stepped.fetch_add(seconds.saturating_mul(1_000_000_000), Ordering::AcqRel);
        self.tell();
    }

    pub(super) fn steps(&self) -> Steps {
        self.0.steps.clone()
    }

    fn tell(&self) {
        self.0.steps.tell();
    }
}
