//! Nobody tells.

use std::{io, net::SocketAddr};

use super::{Depth, Peer};

pub(super) fn listening_at(_: SocketAddr) -> io::Result<Peer> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "only Linux tells who listens on a TCP port"))
}

pub(super) fn of_tcp(_: SocketAddr, _: SocketAddr, _: Depth) -> io::Result<Peer> {
    let why = "only Linux tells who is at the other end of a TCP connection";
    Err(io::Error::new(io::ErrorKind::Unsupported, why))
}
