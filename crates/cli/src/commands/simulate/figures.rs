//! What is counted, for each second of the day.

use std::ops::Range;

use super::time::{Micros, second};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Figures {
    /// Calls of STS, answered or not.
    pub(super) calls: Counts,
    /// Calls that brought a session.
    pub(super) sessions: Counts,
    /// Reads that got no session that is valid.
    pub(super) without: Counts,
    /// What the store is asked to do.
    pub(super) store: Counts,
    /// When the store failed over.
    pub(super) failed_over: Option<Micros>,
}

/// How many in each second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counts(Vec<u32>);

// === impl Figures ===

impl Figures {
    pub(super) fn new(end: Micros) -> Self {
        let none = Counts(vec![0; second(end)]);
        Self {
            calls: none.clone(),
            sessions: none.clone(),
            without: none.clone(),
            store: none,
            failed_over: None,
        }
    }
}

// === impl Counts ===

impl Counts {
    /// One more; after the day's end nothing counts.
    pub(super) fn add(&mut self, at: Micros) {
        if let Some(count) = self.0.get_mut(second(at)) {
            *count += 1;
        }
    }

    pub(super) fn at(&self, at: Micros) -> u32 {
        self.0.get(second(at)).copied().unwrap_or(0)
    }

    pub(super) fn of(&self, window: &Range<Micros>) -> &[u32] {
        let end = second(window.end).min(self.0.len());
        &self.0[second(window.start).min(end)..end]
    }

    pub(super) fn all(&self) -> &[u32] {
        &self.0
    }
}

pub(super) fn sum(counts: &[u32]) -> u64 {
    counts.iter().map(|count| u64::from(*count)).sum()
}

/// In the busiest second.
pub(super) fn peak(counts: &[u32]) -> u64 {
    counts.iter().copied().max().unwrap_or(0).into()
}

/// In the busiest 3600 seconds, wherever they begin.
pub(super) fn busiest_hour(counts: &[u32]) -> u64 {
    const HOUR: usize = 3600;
    let mut within: u64 = 0;
    let mut most = 0;
    for (place, count) in counts.iter().enumerate() {
        within += u64::from(*count);
        if let Some(left) = place.checked_sub(HOUR) {
            within -= u64::from(counts[left]);
        }
        most = most.max(within);
    }
    most
}

/// How many seconds have more than `limit`.
pub(super) fn seconds_above(counts: &[u32], limit: u32) -> u64 {
    counts.iter().filter(|count| **count > limit).count() as u64
}
