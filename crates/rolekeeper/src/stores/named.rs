//! A store by one line of text, as an option, a variable or a configuration file has it.

use std::sync::Arc;

use super::{FileStore, Sealer, SessionStore, StoreError, default_folder};
use crate::Clock;

/// What a line begins with that names a Redis.
const REDIS: [&str; 2] = ["redis", "rediss"];

/// Opens the store that `place` names:
///
/// | `place` | the store | sealed with |
/// |---|---|---|
/// | `file` | [`FileStore`] of this user | `keys`, else the user's own key |
/// | `redis://…`, `rediss://…`, `redis+sentinel://…`, `redis+cluster://…` | `RedisStore`, with the feature `redis` | `keys` |
///
/// ```no_run
/// # fn example() -> Result<(), rolekeeper::stores::StoreError> {
/// use rolekeeper::stores::{self, Sealer};
///
/// let of_this_user = stores::open("file", None)?;
/// let keys = Sealer::from_file("/etc/rolekeeper/fleet.key")?;
/// let of_the_fleet = stores::open("rediss://redis.internal", Some(keys))?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// It is no such line, keys are missing, or the store's folder or key can't be used. No error shows a
/// user or a password. That a Redis can't be reached is none: it may be back tomorrow.
pub fn open(place: &str, keys: Option<Sealer>) -> Result<Arc<dyn SessionStore>, StoreError> {
    let scheme = place.split_once(':').map_or(place, |(scheme, _)| scheme);
    let scheme = scheme.split_once('+').map_or(scheme, |(scheme, _)| scheme);
    match (scheme, keys) {
        _ if place.trim().is_empty() => Err(StoreError::new("the store's name is empty")
            .with_hint("write `file`, or redis://HOST:PORT")),
        ("file", None) if place == "file" => Ok(Arc::new(FileStore::of_user()?)),
        ("file", Some(keys)) if place == "file" => {
            let folder = default_folder().ok_or_else(no_home)?;
            Ok(Arc::new(FileStore::with(folder, keys, Clock::System)?))
        }
        (scheme, Some(keys)) if REDIS.contains(&scheme) => redis(place, keys),
        (scheme, None) if REDIS.contains(&scheme) => {
            Err(StoreError::new("a store in Redis has no key to seal sessions with").with_hint(
                "make one for all hosts: openssl rand -hex 32; and put it into a file that \
                 ROLEKEEPER_STORE_KEY_FILE names",
            ))
        }
        // What it is may be a password that went astray.
        _ => Err(StoreError::new("no store is known by that name")
            .with_hint("write `file`, or redis://HOST:PORT; with TLS rediss://…")),
    }
}

pub(super) fn no_home() -> StoreError {
    StoreError::new("no folder is known for the store: HOME is not set")
        .with_hint("set HOME, or XDG_CACHE_HOME and XDG_STATE_HOME")
}

#[cfg(feature = "redis")]
fn redis(address: &str, keys: Sealer) -> Result<Arc<dyn SessionStore>, StoreError> {
    Ok(Arc::new(super::RedisStore::open(address, keys)?))
}

#[cfg(not(feature = "redis"))]
fn redis(_: &str, _: Sealer) -> Result<Arc<dyn SessionStore>, StoreError> {
    Err(StoreError::new("this build of rolekeeper has no store in Redis")
        .with_hint("build it with the feature `redis`"))
}
