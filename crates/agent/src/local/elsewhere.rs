//! Where there are no Unix sockets: none can be bound, inherited or asked. What can't be had has a
//! type without values, so that whatever serves it needs no other form here.

use std::{
    convert::Infallible,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::net::TcpStream;

use crate::peer::Peer;

/// A Unix socket that somebody else has bound: there is none.
#[derive(Debug)]
pub struct UnixListener(Infallible);

/// A bound Unix socket: there is none.
pub(super) struct Bound(Infallible);

/// A Unix socket that is listened at: there is none.
pub(super) struct Listener(Infallible);

/// Whether this system has Unix sockets at all.
pub(crate) fn are_here() -> io::Result<()> {
    Err(none())
}

fn none() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "there are no Unix sockets on this system")
}

/// Where it is bound.
pub(crate) fn path_of(listener: &UnixListener) -> Option<PathBuf> {
    match listener.0 {}
}

// === impl Bound ===

impl Bound {
    pub(super) fn bind(_: &Path) -> io::Result<Self> {
        Err(none())
    }

    pub(super) fn inherited(UnixListener(never): UnixListener) -> io::Result<Self> {
        match never {}
    }

    pub(super) fn listen(&self) -> io::Result<Listener> {
        match self.0 {}
    }
}

/// Of another family's type: any that can be read and written will do.
pub(super) async fn accept(listener: &Listener) -> io::Result<(TcpStream, Peer)> {
    match listener.0 {}
}

/// Never: there is nothing to read from.
pub(super) fn connect(_: &Path, _: Duration) -> io::Result<io::Empty> {
    Err(none())
}
