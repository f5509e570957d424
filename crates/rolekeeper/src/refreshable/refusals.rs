//! What a reader is told when it is not the source that failed.

use std::{sync::Arc, time::Duration};

use rolekeeper_core::{Failure, Moment, Session, WallTime};

use super::Inner;
use crate::{engine::Engine, error::Error, refresher::Seconds};

impl Inner {
    /// At a reader's deadline: why the fetch before failed, or else that this one took too long.
    pub(super) fn late_error(&self, engine: &Engine, patience: Duration) -> Error {
        let now = self.clock.now();
        let facts = engine.facts(now);
        let failure = match facts.trouble {
            Some(refusal) => Failure::clone(&refusal.failure),
            None => Failure::unavailable(format!(
                "nothing came within {}, the reader's deadline",
                Seconds(patience)
            )),
        };
        Error::of(&self.name, failure)
    }

    pub(super) fn shut_down_error(&self) -> Error {
        let failure = Failure::misconfigured("these credentials have been shut down")
            .with_hint("make new ones; `shutdown()` ends all clones");
        Error::of(&self.name, failure)
    }

    pub(super) fn no_thread_error(&self, error: &std::io::Error) -> Error {
        let failure = Failure::unavailable(format!("cannot start a thread: {error}"))
            .with_hint("raise the process' limit of threads (`ulimit -u`)");
        Error::of(&self.name, failure)
    }

    pub(super) fn no_runtime_error(&self) -> Error {
        let failure = Failure::unavailable("the runtime to refresh in is being shut down");
        Error::of(&self.name, failure)
    }
}

pub(super) fn valid_until(session: Option<&Arc<Session>>, now: Moment) -> Option<WallTime> {
    session.filter(|held| held.is_valid(now)).map(|held| held.expiration())
}
