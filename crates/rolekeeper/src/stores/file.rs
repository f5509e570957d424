//! The store of one user on one machine: a folder with a sealed file for each session, and beside
//! each a lock file.
//!
//! The lease is a lock of the operating system's, which ends with its process however that ends. A
//! session's file is replaced in one step; what can't be opened is put aside, told once, and fetched
//! again. Readers take no lock.

mod leases;
pub(super) mod place;

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rolekeeper_core::{Failure, Fence, Issued, Lease, Moment, Session};

use super::{
    Answer, Sealer, SessionStore, StoreError, StoreKey, StoreSecret, Stored,
    named::no_home,
    record::{Arrived, Record},
    seal::Kind,
};
use crate::{Clock, fork::Work, private_file};
use leases::{LeaseFile, Leases};

pub use place::{default_folder, default_key_file};

/// What a session takes is some 3 kB; what is larger is none.
const LARGEST: u64 = 64 * 1024;

/// What the files are: a sealed session, a lock, and what was no session.
const SESSION: &str = "session";
const LEASE: &str = "lease";
const ASIDE: &str = "aside";
/// A session that is being written. Whoever writes it holds the lock: one that is found is of a
/// process that was killed.
const NEW: &str = "new";

/// A folder of sealed sessions. Clones are the same store.
///
/// ```no_run
/// # fn example() -> Result<(), rolekeeper::stores::StoreError> {
/// use rolekeeper::stores::FileStore;
///
/// let store = FileStore::of_user()?; // ~/.cache/rolekeeper, sealed with the user's own key
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct FileStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    sealer: Sealer,
    clock: Clock,
    /// Which run of the machine this is.
    boot: Option<String>,
    leases: Leases,
}

/// A session that a store holds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// Under which it is stored.
    pub key: StoreKey,
    /// What it is; or why it can't be read.
    pub session: Result<Session, String>,
}

/// Where a session and its lease are.
struct Files {
    session: PathBuf,
    lease: PathBuf,
    aside: PathBuf,
    new: PathBuf,
}

// === impl FileStore ===

impl FileStore {
    /// That of this user: `$XDG_CACHE_HOME/rolekeeper`, else `~/.cache/rolekeeper`, sealed with the
    /// key in `$XDG_STATE_HOME/rolekeeper/store.key`, else `~/.local/state/rolekeeper/store.key`,
    /// which is made if there is none.
    ///
    /// # Errors
    /// No home folder is known, the folder or the key can't be made, or others may use it.
    pub fn of_user() -> Result<Self, StoreError> {
        let folder = default_folder().ok_or_else(no_home)?;
        let key_file = default_key_file().ok_or_else(no_home)?;
        Self::open(folder, &StoreSecret::from_file(&key_file)?)
    }

    /// In this folder, which is made if there is none: mode 0700.
    ///
    /// # Errors
    /// It can't be made, it is another user's, or others may write to it.
    pub fn open(folder: impl Into<PathBuf>, secret: &StoreSecret) -> Result<Self, StoreError> {
        Self::with(folder, Sealer::new(secret), Clock::System)
    }

    /// The same with more than one key, and another clock.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn with(
        folder: impl Into<PathBuf>,
        sealer: Sealer,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let folder = folder.into();
        private_file::folder(&folder)
            .map_err(|error| cannot("make the folder", &folder, &error))?;
        place::check(&folder)?;
        let (boot, leases) = (place::boot(), Leases::default());
        Ok(Self(Arc::new(Inner { folder, sealer, clock, boot, leases })))
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// All that is there, the next to end first.
    ///
    /// # Errors
    /// The folder can't be read.
    pub fn entries(&self) -> Result<Vec<Entry>, StoreError> {
        let store = &*self.0;
        let mut entries = Vec::new();
        for key in store.keys(SESSION)? {
            let session = match store.look(&key, &store.files(&key)) {
                Ok(Ok(Some(Stored { issued, age }))) => {
                    Ok(Session::place(issued, store.now().before(age), 0))
                }
                // It has gone since.
                Ok(Ok(None)) => continue,
                Ok(Err(why)) => Err(why),
                Err(error) => Err(error.message),
            };
            entries.push(Entry { key, session });
        }
        let end = |entry: &Entry| entry.session.as_ref().ok().map(Session::expiration);
        entries.sort_by_key(|entry| (end(entry), entry.key));
        Ok(entries)
    }

    /// Takes all sessions out, and forgets failures; leases that are held stay. How many sessions
    /// there were.
    ///
    /// # Errors
    /// The folder can't be read, or a file can't be removed.
    pub fn clear(&self) -> Result<usize, StoreError> {
        let store = &*self.0;
        let mut count = 0;
        for (kind, is_session) in [(SESSION, true), (ASIDE, false)] {
            for key in store.keys(kind)? {
                let file = store.folder.join(format!("{key}.{kind}"));
                match std::fs::remove_file(&file) {
                    Ok(()) => count += usize::from(is_session),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(cannot("remove", &file, &error)),
                }
            }
        }
        for key in store.keys(LEASE)? {
            let file = store.files(&key).lease;
            // One that is held is about to be written anew.
            if let Ok(Some(mut lease)) = LeaseFile::lock(&file) {
                lease.forget().map_err(|error| cannot("write", &file, &error))?;
                let left_over = store.files(&key).new;
                std::fs::remove_file(&left_over)
                    .or_else(not_found)
                    .map_err(|error| cannot("remove", &left_over, &error))?;
            }
        }
        Ok(count)
    }

    /// Does what may block a thread, as files may, away from those of the runtime.
    fn away<'a, T: Send + 'static>(
        &'a self,
        work: impl FnOnce(&Inner) -> Result<T, StoreError> + Send + 'static,
    ) -> Answer<'a, T> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || work(&inner)).await;
            done.unwrap_or_else(|error| Err(StoreError::new(format!("the store failed: {error}"))))
        })
    }
}

impl SessionStore for FileStore {
    fn name(&self) -> String {
        self.0.folder.display().to_string()
    }

    fn load<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Option<Stored>> {
        let key = *key;
        self.away(move |store| store.load(&key))
    }

    fn lease<'a>(&'a self, key: &'a StoreKey, _: Duration) -> Answer<'a, Lease> {
        let key = *key;
        self.away(move |store| store.lease(&key))
    }

    /// A lock lasts as long as its process.
    fn renew<'a>(&'a self, key: &'a StoreKey, fence: Fence, _: Duration) -> Answer<'a, bool> {
        Box::pin(std::future::ready(Ok(self.0.leases.is_held(key, fence))))
    }

    fn save<'a>(&'a self, key: &'a StoreKey, fence: Fence, issued: &'a Issued) -> Answer<'a, bool> {
        let (key, issued) = (*key, issued.clone());
        self.away(move |store| store.save(&key, fence, issued))
    }

    fn cool<'a>(
        &'a self,
        key: &'a StoreKey,
        fence: Fence,
        failure: &'a Failure,
        pause: Duration,
    ) -> Answer<'a, bool> {
        let (key, failure) = (*key, failure.clone());
        self.away(move |store| store.cool(&key, fence, &failure, pause))
    }

    fn release(&self, key: &StoreKey, fence: Fence) {
        self.0.leases.take(key, fence);
    }

    /// Two small files, most often in memory.
    fn glance(&self, key: &StoreKey) -> Option<Stored> {
        self.0.load(key).ok()?
    }

    /// A look is two small reads of files that are in memory.
    fn poll(&self) -> Duration {
        Duration::from_millis(25)
    }

    /// A disk that is busy, or a home folder on a network, may take a while.
    fn patience(&self) -> Duration {
        Duration::from_secs(2)
    }
}

// === impl Inner ===

impl Inner {
    fn files(&self, key: &StoreKey) -> Files {
        let file = |kind: &str| self.folder.join(format!("{key}.{kind}"));
        Files { session: file(SESSION), lease: file(LEASE), aside: file(ASIDE), new: file(NEW) }
    }

    /// Of which there is a file of this kind.
    fn keys(&self, kind: &str) -> Result<Vec<StoreKey>, StoreError> {
        let cannot = |error: io::Error| cannot("read", &self.folder, &error);
        let mut keys = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(cannot)? {
            let name = entry.map_err(cannot)?.file_name();
            let name = name.to_str().and_then(|name| name.split_once('.'));
            let key = name.filter(|(_, found)| *found == kind);
            keys.extend(key.and_then(|(key, _)| StoreKey::of_hex(key)));
        }
        Ok(keys)
    }

    fn now(&self) -> Moment {
        self.clock.now()
    }

    fn load(&self, key: &StoreKey) -> Result<Option<Stored>, StoreError> {
        let files = self.files(key);
        match self.look(key, &files)? {
            Ok(stored) => Ok(stored),
            Err(why) => {
                self.put_aside(key, &files, &why);
                Ok(None)
            }
        }
    }

    /// What is there, or why that is no record.
    fn look(
        &self,
        key: &StoreKey,
        files: &Files,
    ) -> Result<Result<Option<Stored>, String>, StoreError> {
        // Before the record: one that is saved meanwhile is newer than this.
        let saved = LeaseFile::saved(&files.lease);
        let cannot = |error: &io::Error| cannot("read", &files.session, error);
        let mut file = match place::open_own(&files.session) {
            Ok(Ok(file)) => file,
            Ok(Err(why)) => return Ok(Err(why)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ok(None)),
            Err(error) => return Err(cannot(&error)),
        };
        let mut sealed = Vec::new();
        file.by_ref().take(LARGEST + 1).read_to_end(&mut sealed).map_err(|error| cannot(&error))?;
        if sealed.len() as u64 > LARGEST {
            return Ok(Err(format!("it has more than {} kB", LARGEST / 1024)));
        }
        let (fence, text) = match self.sealer.open(Kind::Session, key, &sealed) {
            Ok(opened) => opened,
            Err(why) => return Ok(Err(why.to_string())),
        };
        if saved.is_some_and(|saved| fence < saved) {
            return Ok(Err("it is an older one that was put back".to_owned()));
        }
        let Some(Record { issued, arrived: Some(arrived) }) = Record::of_text(&text) else {
            return Ok(Err("it makes no sense".to_owned()));
        };
        let now = self.now();
        let Some(arrived) = arrived.seen_at(now, self.boot.as_deref()) else {
            return Ok(Err("it is of a time to come".to_owned()));
        };
        Ok(Ok(Some(Stored { issued, age: now.elapsed.since(arrived.elapsed) })))
    }

    /// So that somebody can look at it. Under the lock: whoever has that is about to replace it.
    fn put_aside(&self, key: &StoreKey, files: &Files, why: &str) {
        let Ok(Some(lease)) = LeaseFile::lock(&files.lease) else { return };
        // Another may have replaced it before the lock was ours.
        if matches!(self.look(key, files), Ok(Err(_))) {
            let (file, aside) = (files.session.display(), files.aside.display());
            match std::fs::rename(&files.session, &files.aside) {
                Ok(()) => tracing::warn!(%file, why, %aside, "put aside what is no session"),
                Err(error) => {
                    tracing::warn!(%file, why, %error, "cannot put aside what is no session");
                }
            }
        }
        drop(lease);
    }

    fn lease(&self, key: &StoreKey) -> Result<Lease, StoreError> {
        let files = self.files(key);
        let cannot = |error: io::Error| cannot("lock", &files.lease, &error);
        let Some(mut file) = LeaseFile::lock(&files.lease).map_err(cannot)? else {
            return Ok(Lease::Taken { left: None });
        };
        let now = self.now();
        if let Some((failure, left)) = file.cooling(key, &self.sealer, now, self.boot.as_deref()) {
            return Ok(Lease::Cooling { failure, left });
        }
        let fence = file.grant(now).map_err(cannot)?;
        self.hold_still(|leases| leases.put(key, fence, file));
        Ok(Lease::Granted(fence))
    }

    /// On the threads that files are read and written on: no fork leaves the leases locked in a
    /// child. (The runtime's own thread holds forks off as long as it works.)
    fn hold_still<T>(&self, verb: impl FnOnce(&Leases) -> T) -> T {
        let _whole = Work::begin();
        verb(&self.leases)
    }

    fn save(&self, key: &StoreKey, fence: Fence, issued: Issued) -> Result<bool, StoreError> {
        let lease = self.hold_still(|leases| leases.take(key, fence));
        let Some(mut lease) = lease else { return Ok(false) };
        let files = self.files(key);
        let arrived = issued.arrived.as_deref().copied().unwrap_or_else(|| self.now());
        let arrived = Some(Arrived::at(arrived, self.boot.clone()));
        let text = Record { issued, arrived }.to_text();
        let sealed = self.sealer.seal(Kind::Session, key, fence, &text)?;
        let cannot = |error: io::Error| cannot("write", &files.session, &error);
        replace_durably(&files, &sealed).map_err(cannot)?;
        // Only for who would put an older record back: the new one is in its place.
        lease.saved_under(fence).map_err(cannot)?;
        Ok(true)
    }

    fn cool(
        &self,
        key: &StoreKey,
        fence: Fence,
        failure: &Failure,
        pause: Duration,
    ) -> Result<bool, StoreError> {
        let lease = self.hold_still(|leases| leases.take(key, fence));
        let Some(mut lease) = lease else { return Ok(false) };
        let until = Arrived::at(self.now().after(pause), self.boot.clone());
        lease
            .cool(key, fence, &self.sealer, failure, &until)
            .map_err(|error| cannot("write", &self.files(key).lease, &error))?;
        Ok(true)
    }
}

/// In one step, and on the disk before it is said to be.
fn replace_durably(files: &Files, content: &[u8]) -> io::Result<()> {
    let Files { session, new, .. } = files;
    std::fs::remove_file(new).or_else(not_found)?;
    let written = private_file::create(new, content)
        .and_then(|file| file.sync_all())
        .and_then(|()| std::fs::rename(new, session));
    if written.is_err() {
        let _ = std::fs::remove_file(new);
        return written;
    }
    match session.parent().map(File::open) {
        // Where folders can't be opened, as on Windows, they need no more.
        Some(Ok(folder)) => folder.sync_all(),
        _ => Ok(()),
    }
}

fn not_found(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> StoreError {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => "check whose it is, and its mode",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room on that disk",
        io::ErrorKind::ReadOnlyFilesystem => "take a folder that can be written to",
        _ => "check that folder; sessions are fetched without it meanwhile",
    };
    StoreError::new(format!("cannot {what} {}: {error}", path.display())).with_hint(hint)
}
