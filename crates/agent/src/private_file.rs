//! Files that only this user may read.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Puts `content` in the place of whatever is at `path`, in one step: a reader sees the old file or
/// the new one, mode 0600. A folder that is missing is made, mode 0700.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let Some(folder) = path.parent() else {
        return Err(io::Error::other(format!("{} is no path of a file", path.display())));
    };
    folder_for_us(folder)?;
    let temporary = beside(path)?;
    let written = write_new(&temporary, content).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // Nothing more can be done about a leftover than to say why there is one.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// A path beside this one that nobody else can know.
pub(crate) fn beside(path: &Path) -> io::Result<PathBuf> {
    let mut suffix = [0_u8; 8];
    getrandom::fill(&mut suffix).map_err(io::Error::other)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{:016x}", u64::from_ne_bytes(suffix)));
    Ok(path.with_file_name(name))
}

/// Makes a folder, and those above it, that only this user may enter; leaves one alone that is there.
pub(crate) fn folder_for_us(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// An error if others may read the file.
pub(crate) fn check_privacy(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(path)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let path = path.display();
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("{path} has mode {mode:03o}: others can read it; run chmod 600 {path}"),
            ));
        }
    }
    Ok(())
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(content)
}
