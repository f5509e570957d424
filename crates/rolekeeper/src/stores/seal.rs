//! How a session is stored so that nobody reads or changes it who doesn't have the key: sealed with
//! XChaCha20-Poly1305, together with whose it is and which lease it was saved under. A record that is
//! moved to another session's place, or is put back later, doesn't open there.

mod keys;
mod secret;

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use rolekeeper_core::Fence;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{StoreError, StoreKey};

pub use secret::StoreSecret;

/// The first bytes of each record. Another form has another number.
const MAGIC: &[u8; 16] = b"rolekeeper seal1";
const KEY_ID: usize = 8;
const FENCE: usize = 8;
const NONCE: usize = 24;
const HEAD: usize = MAGIC.len() + KEY_ID + FENCE;

/// What a sealed text is about: one kind doesn't open as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Session,
    Failure,
}

/// Seals with one key, and opens with any of those it was given.
pub struct Sealer {
    keys: Vec<Key>,
}

struct Key {
    /// Names it in a record, and tells nothing of it.
    id: [u8; KEY_ID],
    cipher: XChaCha20Poly1305,
}

/// Why a record doesn't open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unopened {
    /// It is not one of ours, or of another version.
    Foreign,
    /// It was sealed with a key that isn't here.
    OtherKey,
    /// It was changed, cut short, or moved from another session's place.
    Damaged,
}

// === impl Sealer ===

impl Sealer {
    /// Seals and opens with this key.
    pub fn new(secret: &StoreSecret) -> Self {
        Self { keys: vec![Key::of(secret)] }
    }

    /// Opens also what was sealed with this one: while a key is being replaced, two are in use.
    #[must_use]
    pub fn also_opens_with(mut self, secret: &StoreSecret) -> Self {
        self.keys.push(Key::of(secret));
        self
    }

    pub(crate) fn seal(
        &self,
        kind: Kind,
        store_key: &StoreKey,
        fence: Fence,
        text: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        let key = &self.keys[0];
        let mut sealed = Vec::with_capacity(HEAD + NONCE + text.len() + 16);
        sealed.extend_from_slice(MAGIC);
        sealed.extend_from_slice(&key.id);
        sealed.extend_from_slice(&fence.0.to_le_bytes());
        // By chance: with 24 bytes no two are the same, however many processes seal.
        let mut nonce = [0_u8; NONCE];
        getrandom::fill(&mut nonce)
            .map_err(|error| StoreError::new(format!("the system has no random bytes: {error}")))?;
        let about = about(kind, store_key, &sealed);
        let payload = Payload { msg: text, aad: &about };
        let body = key
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| StoreError::new("the session is too large to be sealed"))?;
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&body);
        Ok(sealed)
    }

    pub(crate) fn open(
        &self,
        kind: Kind,
        store_key: &StoreKey,
        sealed: &[u8],
    ) -> Result<(Fence, Zeroizing<Vec<u8>>), Unopened> {
        let (head, rest) = sealed.split_at_checked(HEAD).ok_or(Unopened::Foreign)?;
        let head = head.strip_prefix(MAGIC).ok_or(Unopened::Foreign)?;
        let (id, fence) = head.split_at(KEY_ID);
        let fence = Fence(u64::from_le_bytes(fence.try_into().map_err(|_| Unopened::Foreign)?));
        let (nonce, body) = rest.split_at_checked(NONCE).ok_or(Unopened::Damaged)?;
        let nonce: [u8; NONCE] = nonce.try_into().map_err(|_| Unopened::Damaged)?;
        let key = self.keys.iter().find(|key| key.id == id).ok_or(Unopened::OtherKey)?;
        let about = about(kind, store_key, &sealed[..HEAD]);
        let payload = Payload { msg: body, aad: &about };
        let text = key.cipher.decrypt(&XNonce::from(nonce), payload);
        Ok((fence, Zeroizing::new(text.map_err(|_| Unopened::Damaged)?)))
    }
}

/// What is not secret, and is not to be changed.
fn about(kind: Kind, store_key: &StoreKey, head: &[u8]) -> Vec<u8> {
    let kind = match kind {
        Kind::Session => b's',
        Kind::Failure => b'f',
    };
    [head, store_key.as_bytes(), &[kind]].concat()
}

/// It says nothing.
impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer")
    }
}

// === impl Key ===

impl Key {
    fn of(secret: &StoreSecret) -> Self {
        let hash =
            Sha256::new_with_prefix("rolekeeper store key id\n").chain_update(secret.expose());
        let hash: [u8; 32] = hash.finalize().into();
        Self {
            id: std::array::from_fn(|at| hash[at]),
            cipher: XChaCha20Poly1305::new(secret.expose().into()),
        }
    }
}

// === impl Unopened ===

impl std::fmt::Display for Unopened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Foreign => "it is no record of this version",
            Self::OtherKey => "it was sealed with another key",
            Self::Damaged => "it was changed, or is another session's",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"the secret text";

    fn secret(byte: u8) -> StoreSecret {
        StoreSecret::from_bytes([byte; 32])
    }

    fn key(name: &str) -> StoreKey {
        StoreKey::of(name).build()
    }

    fn sealed() -> Vec<u8> {
        Sealer::new(&secret(1)).seal(Kind::Session, &key("a"), Fence(7), TEXT).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_with_its_fence_and_hides_its_text() {
        let (fence, text) =
            Sealer::new(&secret(1)).open(Kind::Session, &key("a"), &sealed()).unwrap();
        assert_eq!((fence, &**text), (Fence(7), TEXT));
        assert!(!sealed().windows(6).any(|window| window == b"secret"));
        assert_ne!(sealed(), sealed(), "each has a nonce of its own");
    }

    #[test]
    fn whatever_is_changed_it_does_not_open() {
        let (sealer, whole) = (Sealer::new(&secret(1)), sealed());
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert!(sealer.open(Kind::Session, &key("a"), &changed).is_err(), "byte {at}");
            assert!(sealer.open(Kind::Session, &key("a"), &whole[..at]).is_err(), "{at} bytes");
        }
        let longer = [&whole[..], b"x"].concat();
        assert_eq!(sealer.open(Kind::Session, &key("a"), &longer), Err(Unopened::Damaged));
    }

    #[test]
    fn it_opens_only_in_its_own_place_and_as_what_it_is() {
        let sealer = Sealer::new(&secret(1));
        let elsewhere = sealer.open(Kind::Session, &key("b"), &sealed());
        assert_eq!(elsewhere, Err(Unopened::Damaged));
        let as_failure = sealer.open(Kind::Failure, &key("a"), &sealed());
        assert_eq!(as_failure, Err(Unopened::Damaged));
    }

    #[test]
    fn a_key_is_replaced_while_both_are_in_use() {
        let new = Sealer::new(&secret(2));
        assert_eq!(new.open(Kind::Session, &key("a"), &sealed()), Err(Unopened::OtherKey));
        let both = Sealer::new(&secret(2)).also_opens_with(&secret(1));
        assert!(both.open(Kind::Session, &key("a"), &sealed()).is_ok());
        let sealed = both.seal(Kind::Session, &key("a"), Fence(8), TEXT).unwrap();
        assert!(new.open(Kind::Session, &key("a"), &sealed).is_ok());
    }
}
