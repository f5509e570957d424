//! A worker's lifecycle, and which of its reads got no session.

use std::time::Duration;

use rolekeeper::{Failure, Issued, RefreshMode};
use rolekeeper_core::{END_GUARD, Lifecycle, Wake};

use super::{
    figures::Counts,
    reads,
    time::{MILLISECOND, Micros, length, micros, moment},
};

#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) lifecycle: Lifecycle,
    pub(super) born: Micros,
    /// Until when its reads have a session: that which it holds ends then.
    covered: Micros,
}

// === impl Keeper ===

impl Keeper {
    pub(super) fn new(lifecycle: Lifecycle, born: Micros) -> Self {
        Self { lifecycle, born, covered: born }
    }

    /// It is woken: whether it wants a session fetched.
    pub(super) fn wants_one(&mut self, at: Micros) -> bool {
        matches!(self.lifecycle.wake(moment(at)), Wake::Fetch { .. })
    }

    /// What came of asking, which began at `begun`. Reads since then have waited for it; those
    /// before it, with no session held, were refused.
    pub(super) fn fetched(
        &mut self,
        at: Micros,
        begun: Micros,
        outcome: Result<Issued, Failure>,
        without: &mut Counts,
    ) {
        let now = moment(at);
        match outcome {
            Ok(issued) => {
                self.lifecycle.fetched(now, issued);
                reads::had_none(self.born, self.covered..begun, without);
                let guard = match self.lifecycle.policy().mode() {
                    RefreshMode::Background => END_GUARD,
                    // By the SDKs' rule it is served to its end, and beyond.
                    RefreshMode::OnDemand => Duration::ZERO,
                };
                if let Some(session) = self.lifecycle.held() {
                    self.covered = micros(session.end().before(guard)).unwrap_or(self.covered);
                }
            }
            Err(failure) => self.lifecycle.failed(now, failure),
        }
        while self.lifecycle.next_event().is_some() {}
    }

    /// When it is to be woken, rounded up to a millisecond, as timers are.
    pub(super) fn wakeup(&self, at: Micros) -> Option<Micros> {
        let wait = length(self.lifecycle.wakeup()?.wait(moment(at)));
        Some(at + wait.div_ceil(MILLISECOND).max(1) * MILLISECOND)
    }

    pub(super) fn end(self, at: Micros, without: &mut Counts) {
        reads::had_none(self.born, self.covered..at, without);
    }
}
