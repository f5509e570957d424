//! Where files have neither owners nor modes that are ours to keep: a new one has what its folder
//! gives it.

use std::{
    fs::{File, Metadata, OpenOptions},
    io,
    path::Path,
};

/// How a lock's file is opened.
pub(super) fn lock_file() -> OpenOptions {
    OpenOptions::new()
}

/// Lock files stay for ever: there is only one.
pub(super) fn is_at(_: &File, _: &Path) -> bool {
    true
}

/// It stays: an open file can't be told from the one at its path.
pub(super) fn let_go(_: &Path) {}

/// Time and size have to do.
pub(super) fn number(_: &Metadata) -> u64 {
    0
}

pub(super) fn keep_owner_and_mode(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}

/// A folder can't be opened as a file is.
pub(super) fn sync(_: &Path) {}
