//! Which of their files are read, and how one is put there.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use rolekeeper_core::{Issued, Moment, Session};
use zeroize::Zeroizing;

use super::{AwsCache, AwsCacheKey, entry};
use crate::{private_file, stores::file::place};

/// What a session takes is some 3 kB; what is larger is none.
const LARGEST: usize = 64 * 1024;

/// STS gives 12 hours at most; one more for clocks that are apart.
const LONGEST: Duration = Duration::from_secs(13 * 3600);

/// botocore takes no session of which less than this is left.
const OF_USE: Duration = Duration::from_secs(15 * 60);

/// A file that isn't as it should be.
pub(super) struct Oddity {
    pub(super) path: PathBuf,
    pub(super) why: String,
}

impl AwsCache {
    pub(super) fn writes(&self) -> bool {
        self.writes
    }

    /// The session that lasts longest, dated by the clocks here; and what was not to be used.
    pub(super) fn read(&self, key: &AwsCacheKey, now: Moment) -> (Option<Issued>, Vec<Oddity>) {
        let (mut found, mut odd) = (Vec::new(), Vec::new());
        for folder in [self.of_cli(), self.of_botocore()] {
            let path = file(&folder, key);
            match read(&folder, &path, now) {
                Ok(issued) => found.extend(issued),
                Err(why) => odd.push(Oddity { path, why }),
            }
        }
        let longest = found.into_iter().max_by_key(|issued| issued.expiration);
        (longest.map(|issued| dated(issued, key, now)), odd)
    }

    /// Puts it where those programs look, if it is of use to them.
    pub(super) fn write(&self, key: &AwsCacheKey, issued: &Issued, now: Moment) -> Vec<Oddity> {
        let session = Session::place(issued.clone(), now, 0);
        if session.remaining(now) <= OF_USE {
            return Vec::new();
        }
        // Their readers compare it with the clock here; the earlier of two readings is never too late.
        let text = entry::write(issued, session.expiration().min(issued.expiration));
        let mut folders = vec![self.of_cli()];
        folders.extend(Some(self.of_botocore()).filter(|folder| folder.is_dir()));
        let write = |folder: PathBuf| {
            let path = file(&folder, key);
            let outcome = write(&folder, &path, &text);
            outcome.err().map(|why| Oddity { path, why })
        };
        folders.into_iter().filter_map(write).collect()
    }
}

fn file(folder: &Path, key: &AwsCacheKey) -> PathBuf {
    folder.join(format!("{}.json", key.name()))
}

/// When STS gave it is not in the file. The file's own time may be a copy's; but STS gives what it
/// is asked for, and how long that is the parameters say. By another's STS it may last longer: then
/// it is as if it came now.
fn dated(issued: Issued, key: &AwsCacheKey, now: Moment) -> Issued {
    let age = key.lifetime().saturating_sub(issued.expiration.since(now.wall));
    issued.with_arrived(now.before(age))
}

/// What is there, if anything is; or why it is not to be used.
fn read(folder: &Path, path: &Path, now: Moment) -> Result<Option<Issued>, String> {
    let file = match place::open_own(path) {
        Ok(opened) => opened?,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    if place::others_may_write(&file).map_err(|error| error.to_string())? {
        return Err("others may write to it".to_owned());
    }
    place::check(folder).map_err(|error| error.message)?;
    // All of its room at once: text that is moved while it grows leaves secrets behind.
    let mut text = Zeroizing::new(Vec::with_capacity(LARGEST + 1));
    file.take(LARGEST as u64 + 1).read_to_end(&mut text).map_err(|error| error.to_string())?;
    if text.len() > LARGEST {
        return Err(format!("it has more than {} kB", LARGEST / 1024));
    }
    let issued = entry::read(&text).ok_or("it is no session as botocore writes it")?;
    if issued.expiration.since(now.wall) > LONGEST {
        return Err("it lasts longer than any session".to_owned());
    }
    Ok(Some(issued))
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn write(folder: &Path, path: &Path, text: &[u8]) -> Result<(), String> {
    private_file::folder(folder).map_err(|error| error.to_string())?;
    place::check(folder).map_err(|error| error.message)?;
    private_file::replace(path, text).map_err(|error| error.to_string())
}
