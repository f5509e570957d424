//! The Unix socket itself: private from its first moment, taken over from an agent that has died,
//! and not from one that lives.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
        net::UnixListener as StdListener,
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::net::UnixListener;

use super::{Local, client};
use crate::{
    connections::{self, Connection, World},
    peer::Peer,
    private_file,
    refusal::Refusal,
};

/// A bound Unix socket; whoever lets the last one go takes its file away.
#[derive(Clone)]
pub(crate) struct Socket(Arc<Bound>);

struct Bound {
    listener: StdListener,
    /// Its file, and which one that is; `None` for one that somebody else has made.
    file: Option<(PathBuf, u64)>,
}

impl Socket {
    /// Binds it under a name of its own in a folder that is ours, and moves it into its place when
    /// nobody else can connect any more.
    pub(crate) fn bind(path: &Path) -> io::Result<Self> {
        let Some(folder) = path.parent() else {
            return Err(io::Error::other(format!("{} is no path of a socket", path.display())));
        };
        private_file::folder_for_us(folder)?;
        check_place(path)?;
        // Until it is in its place, nobody else knows its name.
        let temporary = private_file::beside(path)?;
        let listener = StdListener::bind(&temporary)?;
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
    pub(crate) fn inherited(listener: StdListener) -> io::Result<Self> {
        Self::over(listener, None)
    }

    fn over(listener: StdListener, file: Option<(PathBuf, u64)>) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self(Arc::new(Bound { listener, file })))
    }

    /// Accepts and serves for as long as it is polled.
    pub(crate) fn serve(
        &self,
        world: Arc<World>,
    ) -> io::Result<impl Future<Output = ()> + Send + 'static> {
        let listener = UnixListener::from_std(self.0.listener.try_clone()?)?;
        Ok(accept(listener, world))
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
    match client::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        outcome => {
            let process = outcome.ok().and_then(|stream| client::process(&stream));
            let process = process.map_or_else(String::new, |pid| format!(", process {pid}"));
            let why = format!("another agent is listening there{process}");
            Err(io::Error::new(io::ErrorKind::AddrInUse, why))
        }
    }
}

async fn accept(listener: UnixListener, world: Arc<World>) {
    let us = rustix::process::geteuid().as_raw();
    loop {
        let slot = connections::slot(&world).await;
        let (stream, _) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                connections::pause(&error).await;
                continue;
            }
        };
        let uid = stream.peer_cred().ok().map(|peer| (peer.uid(), peer.pid()));
        let Some((uid, pid)) = uid.filter(|(uid, _)| [us, 0].contains(uid)) else {
            world.refusals.count(Refusal::Peer);
            continue;
        };
        let pid = pid.and_then(|pid| u32::try_from(pid).ok());
        let peer = Peer { uid: Some(uid), pid, ..Peer::default() };
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            let _slot = slot;
            connections::serve(stream, &Connection::unix(peer), &Local, &world).await;
        });
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
