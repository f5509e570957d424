//! Files that only this user may read. Where files have no modes they are as private as the folder
//! that they are in, such as the user's own.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Puts `content` in the place of whatever is at `path`, in one step: a reader sees the old file or
/// the new one, mode 0600. A folder that is missing is made, mode 0700.
///
/// # Errors
/// The system's.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let Some(folder) = path.parent() else {
        return Err(io::Error::other(format!("{} is no path of a file", path.display())));
    };
    self::folder(folder)?;
    let temporary = beside(path)?;
    let written = create(&temporary, content).map(drop).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // Nothing more can be done about a leftover than to say why there is one.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// A path beside this one that nobody else can know.
///
/// # Errors
/// The system has no random numbers.
pub fn beside(path: &Path) -> io::Result<PathBuf> {
    let mut suffix = [0_u8; 8];
    getrandom::fill(&mut suffix).map_err(io::Error::other)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{:016x}", u64::from_ne_bytes(suffix)));
    Ok(path.with_file_name(name))
}

/// Makes a folder, and those above it, that only this user may enter; leaves one alone that is there.
///
/// # Errors
/// The system's.
pub fn folder(path: &Path) -> io::Result<()> {
    system::folders().recursive(true).create(path)
}

/// A new file with this content, mode 0600.
///
/// # Errors
/// The system's; something is there already.
pub fn create(path: &Path, content: &[u8]) -> io::Result<File> {
    // New: it can be nobody's link to somewhere else.
    let mut file = system::files().write(true).create_new(true).open(path)?;
    file.write_all(content)?;
    Ok(file)
}

/// Who may do what with the file; `None` where files have no modes.
///
/// # Errors
/// The system's.
pub fn mode(path: &Path) -> io::Result<Option<u32>> {
    fs::metadata(path).map(|found| system::mode(&found))
}

/// # Errors
/// Others may read the file; or the system's.
pub fn check_privacy(path: &Path) -> io::Result<()> {
    match mode(path)? {
        Some(mode) if mode & 0o077 != 0 => {
            let path = path.display();
            Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("{path} has mode {mode:03o}: others can read it; run chmod 600 {path}"),
            ))
        }
        _ => Ok(()),
    }
}

#[cfg(unix)]
mod system {
    use std::{
        fs::{DirBuilder, Metadata, OpenOptions},
        os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    };

    pub(super) fn folders() -> DirBuilder {
        let mut folders = DirBuilder::new();
        folders.mode(0o700);
        folders
    }

    pub(super) fn files() -> OpenOptions {
        let mut files = OpenOptions::new();
        files.mode(0o600);
        files
    }

    pub(super) fn mode(found: &Metadata) -> Option<u32> {
        Some(found.permissions().mode() & 0o777)
    }
}

#[cfg(not(unix))]
mod system {
    use std::fs::{DirBuilder, Metadata, OpenOptions};

    pub(super) fn folders() -> DirBuilder {
        DirBuilder::new()
    }

    pub(super) fn files() -> OpenOptions {
        OpenOptions::new()
    }

    pub(super) fn mode(_: &Metadata) -> Option<u32> {
        None
    }
}
