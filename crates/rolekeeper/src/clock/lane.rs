//! The fast lane: how a reader judges a session's end on *both* clocks with one coarse clock read.
//!
//! Once a second the watch notes the wall clock and how far elapsed time is ahead of it. For a few
//! seconds from there, and only if the wall clock shows a time in that span, elapsed time is the
//! wall clock plus that distance. A step, a sleep or a stopped watch leaves the span, and the
//! reader asks both clocks instead.

use rolekeeper_core::{Elapsed, Moment, WallTime};

use super::sync::{AtomicI64, Ordering};

/// How long a note is good for: three beats of the watch.
const LENGTH_NANOS: i64 = 3_000_000_000;

/// A coarse clock is up to one tick of the kernel late, 10 ms at the slowest usual rate (100 Hz).
/// Readers assume the worst.
const COARSE_LAG_NANOS: i64 = 10_000_000;

/// No wall clock shows a time within [`LENGTH_NANOS`] of this.
pub(super) const CLOSED: i64 = i64::MIN / 2;

/// A sequence lock: `opened` is closed while `ahead` changes, and readers look at it before and
/// after. Its nanoseconds are the sequence: no two notes have the same.
#[derive(Debug)]
pub(super) struct Lane {
    /// The wall clock at the note, in Unix nanoseconds.
    opened: AtomicI64,
    /// Elapsed time less wall time, in nanoseconds.
    ahead: AtomicI64,
}

impl Lane {
    /// Readers ask both clocks until the first note. (The atomics come from outside so that both a
    /// `static` and a model checker can make them.)
    pub(super) const fn over(opened: AtomicI64, ahead: AtomicI64) -> Self {
        Self { opened, ahead }
    }

    /// Notes how the clocks stand. One writer at a time.
    pub(super) fn open(&self, now: Moment) {
        let wall = now.wall.as_unix_nanos();
        let ahead = now.elapsed.as_nanos().wrapping_sub(wall);
        self.close();
        self.ahead.store(ahead, Ordering::Release);
        self.opened.store(wall.wrapping_sub(COARSE_LAG_NANOS), Ordering::Release);
    }

    /// Readers ask both clocks from here on.
    pub(super) fn close(&self) {
        self.opened.store(CLOSED, Ordering::Release);
    }

    /// The moment that `coarse_wall` shows, if the lane is open for it.
    #[inline]
    pub(super) fn glance(&self, coarse_wall: impl FnOnce() -> i64) -> Option<Moment> {
        let opened = self.opened.load(Ordering::Acquire);
        // Acquire: whoever sees the new distance also sees that the lane was closed for it.
        let ahead = self.ahead.load(Ordering::Acquire);
        let wall = coarse_wall();
        let within = (0..LENGTH_NANOS).contains(&wall.wrapping_sub(opened));
        if !within || self.opened.load(Ordering::Acquire) != opened {
            return None;
        }
        let wall = wall.wrapping_add(COARSE_LAG_NANOS);
        Some(Moment {
            elapsed: Elapsed::from_nanos(wall.wrapping_add(ahead)),
            wall: WallTime::from_unix_nanos(wall),
        })
    }
}
