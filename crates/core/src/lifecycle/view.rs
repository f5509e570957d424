//! What a shell sees of a lifecycle: the answers of its verbs.

use std::{sync::Arc, time::Duration};

use crate::{Elapsed, Moment, Refusal, Session, WallTime};

/// What a reader gets.
#[derive(Clone, Debug)]
pub enum Read {
    /// This session, at once.
    Serve(Arc<Session>),
    /// The outcome of this attempt, which is under way or is begun by the next
    /// [`wake`](crate::Lifecycle::wake).
    Wait {
        /// Its number, for [`outcome`](crate::Lifecycle::outcome).
        attempt: u64,
    },
    /// An error, at once.
    Refuse(Refusal),
}

/// What the shell must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// Ask the source, then call [`fetched`](crate::Lifecycle::fetched) or
    /// [`failed`](crate::Lifecycle::failed).
    Fetch {
        /// Counts up from 1.
        attempt: u64,
    },
    /// Sleep until [`wakeup`](crate::Lifecycle::wakeup).
    Nothing,
}

/// What readers may take without asking anybody.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The session.
    pub session: Arc<Session>,
    /// Until when, on both clocks.
    pub until: Moment,
}

/// When the shell must call again, on whichever clock comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wakeup {
    elapsed: Elapsed,
    wall: WallTime,
}

/// Something that happened, for those who watch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A new session came.
    Fetched,
    /// A session that somebody else fetched was taken over.
    Adopted,
    /// A fetch failed.
    Failed(Refusal),
    /// A service rejected the session.
    Rejected {
        /// Of the rejected session; not a secret.
        access_key_id: String,
    },
    /// The session ended with no newer one to take its place.
    Expired,
    /// Nobody had read the session for long; it was dropped until somebody asks.
    LetGo,
}

/// How often what has happened since the lifecycle began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Fetches begun.
    pub attempts: u64,
    /// Sessions that came.
    pub fetched: u64,
    /// Fetches that failed.
    pub failed: u64,
    /// Rejections of the session held at that time.
    pub rejected: u64,
}

// === impl Wakeup ===

impl Wakeup {
    pub(super) const NEVER: Self =
        Self { elapsed: Elapsed::from_nanos(i64::MAX), wall: WallTime::from_unix_nanos(i64::MAX) };

    pub(super) fn at(&mut self, moment: Moment) {
        self.elapsed = self.elapsed.min(moment.elapsed);
        self.wall = self.wall.min(moment.wall);
    }

    pub(super) fn at_elapsed(&mut self, elapsed: Elapsed) {
        self.elapsed = self.elapsed.min(elapsed);
    }

    /// How long the shell may sleep, if no clock is stepped meanwhile.
    pub fn wait(&self, now: Moment) -> Duration {
        now.until(Moment { elapsed: self.elapsed, wall: self.wall })
    }

    /// Whether it is time.
    pub fn is_due(&self, now: Moment) -> bool {
        self.wait(now).is_zero()
    }
}
