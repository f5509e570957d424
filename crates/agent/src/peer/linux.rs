//! The kernel's table of sockets, and `/proc`.

mod holders;
mod socket_table;

use std::{io, net::SocketAddr};

use super::{Depth, Peer};

pub(super) fn listening_at(address: SocketAddr) -> io::Result<Peer> {
    let found = socket_table::listener(address)?;
    let peer = Peer { uid: Some(found.uid), ..Peer::default() };
    // Of another user's process only the user is seen.
    Ok(holders::of(found.inode, peer.clone()).unwrap_or(peer))
}

pub(super) fn of_tcp(local: SocketAddr, remote: SocketAddr, depth: Depth) -> io::Result<Peer> {
    // The client's end has the same two addresses the other way round.
    let found = socket_table::look_up(remote, local)?;
    let peer = Peer { uid: Some(found.uid), ..Peer::default() };
    match depth {
        Depth::Uid => Ok(peer),
        Depth::Process => holders::of(found.inode, peer),
    }
}
