//! Where a command shares its sessions with those that run beside it and after it.

use std::{fmt, str::FromStr, sync::Arc};

use rolekeeper::stores::{FileStore, SessionStore, StoreError};

use crate::exit::Trouble;

/// What `--store` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StorePlace {
    /// The user's own folder of sealed sessions.
    File,
    /// Nowhere.
    Nowhere,
}

impl FromStr for StorePlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "file" => Ok(Self::File),
            "none" => Ok(Self::Nowhere),
            _ => Err("write `file` or `none`".to_owned()),
        }
    }
}

impl fmt::Display for StorePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::Nowhere => "none",
        })
    }
}

/// The store that was asked for; without a word of it, `usual`, and none if that can't be had.
pub(crate) fn open(
    asked: Option<StorePlace>,
    usual: StorePlace,
) -> Result<Option<Arc<dyn SessionStore>>, Trouble> {
    if asked.unwrap_or(usual) == StorePlace::Nowhere {
        return Ok(None);
    }
    match FileStore::of_user() {
        Ok(store) => Ok(Some(Arc::new(store))),
        Err(error) if asked.is_some() => Err(trouble(error)),
        Err(error) => {
            tracing::info!(%error, "sessions are not shared with other commands");
            Ok(None)
        }
    }
}

pub(crate) fn trouble(error: StoreError) -> Trouble {
    let trouble = Trouble::unavailable(error.message);
    match error.hint {
        Some(hint) => trouble.with_hint(hint),
        None => trouble,
    }
}
