//! What a service manager gives and is told: sockets that systemd has bound for us, and how we are.
//!
//! Sockets are known by their names (`FileDescriptorName=`): `container`, `operator`, `local`, and
//! `imds-NAME` for the role `NAME`. Without a name the one TCP socket is the container endpoint, and
//! the one Unix socket the local one. Elsewhere than on Linux there are none, and nobody is told.

use std::{
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use crate::{
    agent::{Face, Listener, Place, Plan},
    config::{Config, ImdsConfig, RoleName},
};

#[cfg(unix)]
type LocalListener = std::os::unix::net::UnixListener;
#[cfg(not(unix))]
type LocalListener = std::convert::Infallible;

/// Sockets that were bound before we were started.
#[derive(Debug, Default)]
pub struct Inherited {
    container: Option<Tcp>,
    imds: Vec<(RoleName, Tcp)>,
    operator: Option<Tcp>,
    local: Option<LocalListener>,
}

#[derive(Debug)]
struct Tcp {
    address: SocketAddr,
    /// `None` once it was taken.
    listener: Option<TcpListener>,
}

/// Tells the service manager how we are; nobody, if there is none that listens.
#[derive(Clone, Copy, Debug)]
pub struct Notifier {
    is_heard: bool,
    watchdog: Option<Duration>,
}

// === impl Inherited ===

impl Inherited {
    /// The sockets that were passed to this process. To be called once, before any other thread is
    /// there: the variables that tell of them are taken out of the environment.
    ///
    /// # Errors
    /// There are some, and they can't be used: one without a name that isn't the only one of its
    /// kind, one that has an unknown name, one that doesn't listen.
    pub fn take() -> Result<Self, String> {
        #[cfg(target_os = "linux")]
        return linux::take();
        #[cfg(not(target_os = "linux"))]
        Ok(Self::default())
    }

    /// Puts the addresses of these sockets into `config`, to be [checked](Config::check) with all
    /// else. Do so again after each reload.
    pub fn adopt_into(&self, config: &mut Config) {
        if let Some(Tcp { address, .. }) = self.container {
            config.container = address;
        }
        if let Some(Tcp { address, .. }) = self.operator {
            config.operator = Some(address);
        }
        #[cfg(unix)]
        if let Some(address) = self.local.as_ref().and_then(|local| local.local_addr().ok())
            && let Some(path) = address.as_pathname()
        {
            config.socket = Some(path.to_owned());
        }
        for (role, Tcp { address, .. }) in &self.imds {
            match config.imds.iter_mut().find(|imds| imds.role == *role) {
                Some(imds) => imds.listen = *address,
                None => {
                    config.imds.push(ImdsConfig {
                        listen: *address,
                        role: role.clone(),
                        v1: false,
                    });
                }
            }
        }
    }

    /// Gives these sockets to the listeners of `plan` that are to listen where they do, each once:
    /// an agent goes on with what it has.
    pub fn hand_over(&mut self, plan: &mut Plan) {
        for Listener { at, face } in &mut plan.listeners {
            let address = match at {
                Place::Address(address) => address,
                #[cfg(unix)]
                Place::Path(_) => {
                    if let Some(socket) = self.local.take() {
                        *at = Place::InheritedUnix(socket);
                    }
                    continue;
                }
                _ => continue,
            };
            let tcp = match face {
                Face::Container => self.container.as_mut(),
                Face::Operator => self.operator.as_mut(),
                Face::Imds { role, .. } => {
                    self.imds.iter_mut().find(|(name, _)| name == role).map(|(_, tcp)| tcp)
                }
                Face::Local => None,
            };
            let socket = tcp.filter(|tcp| tcp.address == *address);
            if let Some(listener) = socket.and_then(|tcp| tcp.listener.take()) {
                *at = Place::Inherited(listener);
            }
        }
    }

    /// The Unix socket, once.
    #[cfg(unix)]
    pub fn local(&mut self) -> Option<LocalListener> {
        self.local.take()
    }

    /// Whether there is none at all.
    pub fn is_empty(&self) -> bool {
        let Self { container, imds, operator, local } = self;
        container.is_none() && imds.is_empty() && operator.is_none() && local.is_none()
    }
}

// === impl Notifier ===

impl Notifier {
    /// Whoever `NOTIFY_SOCKET` names.
    pub fn from_env() -> Self {
        #[cfg(target_os = "linux")]
        return linux::notifier();
        #[cfg(not(target_os = "linux"))]
        Self { is_heard: false, watchdog: None }
    }

    /// All listeners are bound; also after a reload.
    pub fn ready(self, status: &str) {
        self.tell(How::Ready(status));
    }

    /// A reload begins; [`ready`](Self::ready) ends it, also if nothing came of it.
    pub fn reloading(self) {
        self.tell(How::Reloading);
    }

    /// We are about to end.
    pub fn stopping(self) {
        self.tell(How::Stopping);
    }

    /// One line for `systemctl status`.
    pub fn status(self, status: &str) {
        self.tell(How::Status(status));
    }

    /// We are alive; due every [`watchdog_interval`](Self::watchdog_interval).
    pub fn alive(self) {
        self.tell(How::Alive);
    }

    /// Half the time after which the service manager takes us for dead; `None` if it never does.
    pub fn watchdog_interval(self) -> Option<Duration> {
        self.watchdog.map(|limit| limit / 2).filter(|interval| !interval.is_zero())
    }

    fn tell(self, how: How<'_>) {
        if !self.is_heard {
            return;
        }
        #[cfg(target_os = "linux")]
        if let Err(error) = linux::tell(how) {
            tracing::warn!(%error, "cannot tell the service manager");
        }
        #[cfg(not(target_os = "linux"))]
        let _ = how;
    }
}

#[derive(Clone, Copy)]
enum How<'a> {
    Ready(&'a str),
    Reloading,
    Stopping,
    Status(&'a str),
    Alive,
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{env, io, process};

    use listenfd::ListenFd;
    use sd_notify::NotifyState;

    use super::{How, Inherited, Notifier, RoleName, Tcp};

    /// A listener for each of thousands of roles may be meant; what is beyond is no count.
    const MOST_SOCKETS: usize = 16 * 1024;

    /// What systemd calls sockets that nobody has named: `unknown`, or as their unit.
    fn is_no_name(name: &str) -> bool {
        name.is_empty() || name == "unknown" || name.ends_with(".socket")
    }

    pub(super) fn take() -> Result<Inherited, String> {
        let mut inherited = Inherited::default();
        // Of another process, which has handed its environment on.
        if env::var("LISTEN_PID").ok().and_then(|pid| pid.parse().ok()) != Some(process::id()) {
            return Ok(inherited);
        }
        let Some(count) = env::var_os("LISTEN_FDS") else { return Ok(inherited) };
        let count = count.to_str().and_then(|text| text.parse::<usize>().ok());
        let Some(count) = count.filter(|count| *count <= MOST_SOCKETS) else {
            return Err("LISTEN_FDS is no number of sockets".to_owned());
        };
        let names = match env::var("LISTEN_FDNAMES") {
            Ok(names) => names.split(':').map(str::to_owned).collect(),
            Err(_) => vec![String::new(); count],
        };
        if names.len() != count {
            return Err(format!(
                "LISTEN_FDS counts {count} sockets, LISTEN_FDNAMES {}",
                names.len()
            ));
        }
        let mut sockets = ListenFd::from_env();
        for (at, name) in names.iter().enumerate() {
            let cannot = |why: String| format!("socket {} (`{name}`) of systemd's: {why}", at + 1);
            inherited.put(name, &mut sockets, at).map_err(cannot)?;
        }
        Ok(inherited)
    }

    impl Inherited {
        fn put(&mut self, name: &str, sockets: &mut ListenFd, at: usize) -> Result<(), String> {
            if (name == "local" || is_no_name(name))
                && let Ok(Some(socket)) = sockets.take_unix_listener(at)
            {
                check_listens(&socket)?;
                return place(&mut self.local, socket);
            }
            if name == "local" {
                return Err("it is no Unix socket (ListenStream= with a path)".to_owned());
            }
            let tcp = sockets.take_tcp_listener(at).map_err(|_| {
                "it is no TCP socket (ListenStream= with an address and port)".to_owned()
            })?;
            let listener = tcp.ok_or("it was taken already")?;
            check_listens(&listener)?;
            let address = listener.local_addr().map_err(|error| error.to_string())?;
            let tcp = Tcp { address, listener: Some(listener) };
            match name.strip_prefix("imds-").map(RoleName::parse) {
                Some(Err(bad)) => Err(bad.to_string()),
                Some(Ok(role)) if self.imds.iter().any(|(other, _)| *other == role) => {
                    Err("there are two of this name".to_owned())
                }
                Some(Ok(role)) => {
                    self.imds.push((role, tcp));
                    Ok(())
                }
                None if name == "operator" => place(&mut self.operator, tcp),
                None if name == "container" || is_no_name(name) => place(&mut self.container, tcp),
                None => Err("known names (FileDescriptorName=) are container, operator, local and imds-ROLE".to_owned()),
            }
        }
    }

    fn place<T>(field: &mut Option<T>, socket: T) -> Result<(), String> {
        match field {
            None => {
                *field = Some(socket);
                Ok(())
            }
            Some(_) => Err("there are two of this kind: give each a name of its own with \
                            FileDescriptorName=, in a socket unit of its own"
                .to_owned()),
        }
    }

    fn check_listens(socket: &impl std::os::fd::AsFd) -> Result<(), String> {
        match rustix::net::sockopt::socket_acceptconn(socket) {
            Ok(true) => Ok(()),
            Ok(false) => Err("it is a connection, not a listener: Accept= has to be no".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    pub(super) fn notifier() -> Notifier {
        let is_heard = env::var_os("NOTIFY_SOCKET").is_some_and(|path| !path.is_empty());
        Notifier { is_heard, watchdog: sd_notify::watchdog_enabled().filter(|_| is_heard) }
    }

    pub(super) fn tell(how: How<'_>) -> io::Result<()> {
        // A message has one line for each field.
        let line = |text: &str| text.replace(['\n', '\r'], " ");
        match how {
            How::Ready(status) => {
                let status = line(status);
                sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(&status)])
            }
            How::Reloading => sd_notify::notify(&[
                NotifyState::Reloading,
                // Without it systemd takes the next READY=1 for that of an earlier reload.
                NotifyState::monotonic_usec_now()?,
            ]),
            How::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
            How::Status(status) => sd_notify::notify(&[NotifyState::Status(&line(status))]),
            How::Alive => sd_notify::notify(&[NotifyState::Watchdog]),
        }
    }
}
