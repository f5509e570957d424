//! Advisory locks: who may write a file, and who keeps a section of it.
//!
//! The kernel lets go of them when a process ends, however it ends. The lock's file goes with the
//! lock; one who waited for it notices that what it got is no longer what others see, and tries
//! again.

use std::{
    fs::{File, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use super::system;

/// How often the file may go in the moment between opening and locking it. Each time somebody else
/// has come one step further; where it happens for ever, the file system is at fault.
const MOST_TRIES: usize = 1000;

/// How long somebody else's write may take: it is some milliseconds of work, and a busy disk's
/// delay.
const PATIENCE: Duration = Duration::from_secs(10);

const PAUSE: Duration = Duration::from_millis(5);

/// Held until dropped.
pub(super) struct Lock {
    path: PathBuf,
    file: File,
}

/// Why there is no lock.
pub(super) enum Refused {
    /// Somebody else has it: this process, if that can be known.
    Held(Option<u32>),
    Failed(io::Error),
}

// === impl Lock ===

impl Lock {
    /// Now or not at all.
    pub(super) fn take(path: PathBuf) -> Result<Self, Refused> {
        for _ in 0..MOST_TRIES {
            let mut file = open(&path).map_err(Refused::Failed)?;
            match file.try_lock() {
                Ok(()) if system::is_at(&file, &path) => {
                    // For people. A lock without it is as good.
                    let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
                    return Ok(Self { path, file });
                }
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(Refused::Held(holder(&mut file))),
                Err(TryLockError::Error(error)) => return Err(Refused::Failed(error)),
            }
        }
        Err(Refused::Failed(io::Error::other("its lock file vanishes again and again")))
    }

    /// Waits for it: the others hold it for moments. Blocks the thread.
    pub(super) fn wait(path: &Path) -> Result<Self, Refused> {
        let mut waited = Duration::ZERO;
        loop {
            match Self::take(path.to_owned()) {
                Err(Refused::Held(_)) if waited < PATIENCE => {}
                taken_or_not => return taken_or_not,
            }
            thread::sleep(PAUSE);
            waited += PAUSE;
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is still held, so that it can be nobody else's that goes.
        system::let_go(&self.path);
        let _ = self.file.unlock();
    }
}

fn open(path: &Path) -> io::Result<File> {
    system::lock_file().read(true).write(true).create(true).truncate(false).open(path)
}

/// What the holder wrote; it may be about to.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(20).read_to_string(&mut text).ok()?;
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn one_at_a_time_is_inside_although_the_file_comes_and_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let is_inside = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        // Not by `wait`, whose pauses would keep them apart.
                        let lock = loop {
                            match Lock::take(path.clone()) {
                                Ok(lock) => break lock,
                                Err(Refused::Held(_)) => {}
                                Err(Refused::Failed(error)) => panic!("{error}"),
                            }
                        };
                        assert!(!is_inside.swap(true, Ordering::SeqCst), "two are inside");
                        thread::yield_now();
                        is_inside.store(false, Ordering::SeqCst);
                        drop(lock);
                    }
                });
            }
        });
        assert_eq!(path.exists(), cfg!(not(unix)), "it goes where it can be known for ours");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_the_locks_place_is_not_followed() {
        use std::{fs, os::unix::fs::symlink};
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("lock"), folder.path().join("other"));
        fs::write(&other, "precious").unwrap();
        symlink(&other, &path).unwrap();
        assert!(matches!(Lock::take(path), Err(Refused::Failed(_))));
        assert_eq!(fs::read_to_string(&other).unwrap(), "precious");
    }
}
