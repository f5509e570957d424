//! systemd, by the variables that it sets.

use std::{env, io, process};

use listenfd::ListenFd;
use sd_notify::NotifyState;

use super::{Inherited, Notifier, RoleName, State, Tcp};

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
        return Err(format!("LISTEN_FDS counts {count} sockets, LISTEN_FDNAMES {}", names.len()));
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
            None => Err(
                "known names (FileDescriptorName=) are container, operator, local and imds-ROLE"
                    .to_owned(),
            ),
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

pub(super) fn tell(state: Option<State>, status: Option<&str>) -> io::Result<()> {
    let mut lines = match state {
        None => Vec::new(),
        Some(State::Ready) => vec![NotifyState::Ready],
        Some(State::Reloading) => vec![
            NotifyState::Reloading,
            // Without it systemd takes the next READY=1 for that of an earlier reload.
            NotifyState::monotonic_usec_now()?,
        ],
        Some(State::Stopping) => vec![NotifyState::Stopping],
        Some(State::Alive) => vec![NotifyState::Watchdog],
    };
    // A message has one line for each field.
    let status = status.map(|text| text.replace(['\n', '\r'], " "));
    lines.extend(status.as_deref().map(NotifyState::Status));
    sd_notify::notify(&lines)
}
