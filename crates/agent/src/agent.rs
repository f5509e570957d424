//! The agent: roles, and listeners that serve them. It is told what to serve as a whole; told again,
//! it changes what is different and leaves the rest alone.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener as StdListener},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{net::TcpListener, task::AbortHandle};

use crate::{
    config::RoleName,
    connections::{self, World},
    container::Container,
    imds::Imds,
    local::{self, UnixListener},
    operator::Operator,
    peer::Peer,
    role::Role,
};

/// How often documents of sessions that have ended are wiped.
const SWEEP: Duration = Duration::from_secs(30);

/// Serves roles to SDKs, for as long as it lives and its runtime runs.
///
/// ```no_run
/// # async fn example(credentials: rolekeeper::RefreshableCredentials) -> Result<(), Box<dyn std::error::Error>> {
/// use rolekeeper_agent::{Agent, Face, Listener, Place, Plan, Role, RoleName, Rule, Tokens};
///
/// let name = RoleName::parse("etl")?;
/// let role = Role::new(name, credentials, Tokens::random()?, Rule::this_user());
/// let agent = Agent::new();
/// let container = Listener { at: Place::Address(([127, 0, 0, 1], 0).into()), face: Face::Container };
/// let listening = agent.serve(Plan { roles: vec![role], listeners: vec![container] }).await?;
/// println!("http://{}/role/etl", listening[0].address);
/// # Ok(()) }
/// ```
pub struct Agent {
    world: Arc<World>,
    running: Mutex<Vec<Running>>,
    sweeper: Mutex<Option<AbortHandle>>,
}

/// What is served.
#[derive(Debug, Default)]
pub struct Plan {
    /// Each of another name.
    pub roles: Vec<Role>,
    /// Each at another place.
    pub listeners: Vec<Listener>,
}

/// A door, and what stands behind it.
#[derive(Debug)]
pub struct Listener {
    /// Where.
    pub at: Place,
    /// What.
    pub face: Face,
}

/// Where a listener listens.
#[derive(Debug)]
pub enum Place {
    /// A TCP port; 0 is any that is free.
    Address(SocketAddr),
    /// A TCP port that somebody else has bound for us, such as systemd.
    Inherited(StdListener),
    /// A Unix socket that somebody else has bound for us.
    InheritedUnix(UnixListener),
    /// A Unix socket; its folder is made if it is missing.
    Path(PathBuf),
}

/// What a listener serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Face {
    /// The container endpoint: all roles, each at `/role/NAME` with its token.
    Container,
    /// The instance metadata service, for one role.
    Imds {
        /// Which.
        role: RoleName,
        /// The Region that it tells, if any.
        region: Option<String>,
        /// Whether version 1 is served too, which asks for no token.
        v1: bool,
        /// The file with the key of its tokens, made if it is missing; without one they end with
        /// the listener.
        key: Option<PathBuf>,
    },
    /// Health and metrics.
    Operator,
    /// What other `rolekeeper` commands of the same user ask.
    Local,
}

/// A listener that runs.
#[derive(Clone, Debug)]
pub struct Listening {
    /// Where it can be reached; unspecified for a Unix socket.
    pub address: SocketAddr,
    /// What it serves.
    pub face: Face,
}

/// Listeners that are bound; those of them that don't serve yet end when this is dropped.
pub struct Bound(Vec<(Asked, Socket, Face)>);

/// A listener that could not be had; nothing was changed.
#[derive(Debug)]
pub struct BindError {
    /// Where it was to listen.
    pub place: String,
    /// Why it can't.
    pub error: io::Error,
}

struct Running {
    asked: Asked,
    socket: Socket,
    face: Face,
    task: AbortHandle,
}

#[derive(Clone, PartialEq, Eq)]
enum Asked {
    Address(SocketAddr),
    Path(PathBuf),
}

enum Socket {
    Tcp(StdListener),
    Unix(local::Socket),
}

// === impl Agent ===

impl Agent {
    /// One that serves nothing yet.
    pub fn new() -> Self {
        let (running, sweeper) = Default::default();
        Self { world: Arc::new(World::new()), running, sweeper }
    }

    /// Serves this and nothing else from here on. A listener that is there already goes on, with
    /// its connections; so do the sessions of roles that are in both plans. All new listeners are
    /// bound before anything is changed. Call it within a runtime.
    ///
    /// # Errors
    /// A port or a path can't be bound: everything stays as it was.
    pub async fn serve(&self, plan: Plan) -> Result<Vec<Listening>, BindError> {
        self.serve_at(self.bind(plan.listeners)?, plan.roles).await
    }

    /// Has these listeners, before it is known what they are to serve: those that run already, and
    /// new ones, at which clients wait.
    ///
    /// # Errors
    /// A port or a path can't be bound: nothing was changed.
    pub fn bind(&self, listeners: Vec<Listener>) -> Result<Bound, BindError> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let bound = listeners.into_iter().map(|Listener { at, face }| {
            let (asked, socket) = at.bind(&running)?;
            Ok((asked, socket, face))
        });
        bound.collect::<Result<_, _>>().map(Bound)
    }

    /// As [`serve`](Self::serve), at what has been bound. Call it within a runtime.
    ///
    /// # Errors
    /// A listener can't be told of.
    #[expect(clippy::unused_async, reason = "must be called within a runtime")]
    pub async fn serve_at(
        &self,
        Bound(bound): Bound,
        roles: Vec<Role>,
    ) -> Result<Vec<Listening>, BindError> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        self.world.roles.replace(roles);
        let mut before = std::mem::take(&mut *running);
        for (asked, socket, face) in bound {
            let same = before.iter().position(|old| old.asked == asked && old.face == face);
            running.push(match same {
                Some(at) => before.swap_remove(at),
                None => Running {
                    task: self.start(&socket, &face).map_err(|error| asked.cannot(error))?,
                    asked,
                    socket,
                    face,
                },
            });
        }
        // Of what is gone, the listener alone: its connections end by themselves.
        before.iter().for_each(|old| old.task.abort());
        self.sweep();
        running.iter().map(Running::listening).collect()
    }

    /// How it is with each role, in the order of their names.
    pub fn roles(&self) -> Vec<Role> {
        self.world.roles.all()
    }

    /// Stops listening, and refreshing all roles.
    pub fn shutdown(&self) {
        let running =
            std::mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner));
        running.iter().for_each(|listener| listener.task.abort());
        for role in self.world.roles.all() {
            role.credentials().shutdown();
            role.forget_what_ended();
        }
    }

    fn start(&self, socket: &Socket, face: &Face) -> io::Result<AbortHandle> {
        let world = Arc::clone(&self.world);
        let task = match socket {
            Socket::Unix(socket) => tokio::spawn(socket.serve(world)?),
            Socket::Tcp(socket) => {
                let listener = TcpListener::from_std(socket.try_clone()?)?;
                match face.clone() {
                    Face::Container => spawn(listener, Container, world),
                    Face::Imds { role, region, v1, key } => {
                        let at = socket.local_addr()?;
                        let imds = Imds::new(role, region, v1, at, key.as_deref())?;
                        spawn(listener, imds, world)
                    }
                    Face::Operator => spawn(listener, Operator, world),
                    // Over TCP anybody on this machine could ask.
                    Face::Local => return Err(io::ErrorKind::Unsupported.into()),
                }
            }
        };
        Ok(task.abort_handle())
    }

    fn sweep(&self) {
        let mut sweeper = self.sweeper.lock().unwrap_or_else(PoisonError::into_inner);
        if sweeper.is_none() {
            let world = Arc::downgrade(&self.world);
            let task = tokio::spawn(async move {
                loop {
                    tokio::time::sleep(SWEEP).await;
                    let Some(world) = world.upgrade() else { return };
                    world.roles.all().iter().for_each(Role::forget_what_ended);
                    world.refused.sweep();
                }
            });
            *sweeper = Some(task.abort_handle());
        }
    }
}

impl Default for Agent {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent").field("roles", &self.roles()).finish_non_exhaustive()
    }
}

fn spawn<F: connections::Face>(
    listener: TcpListener,
    face: F,
    world: Arc<World>,
) -> tokio::task::JoinHandle<()> {
    tokio::spawn(connections::serve_tcp(listener, Arc::new(face), world))
}

// === impl Place ===

impl Place {
    /// A socket there: the one that runs already, or a new one.
    fn bind(self, running: &[Running]) -> Result<(Asked, Socket), BindError> {
        let asked = match &self {
            Self::Address(address) => Asked::Address(*address),
            Self::Path(path) => Asked::Path(path.clone()),
            Self::InheritedUnix(listener) => {
                Asked::Path(local::path_of(listener).unwrap_or_default())
            }
            Self::Inherited(listener) => Asked::Address(
                listener.local_addr().map_err(|error| Asked::Path(PathBuf::new()).cannot(error))?,
            ),
        };
        let known = running.iter().find(|old| old.asked == asked);
        let socket = match (known, self) {
            (Some(known), _) => known.socket.try_clone(),
            (None, Self::Path(path)) => local::Socket::bind(&path).map(Socket::Unix),
            (None, Self::Inherited(listener)) => Ok(Socket::Tcp(listener)),
            (None, Self::InheritedUnix(listener)) => {
                local::Socket::inherited(listener).map(Socket::Unix)
            }
            (None, Self::Address(address)) => StdListener::bind(address).map(Socket::Tcp),
        };
        let ready = socket.and_then(|socket| {
            if let Socket::Tcp(listener) = &socket {
                listener.set_nonblocking(true)?;
            }
            Ok(socket)
        });
        match ready {
            Ok(socket) => Ok((asked, socket)),
            Err(error) => Err(asked.cannot(error)),
        }
    }
}

impl Asked {
    fn cannot(&self, error: io::Error) -> BindError {
        match self {
            Self::Address(address) => {
                let is_taken = error.kind() == io::ErrorKind::AddrInUse;
                let holder = is_taken.then(|| holder_of(*address)).flatten();
                let taken = |holder| {
                    io::Error::new(io::ErrorKind::AddrInUse, format!("it is taken by {holder}"))
                };
                BindError { place: address.to_string(), error: holder.map_or(error, taken) }
            }
            Self::Path(path) => BindError { place: path.display().to_string(), error },
        }
    }
}

impl Socket {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(socket) => Self::Tcp(socket.try_clone()?),
            Self::Unix(socket) => Self::Unix(socket.clone()),
        })
    }
}

impl Running {
    fn listening(&self) -> Result<Listening, BindError> {
        let address = match &self.socket {
            Socket::Tcp(socket) => socket.local_addr().map_err(|error| self.asked.cannot(error))?,
            Socket::Unix(_) => SocketAddr::from(([0, 0, 0, 0], 0)),
        };
        Ok(Listening { address, face: self.face.clone() })
    }
}

/// Who listens where we can't, in words, as far as it is known.
fn holder_of(address: SocketAddr) -> Option<String> {
    // All addresses of a port are taken by whoever has one of them, the loopback's most likely.
    let loopback: IpAddr = match address.ip() {
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    let at = |ip| Peer::listening_at(SocketAddr::new(ip, address.port())).ok();
    let holder =
        at(address.ip()).or_else(|| at(loopback).filter(|_| address.ip().is_unspecified()))?;
    Some(match (holder.executable, holder.pid, holder.uid?) {
        (Some(program), Some(pid), _) => format!("{} (process {pid})", program.display()),
        (_, Some(pid), _) => format!("process {pid}"),
        (_, None, uid) => format!("a process of the user with the id {uid}"),
    })
}

// === impl Bound ===

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(_, _, face)| face)).finish()
    }
}

// === impl BindError ===

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {}: {}", self.place, self.error)
    }
}

impl std::error::Error for BindError {}
