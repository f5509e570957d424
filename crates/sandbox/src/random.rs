//! Decides what freshly made ids, keys and tokens look like: AWS' shapes, from the system's own
//! randomness.

use std::io;

use base64ct::{Base64, Encoding};
use sha2::{Digest, Sha256};

const ID_LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

pub(crate) fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0_u8; N];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

/// A temporary key's id: `ASIA` and 16 letters.
pub(crate) fn session_key_id() -> io::Result<String> {
    Ok(letters("ASIA", &bytes::<16>()?))
}

/// A secret key: 40 characters.
pub(crate) fn secret_key() -> io::Result<String> {
    Ok(Base64::encode_string(&bytes::<30>()?))
}

/// A session token: opaque, and longer than a careless reader's buffer.
pub(crate) fn session_token() -> io::Result<String> {
    Ok(format!("IQoJb3JpZ2luX2Vj{}", Base64::encode_string(&bytes::<279>()?)))
}

/// The bearer token of the admin endpoints.
pub(crate) fn admin_token() -> io::Result<String> {
    use std::fmt::Write;
    let mut token = String::with_capacity(64);
    for byte in bytes::<32>()? {
        let _ = write!(token, "{byte:02x}");
    }
    Ok(token)
}

/// The id of something with a name (`AROA…`, `AIDA…`): the same in every run.
pub(crate) fn stable_id(prefix: &str, name: &str) -> String {
    letters(prefix, &Sha256::digest(name.as_bytes())[..17])
}

fn letters(prefix: &str, bytes: &[u8]) -> String {
    let letters = bytes.iter().map(|byte| char::from(ID_LETTERS[usize::from(byte % 32)]));
    prefix.chars().chain(letters).collect()
}
