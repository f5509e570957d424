//! What commands have left on the disk.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::Known;
use crate::support::Home;

pub(super) fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => files_in(&path),
            Ok(found) if found.is_file() => vec![path],
            // A socket; or it has gone in the meantime.
            _ => Vec::new(),
        })
        .collect()
}

/// In no file of this home but those that are for them, named from its top; nor in a name.
#[track_caller]
pub(super) fn assert_none_in_files(known: &Known, home: &Home, are_for_them: &[&str]) {
    for path in files_in(home.path()) {
        let name = path.strip_prefix(home.path()).unwrap();
        known.assert_none_in(name.as_os_str().as_encoded_bytes(), "the name of a file");
        if !are_for_them.iter().any(|theirs| name.starts_with(theirs)) {
            // It may have gone in the meantime.
            known.assert_none_in(fs::read(&path).unwrap_or_default(), name);
        }
    }
}

/// With the key that the store's files are sealed with.
#[track_caller]
pub(super) fn with_store_key(known: Known, home: &Home) -> Known {
    let key = fs::read_to_string(home.path().join(STORE_KEY)).unwrap();
    let lines = key.lines().map(str::trim).filter(|line| line.len() >= 40);
    lines.fold(known, |known, line| known.and("the store's key", line))
}

pub(super) const STORE_KEY: &str = ".local/state/rolekeeper/store.key";
