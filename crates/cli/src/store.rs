//! Where a command shares its sessions with others: the arguments that say so, turned into a store.

use std::{
    convert::Infallible,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use clap::Args;
use rolekeeper::stores::{self, FileStore, Sealer, SessionStore, StoreError};
use zeroize::Zeroizing;

use crate::exit::Trouble;

/// The keys themselves: they have no place on a command line, which others can read.
const KEY_VARIABLE: &str = "ROLEKEEPER_STORE_KEY";

const FILE: &str = "file";
const NONE: &str = "none";

#[derive(Args, Clone)]
pub(crate) struct StoreArguments {
    /// Where sessions are shared with other commands or hosts: `file` (a sealed cache of this
    /// user's), redis://HOST:PORT, rediss://HOST:PORT, or `none`
    #[arg(long, value_name = "WHERE", env = "ROLEKEEPER_STORE", hide_env_values = true)]
    store: Option<StorePlace>,

    /// The file with the keys that sessions are sealed with in a Redis, the same on all hosts: 64
    /// hexadecimal digits a line, the first one seals
    #[arg(long, value_name = "FILE", env = "ROLEKEEPER_STORE_KEY_FILE")]
    store_key_file: Option<PathBuf>,
}

/// What `--store` names. It may have a password in it, and is not shown; nor is it judged where the
/// answer would be.
#[derive(Clone, PartialEq, Eq)]
struct StorePlace(String);

/// The store of a command that was told of none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Usual {
    /// The user's own folder of sealed sessions.
    File,
    /// Nowhere.
    Nowhere,
}

// === impl StoreArguments ===

impl StoreArguments {
    /// The store that was asked for; without a word of it, the usual one, and none if that can't be
    /// had.
    pub(crate) fn open(&self, usual: Usual) -> Result<Option<Arc<dyn SessionStore>>, Trouble> {
        match (&self.store, usual) {
            (Some(place), _) => open(&place.0, self.store_key_file.as_deref()),
            (None, Usual::Nowhere) => Ok(None),
            (None, Usual::File) => Ok(FileStore::of_user().map_or_else(
                |error| {
                    let hint = error.hint.as_deref().unwrap_or("pass --store none to have it so");
                    tracing::warn!(%error, hint, "sessions are not shared with other commands");
                    None
                },
                |store| Some(Arc::new(store) as Arc<dyn SessionStore>),
            )),
        }
    }

    /// The same, where a file says what the command line leaves out.
    pub(crate) fn open_or(
        &self,
        place: Option<&str>,
        key_file: Option<&Path>,
    ) -> Result<Option<Arc<dyn SessionStore>>, Trouble> {
        match self.store.as_ref().map(|place| place.0.as_str()).or(place) {
            Some(place) => open(place, self.store_key_file.as_deref().or(key_file)),
            None => Ok(None),
        }
    }
}

fn open(place: &str, key_file: Option<&Path>) -> Result<Option<Arc<dyn SessionStore>>, Trouble> {
    if place == NONE {
        return Ok(None);
    }
    if place == FILE {
        // It has a key of its own: a fleet's is for where hosts meet.
        return stores::open(place, None).map(Some).map_err(trouble);
    }
    let store = keys(key_file).and_then(|keys| stores::open(place, keys));
    store.map(Some).map_err(|error| with_hint(Trouble::usage(error.message), error.hint))
}

/// The fleet's, of the file or else the variable.
fn keys(file: Option<&Path>) -> Result<Option<Sealer>, StoreError> {
    if let Some(file) = file {
        return Sealer::from_file(file).map(Some);
    }
    let Ok(text) = std::env::var(KEY_VARIABLE).map(Zeroizing::new) else { return Ok(None) };
    let keys = Sealer::from_text(&text);
    keys.map(Some).map_err(|error| StoreError {
        message: format!("{KEY_VARIABLE}: {}", error.message),
        ..error
    })
}

/// Of the folder or its key, not of what was asked for.
pub(crate) fn trouble(error: StoreError) -> Trouble {
    with_hint(Trouble::unavailable(error.message), error.hint)
}

fn with_hint(trouble: Trouble, hint: Option<String>) -> Trouble {
    match hint {
        Some(hint) => trouble.with_hint(hint),
        None => trouble,
    }
}

// === impl StorePlace ===

impl FromStr for StorePlace {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for StorePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StorePlace")
    }
}
