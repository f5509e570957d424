//! The keys of a fleet as text: in a file that all hosts have, or in a variable.

use std::path::Path;

use zeroize::Zeroizing;

use super::{Sealer, StoreSecret};
use crate::{private_file, stores::StoreError};

/// What stands before a passphrase, so that a key that lacks a digit isn't taken for one.
const PASSPHRASE: &str = "passphrase:";

/// In a Kubernetes secret a group may read a file, and root has made it: only the rest of the world
/// is kept out.
const OTHERS: u32 = 0o007;

impl Sealer {
    /// One key a line: 64 hexadecimal digits, or `passphrase:` and at least 16 characters. Sessions
    /// are sealed with the first, and opened with any. Empty lines, and those that begin with `#`,
    /// are left out.
    ///
    /// To replace a key, first put the new one second on all hosts, then first, and then take the old
    /// one out.
    ///
    /// # Errors
    /// A line is something else, or there is no key. No error shows the text.
    pub fn from_text(text: &str) -> Result<Self, StoreError> {
        let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
        let keys = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let mut sealer: Option<Self> = None;
        for (number, line) in keys {
            let secret = match line.strip_prefix(PASSPHRASE) {
                Some(passphrase) => StoreSecret::from_passphrase(passphrase.trim()),
                None => StoreSecret::from_hex(line),
            };
            let secret = secret.map_err(|error| StoreError {
                message: format!("line {number}: {}", error.message),
                ..error
            })?;
            sealer = Some(match sealer {
                Some(sealer) => sealer.also_opens_with(&secret),
                None => Self::new(&secret),
            });
        }
        sealer.ok_or_else(|| {
            StoreError::new("there is no key in it").with_hint("make one: openssl rand -hex 32")
        })
    }

    /// [`from_text`](Self::from_text) of a file that not everybody may read.
    ///
    /// # Errors
    /// It can't be read, others than its owner and group may read it, or it holds no keys.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let about = |message: String| format!("the store's key {}: {message}", path.display());
        let unread = |error: std::io::Error| StoreError::new(about(error.to_string()));
        let text = std::fs::read_to_string(path).map(Zeroizing::new).map_err(unread)?;
        if let Some(mode) = private_file::mode(path).map_err(unread)?
            && mode & OTHERS != 0
        {
            let message = about(format!("everybody may read it (mode {mode:03o})"));
            return Err(StoreError::new(message)
                .with_hint("run chmod 600; of a Kubernetes secret, set defaultMode: 0440"));
        }
        Self::from_text(&text)
            .map_err(|error| StoreError { message: about(error.message), ..error })
    }
}

#[cfg(test)]
mod tests {
    use rolekeeper_core::Fence;

    use super::*;
    use crate::stores::{StoreKey, seal::Kind};

    const OLD: &str = "0101010101010101010101010101010101010101010101010101010101010101";
    const NEW: &str = "0202020202020202020202020202020202020202020202020202020202020202";

    fn opens(with: &Sealer, sealed_by: &Sealer) -> bool {
        let key = StoreKey::of("test").build();
        let sealed = sealed_by.seal(Kind::Session, &key, Fence(1), b"text").unwrap();
        with.open(Kind::Session, &key, &sealed).is_ok()
    }

    #[test]
    fn the_first_key_seals_and_all_open() {
        let old = Sealer::from_text(OLD).unwrap();
        let new = Sealer::from_text(&format!("{NEW}\n")).unwrap();
        let both = Sealer::from_text(&format!("# since May\n{NEW}\n\n  {OLD}\r\n")).unwrap();
        assert!(opens(&both, &old) && opens(&both, &new));
        assert!(opens(&new, &both) && !opens(&old, &both));
    }

    #[test]
    fn a_passphrase_is_a_key_too() {
        let text = "passphrase: the same on all hosts";
        let [one, other] = [text, text].map(|text| Sealer::from_text(text).unwrap());
        assert!(opens(&one, &other));
    }

    #[test]
    fn what_is_no_key_is_told_by_its_line_and_not_shown() {
        let short = &NEW[1..];
        for (text, why) in [
            ("", "there is no key"),
            ("# none\n", "there is no key"),
            (short, "line 1: a store key has 64 hexadecimal digits, not 63"),
            (&format!("{OLD}\nsecret-secret-secret\n"), "line 2: a store key has"),
            ("passphrase: too short", "line 1: the store's passphrase has 9 characters"),
        ] {
            let error = Sealer::from_text(text).unwrap_err();
            assert!(error.message.contains(why), "{error}");
            assert!(!error.message.contains("secret-") && error.hint.is_some(), "{error:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_key_file_that_everybody_may_read_is_refused() {
        use std::{fs, os::unix::fs::PermissionsExt};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fleet.key");
        fs::write(&path, NEW).unwrap();
        for (mode, is_taken) in [(0o600, true), (0o440, true), (0o644, false), (0o604, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let sealer = Sealer::from_file(&path);
            assert_eq!(sealer.is_ok(), is_taken, "{mode:o}");
            if let Err(error) = sealer {
                assert!(error.message.contains("everybody may read it"), "{error}");
            }
        }
    }
}
