//! The clocks of this machine, and a simulated one for tests. The only place that reads them.

mod lane;
mod simulated;
mod watch;

use rolekeeper_core::Moment;

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
}

// === impl Clock ===

impl Clock {
    /// Both clocks, exactly.
    pub fn now(&self) -> Moment {
        match self {
            Self::System => system::now(),
            Self::Simulated(simulated) => simulated.now(),
        }
    }

    /// The time for a reader by one coarse clock read, while the process-wide watch vouches for how
    /// both clocks stand to each other. `None`: look at both.
    #[inline]
    pub(crate) fn glance(&self) -> Option<Moment> {
        match self {
            Self::System => LANE.glance(system::coarse_wall),
            Self::Simulated(_) => None,
        }
    }

    /// Tells when a clock was stepped or the machine slept.
    pub(crate) fn steps(&self) -> Steps {
        match self {
            Self::System => watch::Watch::of_process(),
            Self::Simulated(simulated) => simulated.steps(),
        }
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
