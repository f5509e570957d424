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
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// A GET with a token and a few headers; more is no SDK's.
const MOST_HEADERS: usize = 32;
const LARGEST_HEAD: usize = 8 * 1024;

/// All listeners together: some 300 MB, were all of them to send the largest head.
const MOST_CONNECTIONS: usize = 16 * 1024;

/// After an accept that failed: out of file descriptors, or a peer that has gone.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What all listeners serve from and count in.
pub(crate) struct World {
    pub(crate) roles: Roles,
    pub(crate) refusals: Refusals,
    slots: Arc<Semaphore>,
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
    peer: [OnceCell<Result<Peer, Refusal>>; 2],
    /// Of which session this connection's reading is in the audit already.
    pub(crate) audited: AtomicU64,
}

enum Ends {
    Tcp { local: SocketAddr, remote: SocketAddr },
    Unix(Peer),
}

// === impl World ===

impl World {
    pub(crate) fn new() -> Self {
        let (roles, refusals) = Default::default();
        Self { roles, refusals, slots: Arc::new(Semaphore::new(MOST_CONNECTIONS)) }
    }

    pub(crate) fn refuse(&self, refusal: Refusal, connection: &Connection) -> Answer {
        self.refusals.count(refusal);
        audit::refused(refusal, connection);
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
    pub(crate) async fn peer(&self, depth: Depth) -> Result<&Peer, Refusal> {
        let (local, remote) = match &self.ends {
            Ends::Unix(peer) => return Ok(peer),
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
            asked.map_err(|error| {
                tracing::warn!(%remote, %error, "cannot tell who is at the other end");
                Refusal::Peer
            })
        };
        let known = &self.peer[usize::from(depth == Depth::Process)];
        known.get_or_init(ask).await.as_ref().map_err(|refusal| *refusal)
    }

    pub(crate) async fn check_rule(&self, rule: &Rule) -> Result<(), Refusal> {
        let Some(depth) = rule.needs() else { return Ok(()) };
        if rule.admits(self.peer(depth).await?) { Ok(()) } else { Err(Refusal::Peer) }
    }

    /// Tells the audit of the first time that this connection reads this session.
    pub(crate) fn note_read(&self, role: &Role, session: &Session) {
        if self.audited.swap(session.generation(), Ordering::Relaxed) != session.generation() {
            audit::read(role, session, self);
        }
    }
}

// === accepting ===

/// Accepts and serves for as long as it is polled; connections live on until they end or the
/// runtime does.
pub(crate) async fn serve_tcp<F: Face>(listener: TcpListener, face: Arc<F>, world: Arc<World>) {
    loop {
        let slot = slot(&world).await;
        let (stream, remote) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                pause(&error).await;
                continue;
            }
        };
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

async fn slot(world: &World) -> Option<tokio::sync::OwnedSemaphorePermit> {
    // It is never closed.
    Arc::clone(&world.slots).acquire_owned().await.ok()
}

pub(crate) async fn pause(error: &io::Error) {
    tracing::warn!(%error, "cannot accept a connection");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

/// Serves one connection to its end.
pub(crate) async fn serve<F: Face>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    connection: &Connection,
    face: &F,
    world: &World,
) {
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
            world.refusals.count(Refusal::Malformed);
        }
        tracing::debug!(%error, "a connection broke");
    }
}
