//! Connections: accepted, limited, and each served by the face of its listener.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rolekeeper::Session;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::{OnceCell, Semaphore},
};

use crate::{
    audit,
    peer::{Depth, Peer},
    refusal::{Refusal, Refusals},
    reply::{self, Answer},
    role::{Role, Roles},
    rule::Rule,
};

/// From a connection's beginning, or its last answer, to the end of the next request's headers. An
/// SDK sends them at once; a connection that is kept may rest for so long.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// A GET with a token and a few headers; more is no SDK's.
const MOST_HEADERS: usize = 32;
const LARGEST_HEAD: usize = 8 * 1024;

/// All listeners together: some 300 MB, were all of them to send the largest head.
const MOST_CONNECTIONS: usize = 16 * 1024;

/// File descriptors that connections leave for all else: the runtime and the listeners, fetches and
/// the names that they look up, files of tokens and of a store.
const RESERVED_DESCRIPTORS: u64 = 48;

/// However few there are: each listener holds the place of the next one that comes.
const LEAST_CONNECTIONS: u64 = 8;

/// After an accept that failed: out of file descriptors, or a peer that has gone.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What all listeners serve from and count in.
pub(crate) struct World {
    pub(crate) roles: Roles,
    pub(crate) refusals: Refusals,
    pub(crate) refused: audit::Refused,
    slots: Arc<Semaphore>,
    /// One handle for each connection that is open, and this one.
    open: Arc<()>,
}

/// What a listener serves.
pub(crate) trait Face: Send + Sync + 'static {
    fn answer(
        &self,
        world: &World,
        connection: &Connection,
        request: Request<Incoming>,
    ) -> impl Future<Output = Answer> + Send;
}

/// One connection, and who is at its other end, once somebody has asked.
pub(crate) struct Connection {
    ends: Ends,
    /// At each depth; `None` if the kernel doesn't tell.
    peer: [OnceCell<Option<Peer>>; 2],
    /// Of which session of which role this connection's reading is in the audit already.
    audited: AtomicU64,
}

enum Ends {
    Tcp { local: SocketAddr, remote: SocketAddr },
    Unix(Peer),
}

// === impl World ===

impl World {
    pub(crate) fn new() -> Self {
        let (roles, refusals, refused) = Default::default();
        let (slots, open) = (Arc::new(Semaphore::new(most_connections())), Arc::default());
        Self { roles, refusals, refused, slots, open }
    }

    /// How many are open.
    pub(crate) fn connections(&self) -> usize {
        Arc::strong_count(&self.open) - 1
    }

    /// Counts it and tells of it; for a client that gets no answer.
    pub(crate) fn note_refusal(&self, refusal: Refusal, connection: &Connection) {
        self.refusals.count(refusal);
        self.refused.note(refusal, connection);
    }

    pub(crate) fn refuse(&self, refusal: Refusal, connection: &Connection) -> Answer {
        self.note_refusal(refusal, connection);
        reply::refused(refusal)
    }
}

// === impl Connection ===

impl Connection {
    pub(crate) fn tcp(local: SocketAddr, remote: SocketAddr) -> Self {
        Self::new(Ends::Tcp { local, remote })
    }

    pub(crate) fn unix(peer: Peer) -> Self {
        Self::new(Ends::Unix(peer))
    }

    fn new(ends: Ends) -> Self {
        let (peer, audited) = Default::default();
        Self { ends, peer, audited }
    }

    /// This machine's end; `None` for a Unix socket.
    pub(crate) fn local(&self) -> Option<SocketAddr> {
        match self.ends {
            Ends::Tcp { local, .. } => Some(local),
            Ends::Unix(_) => None,
        }
    }

    /// The other end's address; `None` for a Unix socket.
    pub(crate) fn remote(&self) -> Option<SocketAddr> {
        match self.ends {
            Ends::Tcp { remote, .. } => Some(remote),
            Ends::Unix(_) => None,
        }
    }

    /// Who is at the other end; asked of the kernel once.
    async fn peer(&self, depth: Depth) -> Option<&Peer> {
        let (local, remote) = match &self.ends {
            Ends::Unix(peer) => return Some(peer),
            Ends::Tcp { local, remote } => (*local, *remote),
        };
        let ask = || async move {
            let asked = match depth {
                Depth::Uid => Peer::of_tcp(local, remote, depth),
                // It reads a good part of /proc.
                Depth::Process => {
                    let task = move || Peer::of_tcp(local, remote, depth);
                    tokio::task::spawn_blocking(task).await.map_err(io::Error::other).flatten()
                }
            };
            asked
                .inspect_err(|error| {
                    tracing::debug!(%remote, %error, "cannot tell who is at the other end");
                })
                .ok()
        };
        let known = &self.peer[usize::from(depth == Depth::Process)];
        known.get_or_init(ask).await.as_ref()
    }

    /// Who is at the other end, as far as that has been asked.
    pub(crate) fn known_peer(&self) -> Option<&Peer> {
        match &self.ends {
            Ends::Unix(peer) => Some(peer),
            Ends::Tcp { .. } => self.peer.iter().rev().find_map(|known| known.get()?.as_ref()),
        }
    }

    pub(crate) async fn check_rule(&self, rule: &Rule) -> Result<(), Refusal> {
        let Some(depth) = rule.needs() else { return Ok(()) };
        let is_admitted = self.peer(depth).await.is_some_and(|peer| rule.admits(peer));
        if is_admitted { Ok(()) } else { Err(Refusal::Peer) }
    }

    /// Tells the audit of the first time that this connection reads this session.
    pub(crate) async fn note_read(&self, role: &Role, session: &Session) {
        let key = role.readers().key(session);
        if self.audited.swap(key, Ordering::Relaxed) != key {
            if self.known_peer().is_none() {
                self.peer(Depth::Uid).await;
            }
            role.readers().note(role, session, self);
        }
    }
}

// === accepting ===

/// So many that whoever opens more than there are file descriptors takes none from a fetch: the
/// others wait in the backlog, until a connection that rests is closed.
fn most_connections() -> usize {
    let room = |limit: u64| limit.saturating_sub(RESERVED_DESCRIPTORS).max(LEAST_CONNECTIONS);
    let room = descriptors().and_then(|limit| usize::try_from(room(limit)).ok());
    room.map_or(MOST_CONNECTIONS, |room| room.min(MOST_CONNECTIONS))
}

/// How many this process may have; `None` if there is no limit.
#[cfg(unix)]
fn descriptors() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

#[cfg(not(unix))]
fn descriptors() -> Option<u64> {
    None
}

/// Of a listener whose accepts fail: it is told once, and again after one that did not.
#[derive(Default)]
pub(crate) struct AcceptTrouble {
    is_told: bool,
}

impl AcceptTrouble {
    pub(crate) fn is_over(&mut self) {
        self.is_told = false;
    }

    pub(crate) async fn pause(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.is_told, true) {
            tracing::warn!(%error, "cannot accept connections; trying again and again");
        }
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

/// Accepts and serves for as long as it is polled; connections live on until they end or the
/// runtime does.
pub(crate) async fn serve_tcp<F: Face>(listener: TcpListener, face: Arc<F>, world: Arc<World>) {
    let mut trouble = AcceptTrouble::default();
    loop {
        let slot = slot(&world).await;
        let (stream, remote) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                trouble.pause(&error).await;
                continue;
            }
        };
        trouble.is_over();
        let Ok(local) = stream.local_addr() else { continue };
        // Answers are one segment: there is nothing to wait for.
        let _ = stream.set_nodelay(true);
        let (face, world) = (Arc::clone(&face), Arc::clone(&world));
        tokio::spawn(async move {
            let _slot = slot;
            serve(stream, &Connection::tcp(local, remote), &*face, &world).await;
        });
    }
}

pub(crate) async fn slot(world: &World) -> Option<tokio::sync::OwnedSemaphorePermit> {
    // It is never closed.
    Arc::clone(&world.slots).acquire_owned().await.ok()
}

/// Serves one connection to its end.
pub(crate) async fn serve<F: Face>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    connection: &Connection,
    face: &F,
    world: &World,
) {
    let _open = Arc::clone(&world.open);
    let answer = service_fn(|request| async {
        Ok::<_, Infallible>(face.answer(world, connection, request).await)
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(MOST_HEADERS)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
    if let Err(error) = served {
        if error.is_parse() {
            world.note_refusal(Refusal::Malformed, connection);
        }
        tracing::debug!(%error, "a connection broke");
    }
}
