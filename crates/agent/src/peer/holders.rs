//! Which processes hold a socket: a look through `/proc/*/fd`. Of processes of other users only root
//! sees that much.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::peer::Peer;

/// What is known of a process.
struct Process {
    pid: u32,
    gids: Vec<u32>,
    executable: Option<PathBuf>,
}

/// `peer` with all that is known of who holds the socket.
pub(super) fn of(inode: u32, mut peer: Peer) -> io::Result<Peer> {
    let link = PathBuf::from(format!("socket:[{inode}]"));
    let mut found = fs::read_dir("/proc")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| holds(*pid, &link))
        .map(Process::read);
    let Some(first) = found.next() else {
        let why = "no process is seen to hold the client's end of it";
        return Err(io::Error::new(io::ErrorKind::NotFound, why));
    };
    let all = found.fold(first, |one, other| one.and(&other));
    (peer.pid, peer.gids, peer.executable) = (Some(all.pid), all.gids, all.executable);
    Ok(peer)
}

fn holds(pid: u32, link: &Path) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    files.flatten().any(|file| fs::read_link(file.path()).is_ok_and(|target| target == link))
}

impl Process {
    fn read(pid: u32) -> Self {
        Self { pid, gids: groups(pid).unwrap_or_default(), executable: executable(pid) }
    }

    /// What is true of both: whoever reads from the socket may be either.
    fn and(mut self, other: &Self) -> Self {
        self.gids.retain(|gid| other.gids.contains(gid));
        if self.executable != other.executable {
            self.executable = None;
        }
        self
    }
}

/// The effective group and the supplementary ones.
fn groups(pid: u32) -> Option<Vec<u32>> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or_default()
            .split_whitespace()
    };
    // Real, effective, saved, of the file system.
    let effective = line("Gid:").nth(1);
    Some(effective.into_iter().chain(line("Groups:")).filter_map(|gid| gid.parse().ok()).collect())
}

/// The program's path, if that path leads to the program from here too: in another mount namespace
/// the same path can be another file, which its owner may have chosen.
fn executable(pid: u32) -> Option<PathBuf> {
    let proc = PathBuf::from(format!("/proc/{pid}"));
    let is_here =
        fs::read_link(proc.join("ns/mnt")).ok()? == fs::read_link("/proc/self/ns/mnt").ok()?;
    let path = fs::read_link(proc.join("exe")).ok()?;
    let (runs, stands) = (fs::metadata(proc.join("exe")).ok()?, fs::metadata(&path).ok()?);
    let is_that = (runs.dev(), runs.ino()) == (stands.dev(), stands.ino());
    (is_here && is_that).then_some(path)
}
