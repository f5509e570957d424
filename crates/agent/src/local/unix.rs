//! Unix sockets where there are some: private from their first moment, taken over from an agent that
//! has died, and not from one that lives.

use std::{
    fs, io,
    os::{
        fd::OwnedFd,
        unix::{
            fs::{FileTypeExt, MetadataExt, PermissionsExt},
            net::UnixStream,
        },
    },
    path::{Path, PathBuf},
    time::Duration,
};

use socket2::{Domain, SockAddr, Type};
pub(super) use tokio::net::UnixListener as Listener;
use tokio::net::UnixStream as Stream;

use rolekeeper::private_file;

use crate::{peer::Peer, rule};

/// A Unix socket that somebody else has bound.
pub use std::os::unix::net::UnixListener;

/// A bound Unix socket; its file goes with it.
pub(super) struct Bound {
    listener: UnixListener,
    /// Its file, and which one that is; `None` for one that somebody else has made.
    file: Option<(PathBuf, u64)>,
}

/// Who is at the other end of a connection.
struct Owner {
    uid: u32,
    pid: Option<i32>,
}

/// Whether this system has Unix sockets at all.
pub(crate) fn are_here() -> io::Result<()> {
    Ok(())
}

/// Where it is bound.
pub(crate) fn path_of(listener: &UnixListener) -> Option<PathBuf> {
    Some(listener.local_addr().ok()?.as_pathname()?.to_owned())
}

// === impl Bound ===

impl Bound {
    /// Binds it under a name of its own in a folder that is ours, and moves it into its place when
    /// nobody else can connect any more.
    pub(super) fn bind(path: &Path) -> io::Result<Self> {
        let Some(folder) = path.parent() else {
            return Err(io::Error::other(format!("{} is no path of a socket", path.display())));
        };
        private_file::folder(folder)?;
        check_place(path)?;
        // Until it is in its place, nobody else knows its name.
        let temporary = private_file::beside(path)?;
        let listener = UnixListener::bind(&temporary)?;
        let moved = fs::set_permissions(&temporary, fs::Permissions::from_mode(0o600))
            .and_then(|()| fs::rename(&temporary, path))
            .and_then(|()| fs::metadata(path));
        match moved {
            Ok(made) => Self::over(listener, Some((path.to_owned(), made.ino()))),
            Err(error) => {
                let _ = fs::remove_file(&temporary);
                Err(error)
            }
        }
    }

    /// One that somebody else has bound, such as systemd.
    pub(super) fn inherited(listener: UnixListener) -> io::Result<Self> {
        Self::over(listener, None)
    }

    fn over(listener: UnixListener, file: Option<(PathBuf, u64)>) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self { listener, file })
    }

    /// To be called within a runtime.
    pub(super) fn listen(&self) -> io::Result<Listener> {
        Listener::from_std(self.listener.try_clone()?)
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let Some((path, inode)) = &self.file else { return };
        // Another agent may have taken the place.
        if fs::metadata(path).is_ok_and(|found| found.ino() == *inode) {
            let _ = fs::remove_file(path);
        }
    }
}

/// Only the socket of an agent that has died may go. A connection tells.
fn check_place(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !found.file_type().is_socket() {
        let why = "there is a file there that is no socket";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
    }
    match connected(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        outcome => {
            let process = outcome.and_then(|stream| owner(&stream)).ok().and_then(|it| it.pid);
            let process = process.map_or_else(String::new, |pid| format!(", process {pid}"));
            let why = format!("another agent is listening there{process}");
            Err(io::Error::new(io::ErrorKind::AddrInUse, why))
        }
    }
}

/// The next connection, and who made it, as far as the kernel tells.
pub(super) async fn accept(listener: &Listener) -> io::Result<(Stream, Peer)> {
    let (stream, _) = listener.accept().await?;
    let told = stream.peer_cred().ok();
    let pid = told.and_then(|told| told.pid()).and_then(|pid| u32::try_from(pid).ok());
    let peer = Peer { uid: told.map(|told| told.uid()), pid, ..Peer::default() };
    Ok((stream, peer))
}

// === asking ===

/// A connection to an agent of this user's, or of root's, that waits so long for each piece.
pub(super) fn connect(path: &Path, patience: Duration) -> io::Result<UnixStream> {
    let stream = connected(path)?;
    check_owner(&stream)?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    Ok(stream)
}

/// At once, or not at all: an agent that is stopped takes no connections.
fn connected(path: &Path) -> io::Result<UnixStream> {
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(UnixStream::from(OwnedFd::from(socket)))
}

/// Another user may have put a socket there, to give us credentials of his own.
fn check_owner(stream: &UnixStream) -> io::Result<()> {
    let uid = owner(stream)?.uid;
    if [rule::this_uid(), 0].contains(&uid) {
        return Ok(());
    }
    let why = format!("the agent there is another user's ({uid})");
    Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
}

/// Whose end the other one is.
#[cfg(target_os = "linux")]
fn owner(stream: &UnixStream) -> io::Result<Owner> {
    let told = rustix::net::sockopt::socket_peercred(stream)?;
    Ok(Owner { uid: told.uid.as_raw(), pid: Some(told.pid.as_raw_nonzero().get()) })
}

/// Whose end the other one is. tokio knows how to ask each system, and wants a runtime around it,
/// on which nothing ever runs.
#[cfg(not(target_os = "linux"))]
fn owner(stream: &UnixStream) -> io::Result<Owner> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let told = {
        let _inside = runtime.enter();
        Stream::from_std(stream.try_clone()?).and_then(|stream| stream.peer_cred())
    };
    // An agent asks within its own runtime, where this one must not be waited for.
    runtime.shutdown_background();
    told.map(|told| Owner { uid: told.uid(), pid: told.pid() })
}
