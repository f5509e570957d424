//! Lock files: who may ask the source, and what stays of those who did.

use std::{
    collections::HashMap,
    fs::{File, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rolekeeper_core::{Failure, Fence, Moment};

use super::place;
use crate::stores::{
    Sealer, StoreKey,
    record::{Arrived, failure_of_text, failure_to_text},
    seal::Kind,
};

/// The locks that this process holds.
#[derive(Debug, Default)]
pub(super) struct Leases(Mutex<HashMap<StoreKey, (Fence, LeaseFile)>>);

/// A lock file that is locked, until it is dropped.
///
/// Its first 16 bytes are two numbers: the highest fence that was granted, and that of the record
/// that was saved last. A failure that cools comes after them, sealed, with its end before it.
#[derive(Debug)]
pub(super) struct LeaseFile {
    file: File,
    granted: u64,
    saved: u64,
}

const NUMBERS: usize = 16;

/// A failure's text has a few hundred bytes.
const LARGEST_TAIL: u64 = 16 * 1024;

/// No failure is told for longer, whatever a file says.
const LONGEST_COOLING: Duration = Duration::from_secs(300);

// === impl Leases ===

impl Leases {
    pub(super) fn put(&self, key: &StoreKey, fence: Fence, file: LeaseFile) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(*key, (fence, file));
    }

    /// Dropping it ends the lease.
    pub(super) fn take(&self, key: &StoreKey, fence: Fence) -> Option<LeaseFile> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(key).filter(|(found, _)| *found == fence)?;
        held.remove(key).map(|(_, file)| file)
    }

    pub(super) fn is_held(&self, key: &StoreKey, fence: Fence) -> bool {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(key).is_some_and(|(found, _)| *found == fence)
    }
}

// === impl LeaseFile ===

impl LeaseFile {
    /// `None`: another has it.
    pub(super) fn lock(path: &Path) -> io::Result<Option<Self>> {
        let mut file = place::open_to_lock(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let [granted, saved] = numbers(&mut file).unwrap_or_default();
        Ok(Some(Self { file, granted, saved }))
    }

    /// Of the record that was saved last; without a lock.
    pub(super) fn saved(path: &Path) -> Option<Fence> {
        let mut file = place::open_own(path).ok()?.ok()?;
        numbers(&mut file).map(|[_, saved]| Fence(saved))
    }

    /// The next number. Never below the clock's milliseconds: it rises also when this file was lost.
    pub(super) fn grant(&mut self, now: Moment) -> io::Result<Fence> {
        let clock = u64::try_from(now.wall.as_unix_nanos() / 1_000_000).unwrap_or_default();
        self.granted = self.granted.saturating_add(1).max(clock);
        self.write(&[])?;
        Ok(Fence(self.granted))
    }

    /// No failure cools any more. The numbers stay.
    pub(super) fn forget(&mut self) -> io::Result<()> {
        self.write(&[])
    }

    pub(super) fn saved_under(&mut self, fence: Fence) -> io::Result<()> {
        self.saved = fence.0;
        self.write(&[])
    }

    pub(super) fn cool(
        &mut self,
        key: &StoreKey,
        fence: Fence,
        sealer: &Sealer,
        failure: &Failure,
        until: &Arrived,
    ) -> io::Result<()> {
        let until = serde_json::to_vec(until).map_err(io::Error::other)?;
        let text = [&until, &b"\n"[..], &failure_to_text(failure)].concat();
        let sealed = sealer.seal(Kind::Failure, key, fence, &text).map_err(io::Error::other)?;
        self.write(&sealed)
    }

    /// A failure that is still to be told, and how long.
    pub(super) fn cooling(
        &mut self,
        key: &StoreKey,
        sealer: &Sealer,
        now: Moment,
        boot: Option<&str>,
    ) -> Option<(Failure, Duration)> {
        self.file.seek(SeekFrom::Start(NUMBERS as u64)).ok()?;
        let mut sealed = Vec::new();
        Read::by_ref(&mut self.file).take(LARGEST_TAIL).read_to_end(&mut sealed).ok()?;
        let (fence, text) = sealer.open(Kind::Failure, key, &sealed).ok()?;
        let end = text.iter().position(|byte| *byte == b'\n')?;
        let until: Arrived = serde_json::from_slice(&text[..end]).ok()?;
        let left = until.left_at(now, boot);
        let is_of_last = fence.0 == self.granted;
        (is_of_last && !left.is_zero() && left <= LONGEST_COOLING)
            .then(|| failure_of_text(&text[end + 1..]))?
            .map(|failure| (failure, left))
    }

    /// Everything anew. It is small, and nobody reads it but for the numbers.
    fn write(&mut self, tail: &[u8]) -> io::Result<()> {
        let numbers = [self.granted.to_le_bytes(), self.saved.to_le_bytes()].concat();
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&[&numbers, tail].concat())?;
        self.file.set_len((NUMBERS + tail.len()) as u64)
    }
}

impl Drop for LeaseFile {
    fn drop(&mut self) {
        // Also for a forked child, which has the file too.
        let _ = self.file.unlock();
    }
}

/// `None`: it is new, or damaged.
fn numbers(file: &mut File) -> Option<[u64; 2]> {
    let mut numbers = [0; NUMBERS];
    file.seek(SeekFrom::Start(0)).ok()?;
    file.read_exact(&mut numbers).ok()?;
    let (granted, saved) = numbers.split_at(NUMBERS / 2);
    Some([granted, saved].map(|bytes| bytes.try_into().map(u64::from_le_bytes).unwrap_or_default()))
}
