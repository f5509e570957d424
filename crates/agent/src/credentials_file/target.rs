//! Which file a path really names, and how that file is replaced: whole, or not at all.
//!
//! The new one is written beside the old one, under a name that is always the same, so that nothing
//! more than that is ever left behind, and moved onto it. The caller holds the file's lock.

use std::{
    fs::{self, Metadata},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use zeroize::Zeroizing;

use super::{Error, SectionName, system, text::Content};
use rolekeeper::private_file;

/// A chain of links that is longer leads nowhere, as for the kernel.
const MOST_LINKS: usize = 40;

/// A real file, or the place where one will be.
pub(super) struct Target {
    path: PathBuf,
    folder: PathBuf,
}

/// What was found in its place.
pub(super) struct Found {
    pub(super) content: Content,
    /// `None`: there is no file yet.
    metadata: Option<Metadata>,
}

/// By what a file is told from one that was written after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    number: u64,
}

// === impl Target ===

impl Target {
    /// Follows links, so that it is their target that is replaced. Makes the folder (0700) if there
    /// is none.
    pub(super) fn of(path: &Path) -> Result<Self, Error> {
        let mut path = path.to_owned();
        for _ in 0..MOST_LINKS {
            let Ok(next) = fs::read_link(&path) else { return Self::in_its_folder(&path) };
            path = path.parent().unwrap_or(Path::new("")).join(next);
        }
        let error = io::Error::other("too many links from one to the next");
        Err(Error::file("cannot find", &path)(error))
    }

    fn in_its_folder(path: &Path) -> Result<Self, Error> {
        let Some(name) = path.file_name() else {
            let error = io::Error::from(io::ErrorKind::IsADirectory);
            return Err(Error::file("cannot write", path)(error));
        };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        private_file::folder(folder).map_err(Error::file("cannot make", folder))?;
        // One file has one lock, however its folder is named.
        let folder = folder.canonicalize().map_err(Error::file("cannot find", folder))?;
        Ok(Self { path: folder.join(name), folder })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Held while the file is read and replaced.
    pub(super) fn lock_path(&self) -> PathBuf {
        self.beside("lock")
    }

    /// Held for as long as somebody keeps this section.
    pub(super) fn section_lock_path(&self, section: &SectionName) -> PathBuf {
        self.beside(&format!("{}.lock", section.as_file_name()))
    }

    /// A hidden file of ours.
    fn beside(&self, suffix: &str) -> PathBuf {
        let name = self.path.file_name().unwrap_or_default();
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".rolekeeper.{suffix}"));
        self.folder.join(hidden)
    }

    /// The file as it is; one that isn't there is empty.
    pub(super) fn read(&self) -> Result<Found, Error> {
        let metadata = match fs::metadata(&self.path) {
            // Before it is opened: a pipe would hold us up.
            Ok(found) if !found.is_file() => Err(io::Error::other("it is not a file")),
            Ok(found) => Ok(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Found { content: Content::default(), metadata: None });
            }
            Err(error) => Err(error),
        }
        .map_err(Error::file("cannot read", &self.path))?;
        let content = fs::read(&self.path).map_err(Error::file("cannot read", &self.path))?;
        Ok(Found { content: Zeroizing::new(content), metadata: Some(metadata) })
    }

    /// Whether it is still what was found.
    pub(super) fn is_still(&self, found: &Found) -> bool {
        self.stamp() == found.stamp()
    }

    pub(super) fn stamp(&self) -> Option<Stamp> {
        fs::metadata(&self.path).ok().as_ref().map(Stamp::of)
    }

    /// Writes the new content beside it, with the old file's mode and owner. Dropped without
    /// [`take_place`](Fresh::take_place), it goes again.
    pub(super) fn prepare(&self, content: &[u8], found: &Found) -> Result<Fresh<'_>, Error> {
        if found.metadata.as_ref().is_some_and(|old| old.permissions().readonly()) {
            let error = io::Error::new(io::ErrorKind::PermissionDenied, "the file is read-only");
            return Err(Error::file("cannot write", &self.path)(error));
        }
        let path = self.beside("new");
        // Of one who was killed in the middle.
        let _ = fs::remove_file(&path);
        let fresh = Fresh { target: self, path, has_moved: false };
        fresh
            .write(content, found.metadata.as_ref())
            .map_err(Error::file("cannot write beside", &self.path))?;
        Ok(fresh)
    }
}

// === impl Found ===

impl Found {
    pub(super) fn stamp(&self) -> Option<Stamp> {
        self.metadata.as_ref().map(Stamp::of)
    }
}

/// A new file that is not yet in its place.
pub(super) struct Fresh<'a> {
    target: &'a Target,
    path: PathBuf,
    has_moved: bool,
}

// === impl Fresh ===

impl Fresh<'_> {
    fn write(&self, content: &[u8], old: Option<&Metadata>) -> io::Result<()> {
        let file = private_file::create(&self.path, content)?;
        if let Some(old) = old {
            system::keep_owner_and_mode(&file, old)?;
        }
        file.sync_all()
    }

    /// Moves it onto the old one: whoever opens the path finds the one or the other.
    /// Returns what it is told by from there on.
    pub(super) fn take_place(mut self) -> Result<Option<Stamp>, Error> {
        let stamp = fs::metadata(&self.path).ok().as_ref().map(Stamp::of);
        fs::rename(&self.path, &self.target.path)
            .map_err(Error::file("cannot replace", &self.target.path))?;
        self.has_moved = true;
        system::sync(&self.target.folder);
        Ok(stamp)
    }
}

impl Drop for Fresh<'_> {
    fn drop(&mut self) {
        if !self.has_moved {
            let _ = fs::remove_file(&self.path);
        }
    }
}

// === impl Stamp ===

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        let (modified, number) = (metadata.modified().ok(), system::number(metadata));
        Self { modified, length: metadata.len(), number }
    }
}
