//! Who read what: one line for the first time that a client reads a session, and for a refusal.
//! Never a secret.
//!
//! An SDK that asks for every request, or a client that is refused in a loop, must not fill a disk:
//! a client's second reading of a session is not told, and of refusals only so many.

use std::{
    net::IpAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rolekeeper::{Clock, Elapsed, Session};

use crate::{connections::Connection, peer::Peer, refusal::Refusal, role::Role};

/// Clients of one session that are told apart.
const MOST_CLIENTS: usize = 64;

/// Refusals for one reason that are told of in one [`WINDOW`].
const MOST_REFUSALS: u64 = 10;
const WINDOW: Duration = Duration::from_secs(60);

/// Of a role: who has read its newest session.
#[derive(Debug)]
pub(crate) struct Readers {
    /// Tells roles apart on one connection.
    id: u64,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    generation: u64,
    clients: Vec<Client>,
    is_full: bool,
}

/// As far as it can be told from others: every connection has another port.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Client {
    Known { uid: u32, pid: Option<u32> },
    Unknown(Option<IpAddr>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    First,
    /// The first that is not told apart any more.
    OneTooMany,
    Again,
}

/// Of all listeners: how many refusals have been told of lately.
#[derive(Debug, Default)]
pub(crate) struct Refused([Mutex<Quota>; Refusal::ALL.len()]);

#[derive(Debug, Default)]
struct Quota {
    since: Option<Elapsed>,
    count: u64,
}

// === impl Readers ===

impl Readers {
    /// Another number for each session of each role, as far as one connection sees them.
    pub(crate) fn key(&self, session: &Session) -> u64 {
        self.id << 32 | (session.generation() & u64::from(u32::MAX))
    }

    /// Tells of this reading, if it is this client's first of this session.
    pub(crate) fn note(&self, role: &Role, session: &Session, connection: &Connection) {
        let generation = session.generation();
        let client = Client::of(connection);
        let reading =
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).add(generation, client);
        let role = role.name().as_str();
        match reading {
            Reading::First => {
                let Told { remote, listener, uid, pid, executable } = Told::of(connection);
                tracing::info!(
                    target: "rolekeeper::audit",
                    role, generation, remote, listener, uid, pid, executable,
                    "read"
                );
            }
            Reading::OneTooMany => tracing::info!(
                target: "rolekeeper::audit",
                role, generation, "read by more than {MOST_CLIENTS} clients: the rest is not told"
            ),
            Reading::Again => {}
        }
    }
}

impl Default for Readers {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self { id: NEXT.fetch_add(1, Ordering::Relaxed), seen: Mutex::default() }
    }
}

impl Seen {
    fn add(&mut self, generation: u64, client: Client) -> Reading {
        if generation < self.generation {
            // It was handed out before the newest, and is told of a moment after it.
            return Reading::Again;
        }
        if generation > self.generation {
            *self = Self { generation, ..Self::default() };
        }
        if self.is_full || self.clients.contains(&client) {
            return Reading::Again;
        }
        if self.clients.len() == MOST_CLIENTS {
            self.is_full = true;
            return Reading::OneTooMany;
        }
        self.clients.push(client);
        Reading::First
    }
}

impl Client {
    fn of(connection: &Connection) -> Self {
        match connection.known_peer() {
            Some(&Peer { uid: Some(uid), pid, .. }) => Self::Known { uid, pid },
            _ => Self::Unknown(connection.remote().map(|remote| remote.ip())),
        }
    }
}

// === impl Refused ===

impl Refused {
    /// Tells of this refusal, unless there have been many for the same reason.
    pub(crate) fn note(&self, refusal: Refusal, connection: &Connection) {
        let mut quota = self.0[refusal as usize].lock().unwrap_or_else(PoisonError::into_inner);
        let now = Clock::System.now().elapsed;
        left_out(refusal, quota.renew(now));
        if quota.take(now) {
            let Told { remote, listener, uid, pid, executable } = Told::of(connection);
            tracing::info!(
                target: "rolekeeper::audit",
                reason = refusal.name(), remote, listener, uid, pid, executable,
                "refused"
            );
        }
    }

    /// Tells how many have been left out, once their time is over.
    pub(crate) fn sweep(&self) {
        let now = Clock::System.now().elapsed;
        for (refusal, quota) in Refusal::ALL.into_iter().zip(&self.0) {
            left_out(refusal, quota.lock().unwrap_or_else(PoisonError::into_inner).renew(now));
        }
    }
}

fn left_out(refusal: Refusal, left_out: u64) {
    if left_out > 0 {
        let reason = refusal.name();
        tracing::info!(target: "rolekeeper::audit", reason, left_out, "refused more often");
    }
}

impl Quota {
    /// Begins anew if the time is over; how many were left out until then.
    fn renew(&mut self, now: Elapsed) -> u64 {
        if self.since.is_none_or(|since| now.since(since) < WINDOW) {
            return 0;
        }
        std::mem::take(self).count.saturating_sub(MOST_REFUSALS)
    }

    fn take(&mut self, now: Elapsed) -> bool {
        self.since.get_or_insert(now);
        self.count += 1;
        self.count <= MOST_REFUSALS
    }
}

// === impl Told ===

/// What is told of a connection: strings, which the log quotes, and numbers.
struct Told {
    remote: Option<String>,
    listener: Option<String>,
    uid: Option<u32>,
    pid: Option<u32>,
    executable: Option<String>,
}

impl Told {
    fn of(connection: &Connection) -> Self {
        let peer = connection.known_peer();
        Self {
            remote: connection.remote().map(|remote| remote.to_string()),
            listener: connection.local().map(|local| local.to_string()),
            uid: peer.and_then(|peer| peer.uid),
            pid: peer.and_then(|peer| peer.pid),
            executable: peer
                .and_then(|peer| peer.executable.as_ref())
                .map(|path| path.to_string_lossy().into_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(pid: u32) -> Client {
        Client::Known { uid: 1, pid: Some(pid) }
    }

    #[test]
    fn a_clients_first_reading_of_each_session_is_told_once() {
        let mut seen = Seen::default();
        for (generation, pid, expected) in [
            (1, 1, Reading::First),
            (1, 1, Reading::Again),
            (1, 2, Reading::First),
            (2, 1, Reading::First),
            (1, 2, Reading::Again), // late
            (2, 2, Reading::First),
            (2, 1, Reading::Again),
        ] {
            assert_eq!(seen.add(generation, client(pid)), expected, "{generation} {pid}");
        }
    }

    #[test]
    fn so_many_clients_are_remembered_and_the_next_is_told_of_once() {
        let mut seen = Seen::default();
        let told: Vec<Reading> = (0..1000).map(|pid| seen.add(1, client(pid))).collect();
        let count = |which| told.iter().filter(|reading| **reading == which).count();
        assert_eq!((count(Reading::First), count(Reading::OneTooMany)), (MOST_CLIENTS, 1));
        assert_eq!(seen.clients.len(), MOST_CLIENTS);
        assert_eq!(seen.add(2, client(7)), Reading::First);
    }

    #[test]
    fn refusals_beyond_the_quota_are_counted_and_told_when_their_minute_is_over() {
        let mut quota = Quota::default();
        let start = Clock::System.now().elapsed;
        let told = (0..25).filter(|_| quota.take(start)).count();
        assert_eq!(told, 10);
        assert_eq!(quota.renew(start.after(WINDOW / 2)), 0);
        assert_eq!(quota.renew(start.after(WINDOW)), 15);
        assert_eq!(quota.renew(start.after(WINDOW * 2)), 0, "told once");
        assert!(quota.take(start.after(WINDOW * 2)));
    }
}
