//! How it is with each role, for `rolekeeper status`. No secrets.

use std::{borrow::Cow, sync::atomic::Ordering};

use serde::{Deserialize, Serialize};

use crate::role::Role;

/// An agent, as it tells of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AgentStatus {
    /// Its version.
    pub version: Cow<'static, str>,
    /// Its process.
    pub pid: u32,
    /// Its roles, by name.
    pub roles: Vec<RoleStatus>,
}

/// A role, as its agent tells of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RoleStatus {
    /// Its name.
    pub name: String,
    /// Its ARN, or the name of another source.
    pub source: String,
    /// The account, where it is known.
    pub account_id: Option<String>,
    /// When the session held ends, by this machine's clock, in UTC.
    pub expiration: Option<String>,
    /// What it still has; 0 if nothing valid is held.
    pub remaining_seconds: u64,
    /// How long it lives altogether.
    pub lifetime_seconds: u64,
    /// Counts up with each session; 0 before the first.
    pub generation: u64,
    /// How long until it is refreshed; 0 if that is under way. `None` with nothing held.
    pub next_refresh_seconds: Option<u64>,
    /// Sessions handed out.
    pub reads: u64,
    /// Requests that had to wait for a session.
    pub held: u64,
    /// Requests that waited in vain.
    pub unavailable: u64,
    /// Why the last fetch failed; `None` after one that succeeded.
    pub last_error: Option<LastError>,
}

/// Why a fetch failed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LastError {
    /// Who can mend it.
    pub kind: String,
    /// The service's code, if it has one.
    pub code: Option<String>,
    /// What happened.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

pub(super) fn of(roles: &[Role]) -> String {
    let status = AgentStatus {
        version: env!("CARGO_PKG_VERSION").into(),
        pid: std::process::id(),
        roles: roles.iter().map(RoleStatus::of).collect(),
    };
    // Strings and numbers: nothing in it can fail.
    serde_json::to_string(&status).unwrap_or_default()
}

impl RoleStatus {
    fn of(role: &Role) -> Self {
        let status = role.credentials().status();
        let counters = role.counters();
        Self {
            name: role.name().to_string(),
            source: status.name,
            account_id: status.account_id,
            expiration: status.expiration.map(|end| end.to_string()),
            remaining_seconds: status.remaining.as_secs(),
            lifetime_seconds: status.lifetime.as_secs(),
            generation: status.generation,
            next_refresh_seconds: status.next_refresh.map(|wait| wait.as_secs()),
            reads: counters.reads.load(Ordering::Relaxed),
            held: counters.held.load(Ordering::Relaxed),
            unavailable: counters.unavailable.load(Ordering::Relaxed),
            last_error: status.last_error.map(|error| LastError {
                kind: error.kind().to_string(),
                code: error.code().map(str::to_owned),
                message: error.failure().to_string(),
                hint: error.hint().map(str::to_owned),
            }),
        }
    }
}
