//! Decides which temporary credentials are good: it issues them, ages them and revokes them.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Moment;
use crate::random;
use crate::secret::Secret;
use crate::trust::Principal;

/// The most sessions held: the oldest is forgotten first, and is then an unknown key.
const MOST: usize = 100_000;
/// How long an expired session is held, so that its user is told ExpiredToken.
const HELD_EXPIRED: Duration = Duration::from_secs(3600);

/// Which operation issued a session, and so what it may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    AssumedRole,
    SessionToken,
    Federated,
}

/// Temporary credentials and what is known of their holder.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: Secret,
    pub(crate) session_token: Secret,
    /// What the holder was told. The sandbox itself goes by `ends`, which ageing does not move.
    pub(crate) expiration: Moment,
    ends: Moment,
    pub(crate) grant: Grant,
}

/// What a session is issued for.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) kind: Kind,
    pub(crate) principal: Principal,
    /// The key that asked for the session; none for a web identity.
    pub(crate) issued_by: Option<String>,
    pub(crate) mfa: bool,
    pub(crate) source_identity: Option<String>,
    pub(crate) transitive_tags: Vec<(String, String)>,
}

/// Which sessions to revoke, of those issued so far.
///
/// As with a real role, a revoked session is refused with AccessDenied rather than ExpiredToken,
/// and may still call GetCallerIdentity.
///
/// As JSON: `"all"`, `{"role": "demo"}` or `{"access_key": "ASIA…"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Revoke {
    /// All of them.
    All,
    /// Those of the role of this name.
    Role(String),
    /// The one with this access key id, and those it or this user's key asked for.
    AccessKey(String),
}

#[derive(Debug)]
pub(crate) struct Sessions {
    most: usize,
    by_key: HashMap<String, Held>,
    issued: VecDeque<String>,
}

#[derive(Debug)]
struct Held {
    session: Arc<Session>,
    revoked: bool,
}

/// A session found by its key.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) session: Arc<Session>,
    pub(crate) revoked: bool,
}

// === impl Sessions ===

impl Default for Sessions {
    fn default() -> Self {
        Self { most: MOST, by_key: HashMap::new(), issued: VecDeque::new() }
    }
}

impl Sessions {
    /// Issues a session that expires at `expiration` and, sessions having been aged by `aged`,
    /// counts from there.
    pub(crate) fn issue(
        &mut self,
        grant: Grant,
        now: Moment,
        expiration: Moment,
        aged: Duration,
    ) -> io::Result<Arc<Session>> {
        self.forget(now.plus(aged));
        let session = Arc::new(Session {
            access_key_id: random::session_key_id()?,
            secret_access_key: Secret::new(random::secret_key()?),
            session_token: Secret::new(random::session_token()?),
            expiration,
            ends: expiration.plus(aged),
            grant,
        });
        let held = Held { session: Arc::clone(&session), revoked: false };
        self.issued.push_back(session.access_key_id.clone());
        self.by_key.insert(session.access_key_id.clone(), held);
        Ok(session)
    }

    pub(crate) fn find(&self, access_key_id: &str) -> Option<Found> {
        let held = self.by_key.get(access_key_id)?;
        Some(Found { session: Arc::clone(&held.session), revoked: held.revoked })
    }

    /// Revokes and says how many sessions that hit.
    pub(crate) fn revoke(&mut self, which: &Revoke) -> usize {
        let mut revoked = 0;
        for held in self.by_key.values_mut() {
            let session = &held.session;
            let hit = match which {
                Revoke::All => true,
                Revoke::Role(role) => {
                    matches!(&session.grant.principal, Principal::Role { name, .. } if name == role)
                }
                Revoke::AccessKey(id) => {
                    session.access_key_id == *id || session.grant.issued_by.as_ref() == Some(id)
                }
            };
            held.revoked |= hit;
            revoked += usize::from(hit);
        }
        revoked
    }

    fn forget(&mut self, now: Moment) {
        let long_over = |held: &Held| held.session.ends.plus(HELD_EXPIRED) < now;
        while let Some(oldest) = self.issued.front() {
            let full = self.by_key.len() >= self.most;
            if !full && !self.by_key.get(oldest).is_none_or(long_over) {
                break;
            }
            self.by_key.remove(oldest);
            self.issued.pop_front();
        }
    }
}

// === impl Session ===

impl Session {
    /// Whether it is over, sessions having been aged by `aged`.
    pub(crate) fn is_over(&self, now: Moment, aged: Duration) -> bool {
        now.plus(aged) >= self.ends
    }
}

// === impl Revoke ===

impl From<&str> for Revoke {
    /// The role of that name.
    fn from(role: &str) -> Self {
        Self::Role(role.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant() -> Grant {
        Grant {
            kind: Kind::AssumedRole,
            principal: Principal::Role { name: "demo".to_owned(), session: "s".to_owned() },
            issued_by: None,
            mfa: false,
            source_identity: None,
            transitive_tags: Vec::new(),
        }
    }

    fn at(seconds: i64) -> Moment {
        Moment::from_unix_seconds(seconds)
    }

    #[test]
    fn a_session_ends_at_its_expiration_to_the_second() {
        let session = Sessions::default().issue(grant(), at(0), at(900), Duration::ZERO).unwrap();
        assert!(!session.is_over(at(899), Duration::ZERO));
        assert!(session.is_over(at(900), Duration::ZERO));
    }

    #[test]
    fn ageing_ends_the_sessions_issued_before_and_no_others() {
        let mut sessions = Sessions::default();
        let before = sessions.issue(grant(), at(0), at(900), Duration::ZERO).unwrap();
        let aged = Duration::from_secs(900);
        let after = sessions.issue(grant(), at(0), at(900), aged).unwrap();
        assert!(before.is_over(at(0), aged));
        assert!(!after.is_over(at(899), aged));
        assert!(after.is_over(at(900), aged));
    }

    #[test]
    fn long_expired_sessions_are_forgotten() {
        let mut sessions = Sessions::default();
        let old = sessions.issue(grant(), at(0), at(900), Duration::ZERO).unwrap();
        sessions.issue(grant(), at(4500), at(5400), Duration::ZERO).unwrap();
        assert!(sessions.find(&old.access_key_id).is_some());
        sessions.issue(grant(), at(4501), at(5401), Duration::ZERO).unwrap();
        assert!(sessions.find(&old.access_key_id).is_none());
        assert_eq!(sessions.by_key.len(), 2);
    }

    #[test]
    fn the_table_never_holds_more_than_its_most() {
        let mut sessions = Sessions { most: 10, ..Sessions::default() };
        let first = sessions.issue(grant(), at(0), at(900), Duration::ZERO).unwrap();
        for _ in 0..10 {
            sessions.issue(grant(), at(0), at(900), Duration::ZERO).unwrap();
        }
        assert_eq!((sessions.by_key.len(), sessions.issued.len()), (10, 10));
        assert!(sessions.find(&first.access_key_id).is_none());
    }
}
