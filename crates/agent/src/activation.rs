//! What a service manager gives and is told: sockets that systemd has bound for us, and how we are.
//!
//! Sockets are known by their names (`FileDescriptorName=`): `container`, `operator`, `local`, and
//! `imds-NAME` for the role `NAME`. Without a name the one TCP socket is the container endpoint, and
//! the one Unix socket the local one. Elsewhere than on Linux there are none, and nobody is told.

#[cfg_attr(target_os = "linux", path = "activation/linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "activation/elsewhere.rs")]
mod system;

use std::{
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use crate::{
    agent::{Face, Listener, Place, Plan},
    config::{Config, ImdsConfig, RoleName},
    local::{self, UnixListener},
};

/// Sockets that were bound before we were started.
#[derive(Debug, Default)]
pub struct Inherited {
    container: Option<Tcp>,
    imds: Vec<(RoleName, Tcp)>,
    operator: Option<Tcp>,
    local: Option<UnixListener>,
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
        system::take()
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
        if let Some(path) = self.local.as_ref().and_then(local::path_of) {
            config.socket = Some(path);
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
        system::notifier()
    }

    /// All listeners are bound; also after a reload.
    pub fn ready(self, status: &str) {
        self.tell(Some(State::Ready), Some(status));
    }

    /// A reload begins; [`ready`](Self::ready) ends it, also if nothing came of it.
    pub fn reloading(self) {
        self.tell(Some(State::Reloading), None);
    }

    /// We are about to end.
    pub fn stopping(self) {
        self.tell(Some(State::Stopping), None);
    }

    /// One line for `systemctl status`.
    pub fn status(self, status: &str) {
        self.tell(None, Some(status));
    }

    /// We are alive; due every [`watchdog_interval`](Self::watchdog_interval).
    pub fn alive(self) {
        self.tell(Some(State::Alive), None);
    }

    /// Half the time after which the service manager takes us for dead; `None` if it never does.
    pub fn watchdog_interval(self) -> Option<Duration> {
        self.watchdog.map(|limit| limit / 2).filter(|interval| !interval.is_zero())
    }

    fn tell(self, state: Option<State>, status: Option<&str>) {
        if self.is_heard
            && let Err(error) = system::tell(state, status)
        {
            tracing::warn!(%error, "cannot tell the service manager");
        }
    }
}

#[derive(Clone, Copy)]
enum State {
    Ready,
    Reloading,
    Stopping,
    Alive,
}
