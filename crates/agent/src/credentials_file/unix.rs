//! What Unix adds: owners, modes, and numbers by which a file is told from another at its path.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt, fchown},
    path::Path,
};

use rustix::fs::OFlags;

/// How a lock's file is opened.
pub(super) fn lock_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    // In a folder that others may write, a link could lead to any file of ours.
    options.mode(0o600).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options
}

/// Whether it is this file that others find there.
pub(super) fn is_at(file: &File, path: &Path) -> bool {
    let number = |found: Metadata| (found.dev(), found.ino());
    let (ours, theirs) = (file.metadata().map(number), fs::symlink_metadata(path).map(number));
    matches!((ours, theirs), (Ok(ours), Ok(theirs)) if ours == theirs)
}

/// Takes away the file of a lock that is still held.
pub(super) fn let_go(lock: &Path) {
    let _ = fs::remove_file(lock);
}

/// By what a file is told from one of the same size that was written in the same moment.
pub(super) fn number(found: &Metadata) -> u64 {
    found.ino()
}

/// A file that is no longer its owner's could not be read by the programs it is for: that is an
/// error, and the old one stays.
pub(super) fn keep_owner_and_mode(file: &File, old: &Metadata) -> io::Result<()> {
    let new = file.metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        fchown(file, Some(old.uid()), Some(old.gid()))?;
    }
    file.set_permissions(old.permissions())
}

/// What is in the folder has to reach the disk too. If it doesn't, the old file may come back after
/// a power failure, and is whole.
pub(super) fn sync(folder: &Path) {
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
}
