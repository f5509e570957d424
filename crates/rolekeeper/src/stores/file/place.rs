//! Where a user's store is, and whose files are trusted.

use std::{
    env,
    ffi::OsString,
    fs::{self, File, Metadata, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use crate::stores::StoreError;

/// `$XDG_CACHE_HOME/rolekeeper`, else `~/.cache/rolekeeper`; `None`: no home is known.
pub fn default_folder() -> Option<PathBuf> {
    folder("XDG_CACHE_HOME", ".cache")
}

/// Not beside what it seals: caches are copied, and put on display, more freely than state is.
pub fn default_key_file() -> Option<PathBuf> {
    folder("XDG_STATE_HOME", ".local/state").map(|folder| folder.join("store.key"))
}

fn folder(variable: &str, usual: &str) -> Option<PathBuf> {
    let absolute = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    let base = env::var_os(variable).and_then(absolute);
    let home = || Some(env::home_dir().filter(|home| home.is_absolute())?.join(usual));
    Some(base.or_else(home)?.join("rolekeeper"))
}

/// Which run of this machine it is, where somebody tells.
pub(super) fn boot() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

/// The folder is this user's, and nobody else's to write in.
pub(in crate::stores) fn check(folder: &Path) -> Result<(), StoreError> {
    let path = folder.display();
    let found = fs::metadata(folder)
        .map_err(|error| StoreError::new(format!("cannot look at {path}: {error}")))?;
    if !found.is_dir() {
        return Err(StoreError::new(format!("{path} is no folder"))
            .with_hint("name another place for the store"));
    }
    if !system::is_own(&found) {
        return Err(StoreError::new(format!("the store's folder {path} is another user's"))
            .with_hint("name another place for the store"));
    }
    match system::mode(&found) {
        Some(mode) if mode & 0o022 != 0 => Err(StoreError::new(format!(
            "the store's folder {path} has mode {mode:03o}: others may write to it"
        ))
        .with_hint(format!("chmod 700 {path}"))),
        _ => Ok(()),
    }
}

/// A file to read; or why it is not to be trusted.
pub(in crate::stores) fn open_own(path: &Path) -> io::Result<Result<File, String>> {
    let file = match system::unfollowed(OpenOptions::new().read(true)).open(path) {
        Ok(file) => file,
        Err(error) if system::is_link(&error) => return Ok(Err("it is a link".to_owned())),
        Err(error) => return Err(error),
    };
    let found = file.metadata()?;
    if !found.is_file() {
        return Ok(Err("it is no file".to_owned()));
    }
    if !system::is_own(&found) {
        return Ok(Err("it is another user's".to_owned()));
    }
    Ok(Ok(file))
}

/// Whether anybody but its owner may change it.
pub(in crate::stores) fn others_may_write(file: &File) -> io::Result<bool> {
    Ok(system::mode(&file.metadata()?).is_some_and(|mode| mode & 0o022 != 0))
}

/// The file that `path` names when it comes back, made if there is none.
pub(super) fn open_to_lock(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = system::unfollowed(&mut options).open(path)?;
    let found: Metadata = file.metadata()?;
    if found.is_file() && system::is_own(&found) {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is no file of this user's"))
}

#[cfg(unix)]
mod system {
    use std::{
        fs::{Metadata, OpenOptions},
        io,
        os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    };

    use rustix::{fs::OFlags, io::Errno, process::geteuid};

    /// Without waiting for who may be at the other end of a pipe.
    pub(super) fn unfollowed(options: &mut OpenOptions) -> &OpenOptions {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        options.mode(0o600).custom_flags(flags.bits().cast_signed())
    }

    pub(super) fn is_link(error: &io::Error) -> bool {
        error.raw_os_error() == Some(Errno::LOOP.raw_os_error())
    }

    pub(super) fn is_own(found: &Metadata) -> bool {
        found.uid() == geteuid().as_raw()
    }

    pub(super) fn mode(found: &Metadata) -> Option<u32> {
        Some(found.permissions().mode() & 0o777)
    }
}

#[cfg(not(unix))]
mod system {
    use std::{
        fs::{Metadata, OpenOptions},
        io,
    };

    pub(super) fn unfollowed(options: &mut OpenOptions) -> &OpenOptions {
        options
    }

    pub(super) fn is_link(_: &io::Error) -> bool {
        false
    }

    pub(super) fn is_own(_: &Metadata) -> bool {
        true
    }

    pub(super) fn mode(_: &Metadata) -> Option<u32> {
        None
    }
}
