//! The folders where the AWS CLI and botocore keep their roles' sessions, as JSON that nothing seals:
//! read and, if asked, written, so that those programs and this one have one session.
//!
//! A file there is named by a hash of AssumeRole's parameters. With which credentials the role was
//! assumed, and at which endpoint, is not among them: two source profiles of one role are the same
//! there. A [`StoreKey`](super::StoreKey) keeps them apart. So this is no
//! [`SessionStore`](super::SessionStore): nobody looks here without being told to, and what comes
//! from here is saved in no store, where others would find it who weren't.

mod cached;
mod entry;
mod files;
mod key;

use std::{env, path::PathBuf};

use super::{StoreError, named::no_home};

pub(crate) use cached::AwsCached;
#[cfg(feature = "__fuzzing")]
pub(super) use entry::{read, write};
pub(crate) use key::Arguments;
pub use key::AwsCacheKey;

/// What the AWS CLI and botocore cache of roles in a user's folder.
///
/// A session there is taken by [what was asked](AwsCacheKey) of the role, **whoever asked**: use it
/// where all source credentials of a role are equals.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use rolekeeper::{RefreshableCredentials, sources::Profile, stores::AwsCache};
///
/// let etl = Profile::named("etl").build().await?;
/// let cache = AwsCache::of_user()?.and_write();
/// let credentials = RefreshableCredentials::builder(etl).aws_cache(cache).build();
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct AwsCache {
    /// `~/.aws`.
    folder: PathBuf,
    writes: bool,
}

// === impl AwsCache ===

impl AwsCache {
    /// Reads `~/.aws/cli/cache`, the AWS CLI's, and `~/.aws/boto/cache`, where botocore's own
    /// `JSONFileCache` is. Whichever session lasts longer counts.
    ///
    /// # Errors
    /// No home folder is known.
    pub fn of_user() -> Result<Self, StoreError> {
        let home = env::home_dir().filter(|home| home.is_absolute()).ok_or_else(no_home)?;
        Ok(Self::within(home.join(".aws")))
    }

    /// The same, with another folder for `~/.aws`.
    pub fn within(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), writes: false }
    }

    /// Sessions that weren't found there are put there, **not sealed**, mode 0600: into the AWS
    /// CLI's folder, which is made if there is none, and into botocore's if that is there.
    #[must_use]
    pub fn and_write(mut self) -> Self {
        self.writes = true;
        self
    }

    fn of_cli(&self) -> PathBuf {
        self.folder.join("cli").join("cache")
    }

    fn of_botocore(&self) -> PathBuf {
        self.folder.join("boto").join("cache")
    }
}
