//! What keeps a process' memory to itself: it can't be attached to by others of the same user, leaves
//! no core dump, and is not swapped out.

use std::io;

/// What could be had.
#[derive(Debug)]
pub struct Hardened {
    /// Other processes of the same user may neither attach to it nor read its memory.
    pub not_dumpable: io::Result<()>,
    /// It leaves no core dump. Programs that it starts have the same limit.
    pub no_core: io::Result<()>,
    /// Its memory is not swapped out; `None` if that was not asked for.
    pub memory_locked: Option<io::Result<()>>,
}

impl Hardened {
    /// What could not be had, one line each.
    pub fn warnings(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut tell = |outcome: &io::Result<()>, what: &str| {
            if let Err(error) = outcome {
                lines.push(format!("{what}: {error}"));
            }
        };
        tell(&self.not_dumpable, "other processes of this user can read the memory");
        tell(&self.no_core, "a crash can leave a core dump");
        if let Some(locked) = &self.memory_locked {
            tell(locked, "memory can be swapped out");
        }
        lines
    }
}

/// Hardens this process, as far as the system lets it.
#[cfg(target_os = "linux")]
pub fn harden(lock_memory: bool) -> Hardened {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    Hardened {
        not_dumpable: not_dumpable(),
        no_core: setrlimit(Resource::Core, none).map_err(io::Error::from),
        memory_locked: lock_memory.then(locked),
    }
}

/// Hardens this process, as far as the system lets it.
#[cfg(not(target_os = "linux"))]
pub fn harden(lock_memory: bool) -> Hardened {
    let cannot = || Err(io::Error::new(io::ErrorKind::Unsupported, "only done on Linux"));
    Hardened { not_dumpable: cannot(), no_core: cannot(), memory_locked: lock_memory.then(cannot) }
}

/// Other processes of this user can't attach, and there is no core dump of this one; what it starts
/// is not affected.
///
/// # Errors
/// Some containers forbid it.
#[cfg(target_os = "linux")]
pub fn not_dumpable() -> io::Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// Locks what is there and what comes, page by page as it is used, so that memory that is only set
/// aside costs nothing.
#[cfg(target_os = "linux")]
fn locked() -> io::Result<()> {
    use rustix::mm::{MlockAllFlags, mlockall};
    // Under a limit it is not the locking that would fail, but some allocation later on.
    if !may_lock_all() {
        let why = "the limit on locked memory is too low (LimitMEMLOCK=infinity, or CAP_IPC_LOCK)";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    Ok(mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT)?)
}

#[cfg(target_os = "linux")]
fn may_lock_all() -> bool {
    use rustix::process::{Resource, getrlimit};
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
