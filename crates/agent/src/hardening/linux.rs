//! What Linux does for a process that asks.

use std::io;

use rustix::{
    mm::{MlockAllFlags, mlockall},
    process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit},
};

pub(super) fn not_dumpable() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

pub(super) fn no_core() -> io::Result<()> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    Ok(setrlimit(Resource::Core, none)?)
}

/// Locks what is there and what comes, page by page as it is used, so that memory that is only set
/// aside costs nothing.
pub(super) fn locked() -> io::Result<()> {
    // Under a limit it is not the locking that would fail, but some allocation later on.
    if !may_lock_all() {
        let why = "the limit on locked memory is too low (LimitMEMLOCK=infinity, or CAP_IPC_LOCK)";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    Ok(mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT)?)
}

fn may_lock_all() -> bool {
    const CAP_IPC_LOCK: u32 = 14;
    if getrlimit(Resource::Memlock).current.is_none() {
        return true;
    }
    // The kernel asks for the capability of the machine, not of a container with users of its own.
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let users = read("/proc/self/uid_map");
    let is_machine = users.split_whitespace().eq(["0", "0", "4294967295"]);
    let status = read("/proc/self/status");
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = effective.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0);
    is_machine && bits >> CAP_IPC_LOCK & 1 == 1
}
