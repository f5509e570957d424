//! Virtual time: microseconds since the day began. Everybody's clocks are right.

use std::time::Duration;

use rolekeeper::{Elapsed, Moment, WallTime};

pub(super) type Micros = u64;

pub(super) const MILLISECOND: Micros = 1000;
pub(super) const SECOND: Micros = 1000 * MILLISECOND;
pub(super) const MINUTE: Micros = 60 * SECOND;
pub(super) const HOUR: Micros = 60 * MINUTE;

/// The year 2026, by STS' clock and everybody's, when the day begins.
const EPOCH: i64 = 1_790_000_000;

const NANOS_PER_MICRO: i64 = 1000;
const NANOS_PER_SEC: i64 = 1_000_000_000;

pub(super) fn moment(at: Micros) -> Moment {
    let nanos = at.cast_signed() * NANOS_PER_MICRO;
    Moment {
        elapsed: Elapsed::from_nanos(nanos),
        wall: WallTime::from_unix_nanos(EPOCH * NANOS_PER_SEC + nanos),
    }
}

/// When both clocks have come that far; `None` if that is before the day began.
pub(super) fn micros(moment: Moment) -> Option<Micros> {
    let wall = moment.wall.as_unix_nanos().saturating_sub(EPOCH * NANOS_PER_SEC);
    let nanos = u64::try_from(moment.elapsed.as_nanos().min(wall)).ok()?;
    Some(nanos.div_ceil(NANOS_PER_MICRO.cast_unsigned()))
}

pub(super) fn length(duration: Duration) -> Micros {
    let nanos = duration.as_nanos();
    u64::try_from(nanos.div_ceil(1000)).unwrap_or(u64::MAX)
}

/// The second that it falls into, for counts.
pub(super) fn second(at: Micros) -> usize {
    usize::try_from(at / SECOND).unwrap_or(usize::MAX)
}
