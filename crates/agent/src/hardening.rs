//! What keeps a process' memory to itself: it can't be attached to by others of the same user, leaves
//! no core dump, and is not swapped out.

#[cfg_attr(target_os = "linux", path = "hardening/linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "hardening/elsewhere.rs")]
mod system;

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
pub fn harden(lock_memory: bool) -> Hardened {
    Hardened {
        not_dumpable: not_dumpable(),
        no_core: system::no_core(),
        memory_locked: lock_memory.then(system::locked),
    }
}

/// Other processes of this user can't attach, and there is no core dump of this one; what it starts
/// is not affected.
///
/// # Errors
/// It is only done on Linux, and some containers forbid it.
pub fn not_dumpable() -> io::Result<()> {
    system::not_dumpable()
}
