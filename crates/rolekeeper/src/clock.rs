//! The clocks of this machine, and a simulated one for tests. The only place that reads them.

mod lane;
mod simulated;
mod watch;

use std::{fmt, sync::Arc, time::Duration};

use rolekeeper_core::{Elapsed, Moment, WallTime};

use crate::sync::{self, AtomicI64};
use lane::{CLOSED, Lane};

pub use simulated::Simulated;
pub(crate) use watch::Steps;

/// This process' own fast lane, kept open by the watch.
static LANE: Lane = Lane::over(AtomicI64::new(CLOSED), AtomicI64::new(0));

/// Which clocks a session's end is judged by.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Clock {
    /// This machine's: elapsed time that counts sleep (`CLOCK_BOOTTIME` on Linux, `CLOCK_MONOTONIC`
    /// on macOS), and the wall clock.
    #[default]
    System,
    /// One that a test steps and puts to sleep.
    Simulated(Simulated),
    /// This machine's elapsed time, with a wall clock of the caller's.
    Wall(Wall),
}

/// A function that tells the time of day. Made by [`Clock::with_wall`].
#[derive(Clone)]
pub struct Wall(Arc<dyn Fn() -> WallTime + Send + Sync>);

/// How soon a step of somebody's own wall clock is noticed, as those of the machine's are.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

// === impl Clock ===

impl Clock {
    /// This machine's elapsed time and another wall clock than its own. The function is asked by
    /// each reader, and once a second by a refresher; deadlines go by elapsed time.
    ///
    /// ```
    /// use rolekeeper::{Clock, WallTime};
    ///
    /// let clock = Clock::with_wall(|| WallTime::from_unix_secs(1_900_000_000));
    /// assert_eq!(clock.now().wall, WallTime::from_unix_secs(1_900_000_000));
    /// ```
    pub fn with_wall(wall: impl Fn() -> WallTime + Send + Sync + 'static) -> Self {
        Self::Wall(Wall(Arc::new(wall)))
    }

    /// Both clocks, exactly.
    pub fn now(&self) -> Moment {
        match self {
            Self::System => system::now(),
            Self::Simulated(simulated) => simulated.now(),
            Self::Wall(Wall(wall)) => Moment { wall: wall(), ..system::now() },
        }
    }

    /// Elapsed time alone, for which nobody's own function is asked.
    pub(crate) fn elapsed(&self) -> Elapsed {
        match self {
            Self::System | Self::Wall(_) => system::now().elapsed,
            Self::Simulated(simulated) => simulated.now().elapsed,
        }
    }

    /// The time for a reader by one coarse clock read, while the process-wide watch vouches for how
    /// both clocks stand to each other. `None`: look at both.
    #[inline]
    pub(crate) fn glance(&self) -> Option<Moment> {
        match self {
            Self::System => LANE.glance(system::coarse_wall),
            Self::Simulated(_) | Self::Wall(_) => None,
        }
    }

    /// How long to sleep at most before looking at the clock again: nobody tells of the steps of
    /// somebody's own.
    pub(crate) fn longest_sleep(&self) -> Duration {
        if matches!(self, Self::Wall(_)) { LOOK_AGAIN } else { Duration::MAX }
    }

    /// Tells when a clock was stepped or the machine slept.
    pub(crate) fn steps(&self) -> Steps {
        match self {
            Self::System | Self::Wall(_) => watch::Watch::of_process(),
            Self::Simulated(simulated) => simulated.steps(),
        }
    }
}

impl fmt::Debug for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wall")
    }
}

/// The operating system's clocks.
#[cfg(unix)]
mod system {
    use rolekeeper_core::{Elapsed, Moment, WallTime};
    use rustix::time::{ClockId, Timespec, clock_gettime};

    #[cfg(target_os = "linux")]
    const COUNTS_SLEEP: ClockId = ClockId::Boottime;
    /// macOS documents that `CLOCK_MONOTONIC` goes on while the system is asleep.
    #[cfg(not(target_os = "linux"))]
    const COUNTS_SLEEP: ClockId = ClockId::Monotonic;

    #[cfg(target_os = "linux")]
    const COARSE: ClockId = ClockId::RealtimeCoarse;
    #[cfg(not(target_os = "linux"))]
    const COARSE: ClockId = ClockId::Realtime;

    #[inline]
    fn nanos(time: Timespec) -> i64 {
        time.tv_sec.wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec)
    }

    pub(super) fn now() -> Moment {
        Moment {
            elapsed: Elapsed::from_nanos(nanos(clock_gettime(COUNTS_SLEEP))),
            wall: WallTime::from_unix_nanos(nanos(clock_gettime(ClockId::Realtime))),
        }
    }

    #[inline]
    pub(super) fn coarse_wall() -> i64 {
        nanos(clock_gettime(COARSE))
    }
}

/// Windows' `Instant` (the performance counter) counts sleep too.
#[cfg(not(unix))]
#[expect(clippy::disallowed_methods, reason = "this module is the clock")]
mod system {
    use std::{
        sync::OnceLock,
        time::{Instant, SystemTime},
    };

    use rolekeeper_core::{Elapsed, Moment, WallTime};

    pub(super) fn now() -> Moment {
        static START: OnceLock<Instant> = OnceLock::new();
        let elapsed = START.get_or_init(Instant::now).elapsed();
        Moment {
            elapsed: Elapsed::default().after(elapsed),
            wall: WallTime::from(SystemTime::now()),
        }
    }

    pub(super) fn coarse_wall() -> i64 {
        WallTime::from(SystemTime::now()).as_unix_nanos()
    }
}
