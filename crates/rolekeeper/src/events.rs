//! What happens to a session, told to those who watch, and written to the log.

use std::{sync::Arc, time::Duration};

use rolekeeper_core::{Event as CoreEvent, Moment, Refusal, Session, WallTime};

/// One thing that happened. Subscribe with
/// [`RefreshableCredentials::events`](crate::RefreshableCredentials::events).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event {
    /// When, by this machine's wall clock.
    pub at: WallTime,
    /// What.
    pub kind: EventKind,
    /// The generation of the session that is held after it; 0 for none.
    pub generation: u64,
    /// What that session still has; zero for none.
    pub remaining: Duration,
}

/// What happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EventKind {
    /// A new session came and is served from here on.
    Fetched {
        /// When it ends, by this machine's wall clock.
        expiration: WallTime,
    },
    /// A session that another process or host fetched is served from here on.
    Adopted {
        /// When it ends, by this machine's wall clock.
        expiration: WallTime,
    },
    /// A fetch failed; while a session is valid, readers notice nothing.
    Failed(Refusal),
    /// A service said that the session is no good.
    Rejected {
        /// The session's access key id; not a secret.
        access_key_id: String,
    },
    /// The session ended and there is no newer one.
    Expired,
    /// Nobody had read the session for the policy's idle time; it was dropped until somebody asks.
    LetGo,
}

impl Event {
    pub(crate) fn at(now: Moment, event: CoreEvent, held: Option<&Arc<Session>>) -> Self {
        let expiration = || held.map(|session| session.expiration()).unwrap_or_default();
        let kind = match event {
            CoreEvent::Fetched => EventKind::Fetched { expiration: expiration() },
            CoreEvent::Adopted => EventKind::Adopted { expiration: expiration() },
            CoreEvent::Failed(refusal) => EventKind::Failed(refusal),
            CoreEvent::Rejected { access_key_id } => EventKind::Rejected { access_key_id },
            CoreEvent::Expired => EventKind::Expired,
            _ => EventKind::LetGo,
        };
        Self {
            at: now.wall,
            kind,
            generation: held.map_or(0, |session| session.generation()),
            remaining: held.map_or(Duration::ZERO, |session| session.remaining(now)),
        }
    }

    /// One line for the log, in which `role` is the name of the source: failures at `warn`, the
    /// rest at `info` and `debug`.
    pub(crate) fn log(&self, role: &str) {
        let Self { generation, remaining, .. } = self;
        match &self.kind {
            EventKind::Fetched { expiration } => {
                tracing::info!(role, generation, %expiration, "fetched a session");
            }
            EventKind::Adopted { expiration } => {
                tracing::info!(role, generation, %expiration, "took over a session");
            }
            EventKind::Failed(refusal) => tracing::warn!(
                role,
                failure = %refusal.failure,
                kind = %refusal.failure.kind,
                in_a_row = refusal.attempts,
                next_try_seconds = refusal.next_try.map(|wait| wait.as_secs_f64()),
                valid_seconds = remaining.as_secs_f64(),
                "a fetch failed"
            ),
            EventKind::Rejected { access_key_id } => {
                tracing::warn!(role, generation, access_key_id, "a service rejected the session");
            }
            EventKind::Expired => {
                tracing::warn!(role, generation, "the session ended with no newer one");
            }
            EventKind::LetGo => tracing::debug!(role, generation, "let an idle session go"),
        }
    }
}
