//! What time it is, on both of the clocks that a session's end is judged by. The core never reads
//! a clock: a [`Moment`] is always an argument.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const NANOS_PER_SEC: i64 = 1_000_000_000;

/// Time since some fixed instant of this machine's run, counting the time it slept.
///
/// Nanoseconds in an `i64`: 292 years, and one comparison on a reader's path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Elapsed(i64);

/// A point of the calendar, as some wall clock shows it.
///
/// Nanoseconds since the Unix epoch in an `i64`: the years 1677 to 2262. What lies outside is moved
/// to the nearer end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(i64);

/// One instant, read from both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Moment {
    /// The clock that counts sleep and is never stepped (Linux `CLOCK_BOOTTIME`).
    pub elapsed: Elapsed,
    /// The clock that people and other programs use, and that can be wrong or be stepped.
    pub wall: WallTime,
}

/// A signed distance between two clocks, such as "the server is 3 minutes ahead of us".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Skew(i64);

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn positive(nanos: i64) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

// === impl Elapsed ===

impl Elapsed {
    /// From nanoseconds since the clock's own start.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the clock's own start.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// This much later; stops at the end of time.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }

    /// This much earlier; stops at the start of time.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(duration)))
    }

    /// How long after `earlier` this is; zero if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        positive(self.0.saturating_sub(earlier.0))
    }
}

// === impl WallTime ===

impl WallTime {
    /// From nanoseconds since the Unix epoch.
    pub const fn from_unix_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From seconds since the Unix epoch.
    pub const fn from_unix_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(NANOS_PER_SEC))
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn as_unix_nanos(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn as_unix_secs(self) -> i64 {
        self.0.div_euclid(NANOS_PER_SEC)
    }

    /// This much later; stops at the end of time.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }

    /// This much earlier; stops at the start of time.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(duration)))
    }

    /// How long after `earlier` this is; zero if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        positive(self.0.saturating_sub(earlier.0))
    }

    /// How far this clock is ahead of `other`.
    pub fn ahead_of(self, other: Self) -> Skew {
        Skew(self.0.saturating_sub(other.0))
    }

    /// The same instant on a clock that is `skew` behind this one.
    #[must_use]
    pub fn without(self, skew: Skew) -> Self {
        Self(self.0.saturating_sub(skew.0))
    }
}

impl From<SystemTime> for WallTime {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self(nanos(after)),
            Err(before) => Self(nanos(before.duration()).saturating_neg()),
        }
    }
}

impl From<WallTime> for SystemTime {
    fn from(time: WallTime) -> Self {
        let distance = Duration::from_nanos(time.0.unsigned_abs());
        let there = if time.0 < 0 {
            UNIX_EPOCH.checked_sub(distance)
        } else {
            UNIX_EPOCH.checked_add(distance)
        };
        there.unwrap_or(UNIX_EPOCH)
    }
}

/// RFC 3339 in UTC to the second, `2026-11-22T21:00:00Z`: the one form that every SDK's parser
/// takes.
impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SECS_PER_DAY: i64 = 86_400;
        let secs = self.as_unix_secs();
        let (days, second) = (secs.div_euclid(SECS_PER_DAY), secs.rem_euclid(SECS_PER_DAY));
        let (year, month, day) = civil_from_days(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// Days since the epoch to year, month and day of the Gregorian calendar, by Howard Hinnant's
/// `civil_from_days`: years are counted from March, so that the leap day is a year's last.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    const DAYS_PER_ERA: i64 = 146_097; // 400 years
    const EPOCH_FROM_ERA: i64 = 719_468; // 0000-03-01 to 1970-01-01
    let days = days + EPOCH_FROM_ERA;
    let era = days.div_euclid(DAYS_PER_ERA);
    let of_era = days.rem_euclid(DAYS_PER_ERA);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

// === impl Moment ===

impl Moment {
    /// This much later on both clocks.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self { elapsed: self.elapsed.after(duration), wall: self.wall.after(duration) }
    }

    /// This much earlier on both clocks.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self { elapsed: self.elapsed.before(duration), wall: self.wall.before(duration) }
    }

    /// Whether either clock has come as far as `point`: the stricter one decides.
    #[inline]
    pub fn reached(self, point: Self) -> bool {
        self.elapsed >= point.elapsed || self.wall >= point.wall
    }

    /// The earlier of two points on each clock.
    #[must_use]
    pub fn earlier(self, other: Self) -> Self {
        Self { elapsed: self.elapsed.min(other.elapsed), wall: self.wall.min(other.wall) }
    }

    /// How long until the first of both clocks comes as far as `point`.
    #[inline]
    pub fn until(self, point: Self) -> Duration {
        point.elapsed.since(self.elapsed).min(point.wall.since(self.wall))
    }
}

// === impl Skew ===

impl Skew {
    /// Both clocks show the same.
    pub const NONE: Self = Self(0);

    /// How far apart the two clocks are, whichever is ahead.
    pub fn magnitude(self) -> Duration {
        Duration::from_nanos(self.0.unsigned_abs())
    }

    /// How far two looks at the same pair of clocks differ.
    pub fn apart(self, other: Self) -> Duration {
        Duration::from_nanos(self.0.abs_diff(other.0))
    }

    /// Seconds, positive if the other clock is ahead.
    pub fn as_secs(self) -> i64 {
        self.0 / NANOS_PER_SEC
    }

    /// Nanoseconds, positive if the other clock is ahead.
    pub fn as_nanos(self) -> i64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_time_prints_as_the_sdks_want_it() {
        for (secs, printed) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_388_399, "2026-11-22T22:59:59Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(WallTime::from_unix_secs(secs).to_string(), printed);
        }
    }

    #[test]
    fn arithmetic_stops_at_the_ends_of_time_instead_of_wrapping() {
        let end = WallTime::from_unix_nanos(i64::MAX);
        assert_eq!(end.after(Duration::MAX), end);
        assert_eq!(Elapsed::from_nanos(i64::MIN).before(Duration::MAX), Elapsed(i64::MIN));
        assert_eq!(WallTime::from_unix_secs(i64::MAX), end);
        assert_eq!(WallTime::from(SystemTime::from(end)), end);
    }

    #[test]
    fn the_stricter_clock_decides() {
        let moment = |elapsed, wall| Moment {
            elapsed: Elapsed::from_nanos(elapsed),
            wall: WallTime::from_unix_nanos(wall),
        };
        assert!(moment(10, 0).reached(moment(10, 99)));
        assert!(moment(0, 99).reached(moment(10, 99)));
        assert!(!moment(9, 98).reached(moment(10, 99)));
        assert_eq!(moment(0, 0).until(moment(7, 3)), Duration::from_nanos(3));
    }
}
