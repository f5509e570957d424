//! What anyone may know of a session's life.

use std::time::Duration;

use rolekeeper_core::{Counters, Moment, WallTime};

use crate::{engine::Facts, error::Error};

/// The state of one role's credentials at one moment; no secrets.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// The role's ARN, or the name of another source.
    pub name: String,
    /// The access key id of the session held.
    pub access_key_id: Option<String>,
    /// The account, where the source told it.
    pub account_id: Option<String>,
    /// The assumed role's ARN, where the source told it.
    pub assumed_role_arn: Option<String>,
    /// When the session held ends, by this machine's wall clock.
    pub expiration: Option<WallTime>,
    /// What it still has, by the stricter of two clocks; zero if nothing valid is held.
    pub remaining: Duration,
    /// How long it lives from its arrival to its end.
    pub lifetime: Duration,
    /// Counts up with each session; 0 before the first.
    pub generation: u64,
    /// Whether a service has rejected it.
    pub is_rejected: bool,
    /// How long until it is refreshed; zero if that is under way or overdue. `None` with nothing
    /// held.
    pub next_refresh: Option<Duration>,
    /// Why the last fetch failed; `None` after one that succeeded.
    pub last_error: Option<Error>,
    /// How often what has happened.
    pub counters: Counters,
    /// Whether it has been shut down.
    pub is_shut_down: bool,
}

impl Status {
    pub(super) fn new(name: String, facts: Facts, now: Moment) -> Self {
        let session = facts.session.as_deref();
        let text = |text: Option<&str>| text.map(str::to_owned);
        let valid_until = session.filter(|held| held.is_valid(now)).map(|held| held.expiration());
        Self {
            access_key_id: text(session.map(|held| held.access_key_id())),
            account_id: text(session.and_then(|held| held.account_id())),
            assumed_role_arn: text(session.and_then(|held| held.assumed_role_arn())),
            expiration: session.map(|held| held.expiration()),
            remaining: session.map_or(Duration::ZERO, |held| held.remaining(now)),
            lifetime: session.map_or(Duration::ZERO, |held| held.lifetime()),
            generation: session.map_or(0, |held| held.generation()),
            is_rejected: facts.is_rejected,
            next_refresh: facts.next_refresh.map(|at| now.until(at)),
            last_error: facts.trouble.map(|refusal| Error::new(&name, refusal, valid_until)),
            counters: facts.counters,
            is_shut_down: facts.is_shut_down,
            name,
        }
    }
}
