//! Who is the same: a store's key is the hash of everything that makes a session.

use std::fmt;

use sha2::{Digest, Sha256};

/// Under which a session is stored: two sources with the same key make the same session, and two
/// that differ in anything have different ones.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreKey([u8; 32]);

/// Makes a [`StoreKey`] of named parts. Each part is hashed with its name and its length, so that no
/// two lists of parts run into the same bytes.
#[derive(Clone)]
pub struct StoreKeyBuilder(Sha256);

// === impl StoreKey ===

impl StoreKey {
    /// Of a session of this kind, such as `AssumeRole`.
    pub fn of(kind: &str) -> StoreKeyBuilder {
        StoreKeyBuilder(Sha256::new_with_prefix("rolekeeper store key 1\n")).with("kind", kind)
    }

    /// What [`Display`](fmt::Display) writes.
    pub(super) fn of_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// The hash.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// 64 hexadecimal digits.
impl fmt::Display for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreKey({self})")
    }
}

// === impl StoreKeyBuilder ===

impl StoreKeyBuilder {
    /// One thing more that the session depends on. A secret may be a part: only its hash is kept.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        for bytes in [name.as_bytes(), value.as_ref()] {
            self.0.update((bytes.len() as u64).to_le_bytes());
            self.0.update(bytes);
        }
        self
    }

    /// One that may be missing, which is not the same as empty.
    #[must_use]
    pub fn with_option(self, name: &str, value: Option<impl AsRef<[u8]>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self.with("none", name),
        }
    }

    /// The key of all of it.
    pub fn build(self) -> StoreKey {
        StoreKey(self.0.finalize().into())
    }
}

impl fmt::Debug for StoreKeyBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKeyBuilder")
    }
}
