//! The store: the real protocol's slot, as a Redis or Valkey keeps it, with what befalls it.

use std::{ops::Range, time::Duration};

use rolekeeper::{Failure, Issued};
use rolekeeper_core::{Fence, Lease, Sharing, Slot};

use super::{
    day::{Day, FAIL_OVER_TAKES},
    figures::Figures,
    time::{MILLISECOND, Micros, length, moment},
};

/// How long an answer takes, in the same Region.
pub(super) const TAKES: Range<Micros> = MILLISECOND / 5..3 * MILLISECOND;

/// How long it takes until those who wait know of a change.
pub(super) const NOTICE: Range<Micros> = MILLISECOND..20 * MILLISECOND;

/// How long a worker waits for an answer before the store counts as gone.
pub(super) const PATIENCE: Micros = 500 * MILLISECOND;

/// How often those who wait look, though the store tells of changes: a notice may be lost.
pub(super) const POLL: Duration = Duration::from_millis(500);

/// The core's policy lets a session live for a fifth of its life at least before anybody wants the
/// next one. For somewhat less than that, whoever looks finds one that is fresh.
const QUIET_SHARE: Micros = 6;

#[derive(Debug)]
pub(super) struct Store {
    slot: Slot,
    /// When it is to fail over; it waits for the next session that is saved.
    fail_over: Option<Micros>,
    /// How long after that save it does.
    into_round: Micros,
    gone: Option<Range<Micros>>,
    /// For how long after a save nobody changes anything here.
    quiet: Micros,
    quiet_until: Option<Micros>,
}

// === impl Store ===

impl Store {
    pub(super) fn new(day: &Day) -> Self {
        Self {
            slot: Slot::default(),
            fail_over: day.fail_over,
            into_round: day.middle_of_a_round(),
            gone: None,
            quiet: length(day.session) / QUIET_SHARE,
            quiet_until: None,
        }
    }

    pub(super) fn is_gone(&mut self, at: Micros) -> bool {
        match &self.gone {
            Some(gone) if at >= gone.end => {
                self.gone = None;
                // What took its place has nothing of what it had.
                self.slot = Slot::default();
                self.quiet_until = None;
                false
            }
            gone => gone.as_ref().is_some_and(|gone| at >= gone.start),
        }
    }

    /// Until when all who look find a session that is fresh, so that nobody changes anything. Told
    /// once.
    pub(super) fn quiet_until(&mut self) -> Option<Micros> {
        let until = self.quiet_until.take()?;
        Some(self.gone.as_ref().map_or(until, |gone| until.min(gone.start)))
    }

    pub(super) fn load(&self, at: Micros, figures: &mut Figures) -> Option<Issued> {
        figures.store.add(at);
        let now = moment(at);
        let (issued, age) = self.slot.load(now.elapsed)?;
        Some(issued.clone().with_arrived(now.before(age)))
    }

    pub(super) fn lease(&mut self, at: Micros, figures: &mut Figures) -> Lease {
        figures.store.add(at);
        self.slot.lease(moment(at).elapsed, Sharing::LEASE)
    }

    pub(super) fn save(&mut self, at: Micros, fence: Fence, issued: Issued, figures: &mut Figures) {
        figures.store.add(at);
        if self.slot.save(moment(at).elapsed, fence, issued) {
            self.quiet_until = Some(at + self.quiet);
        }
        if self.fail_over.is_some_and(|from| at >= from) {
            self.fail_over = None;
            let start = at + self.into_round;
            self.gone = Some(start..start + FAIL_OVER_TAKES);
            figures.failed_over = Some(start);
        }
    }

    pub(super) fn cool(
        &mut self,
        at: Micros,
        fence: Fence,
        failure: Failure,
        pause: Duration,
        figures: &mut Figures,
    ) {
        figures.store.add(at);
        self.slot.cool(moment(at).elapsed, fence, failure, pause);
    }

    pub(super) fn release(&mut self, at: Micros, fence: Fence, figures: &mut Figures) {
        figures.store.add(at);
        self.slot.release(fence);
    }
}
