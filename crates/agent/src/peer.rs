//! Who is at the other end of a connection, as far as the kernel tells.
//!
//! Over loopback TCP a client can say anything, but it can't choose whose socket it has: the kernel's
//! table of sockets knows the user who made it, and `/proc` who holds it. Only Linux tells without
//! unsafe code; elsewhere this is an error, and a role with a rule is refused.
//!
//! What can't be told apart: a socket that its maker has handed on to a process of another user, and
//! programs that let themselves be told what to do by another program of the same user (`ptrace`,
//! `LD_PRELOAD`). `docs/threat-model.md` has it all.

#[cfg_attr(target_os = "linux", path = "peer/linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "peer/elsewhere.rs")]
mod system;

use std::{io, net::SocketAddr, path::PathBuf};

/// What is known of a client. What is not known is `None`, or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// The user who made the socket.
    pub uid: Option<u32>,
    /// The groups of the process that holds it; of several, those that all are in.
    pub gids: Vec<u32>,
    /// That process; of several, any.
    pub pid: Option<u32>,
    /// Its program. `None` if several hold the socket that run different ones, if the file has been
    /// replaced since its start, or if it lives in a container of its own.
    pub executable: Option<PathBuf>,
}

/// How much is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// The user: one question to the kernel, microseconds.
    Uid,
    /// The process, its groups and its program too: a look through `/proc`, milliseconds.
    Process,
}

impl Peer {
    /// The other end of a TCP connection on this machine, whose ends we see as `local` and
    /// `remote`. It reads files: at [`Depth::Process`], don't call it on a thread that serves.
    ///
    /// # Errors
    /// The connection is not from this machine, has ended, or the kernel doesn't tell; elsewhere
    /// than on Linux, always.
    pub fn of_tcp(local: SocketAddr, remote: SocketAddr, depth: Depth) -> io::Result<Self> {
        system::of_tcp(local, remote, depth)
    }

    /// Who takes the connections to a TCP port on this machine. It reads files.
    ///
    /// # Errors
    /// Nobody does, or the kernel doesn't tell; elsewhere than on Linux, always.
    pub fn listening_at(address: SocketAddr) -> io::Result<Self> {
        system::listening_at(address)
    }
}
