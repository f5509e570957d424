//! Each worker needs its session every so often, from its first moment on. Only reads that make a
//! difference are events; all others are counted by their times.

use std::ops::Range;

use super::{
    figures::Counts,
    time::{Micros, SECOND},
};

/// How often a worker reads: a call to AWS every half a minute. Who refreshes on demand does so
/// with a read.
pub(super) const EVERY: Micros = 30 * SECOND;

/// The first read of a worker that began at `born` which doesn't come before `at`.
pub(super) fn next(born: Micros, at: Micros) -> Micros {
    born + at.saturating_sub(born).div_ceil(EVERY) * EVERY
}

/// The reads of that worker in `range` got no session.
pub(super) fn had_none(born: Micros, range: Range<Micros>, without: &mut Counts) {
    let mut read = next(born, range.start);
    while read < range.end {
        without.add(read);
        read += EVERY;
    }
}
