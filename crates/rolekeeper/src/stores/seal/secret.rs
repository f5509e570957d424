//! The key that records are sealed with, and where it comes from.
//!
//! A key file is the one place by default. The kernel's keyring is not used: on Linux each login
//! and each service has a session keyring of its own, so that two processes of one user would have
//! different keys, and containers often have none.

use std::{fmt, fs, io, path::Path};

use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{private_file, stores::StoreError};

const BYTES: usize = 32;

/// 32 random bytes, or as good. `Debug` says nothing.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct StoreSecret([u8; BYTES]);

/// What OWASP's cheat sheet for passwords has for Argon2id where memory is short: 19 MiB, twice
/// over.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;

/// The same for all: hosts that know the passphrase, and nothing of each other, have the same key.
/// A salt of each store's own would keep two stores apart that have the same passphrase.
const SALT: &[u8] = b"rolekeeper store passphrase 1";

/// Short ones are found by trying.
const SHORTEST_PASSPHRASE: usize = 16;

// === impl StoreSecret ===

impl StoreSecret {
    /// These very bytes.
    pub fn from_bytes(bytes: [u8; BYTES]) -> Self {
        Self(bytes)
    }

    /// New ones.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn random() -> Result<Self, StoreError> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes)
            .map_err(|error| StoreError::new(format!("the system has no random bytes: {error}")))?;
        Ok(Self(bytes))
    }

    /// 64 hexadecimal digits, such as `openssl rand -hex 32` prints.
    ///
    /// # Errors
    /// It is something else. What it is isn't told.
    pub fn from_hex(text: &str) -> Result<Self, StoreError> {
        let text = text.trim();
        let wrong = || {
            StoreError::new(format!(
                "a store key has 64 hexadecimal digits, not {} characters",
                text.chars().count()
            ))
            .with_hint("make one: openssl rand -hex 32")
        };
        let mut bytes = [0; BYTES];
        if text.len() != 2 * BYTES || !text.is_ascii() {
            return Err(wrong());
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }

    /// By Argon2id, so that trying one passphrase takes some 20 ms.
    ///
    /// # Errors
    /// It has fewer than 16 characters.
    pub fn from_passphrase(passphrase: &str) -> Result<Self, StoreError> {
        let count = passphrase.chars().count();
        if count < SHORTEST_PASSPHRASE {
            return Err(StoreError::new(format!(
                "the store's passphrase has {count} characters, fewer than {SHORTEST_PASSPHRASE}"
            ))
            .with_hint("take a longer one, or a key: openssl rand -hex 32"));
        }
        let mut bytes = [0; BYTES];
        let cannot = |error: argon2::Error| StoreError::new(format!("no key by Argon2id: {error}"));
        let params = Params::new(MEMORY_KIB, PASSES, 1, Some(BYTES)).map_err(cannot)?;
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.as_bytes(), SALT, &mut bytes)
            .map_err(cannot)?;
        Ok(Self(bytes))
    }

    /// The key in this file. Without one a new key is put there, for this user alone; of hundreds who
    /// begin at once, all have the same.
    ///
    /// # Errors
    /// It can't be read or made, others may read it, or it holds no key.
    pub fn from_file(path: &Path) -> Result<Self, StoreError> {
        let cannot = |what: &str, error: &io::Error| {
            StoreError::new(format!("cannot {what} the store's key {}: {error}", path.display()))
        };
        for _ in 0..2 {
            match fs::read_to_string(path).map(Zeroizing::new) {
                Ok(text) => {
                    private_file::check_privacy(path).map_err(|error| cannot("use", &error))?;
                    return Self::from_hex(&text).map_err(|error| StoreError {
                        message: format!("{}: {}", path.display(), error.message),
                        hint: Some(
                            "remove it: a new one is made, and what it sealed is fetched again"
                                .to_owned(),
                        ),
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    Self::random()?.put(path).map_err(|error| cannot("make", &error))?;
                }
                Err(error) => return Err(cannot("read", &error)),
            }
        }
        Err(StoreError::new(format!("the store's key {} vanishes", path.display())))
    }

    /// Into its place whole, and only if there is none.
    fn put(&self, path: &Path) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            private_file::folder(folder)?;
        }
        let temporary = private_file::beside(path)?;
        let mut text = Zeroizing::new(String::with_capacity(2 * BYTES + 1));
        for byte in self.0 {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
            }
        }
        text.push('\n');
        let made = private_file::create(&temporary, text.as_bytes())
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::hard_link(&temporary, path));
        let _ = fs::remove_file(&temporary);
        match made {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            // Another came first: its key it is.
            _ => Ok(()),
        }
    }

    pub(super) fn expose(&self) -> &[u8; BYTES] {
        &self.0
    }
}

impl fmt::Debug for StoreSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreSecret")
    }
}
