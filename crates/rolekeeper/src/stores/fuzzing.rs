//! What a store reads, for the fuzz targets.

use super::{
    Sealer, StoreKey, aws_cache,
    record::{Record, failure_of_text, failure_to_text},
    seal::Kind,
};

/// Reads what was unsealed as a session. What makes sense is written so that it is read the same.
pub fn record(text: &[u8]) -> bool {
    let Some(read) = Record::of_text(text) else { return false };
    let written = read.to_text();
    let again = Record::of_text(&written).map(|again| again.to_text());
    assert_eq!(again.as_deref(), Some(&*written));
    true
}

/// The same of a failure that others are told of.
pub fn failure(text: &[u8]) -> bool {
    let Some(read) = failure_of_text(text) else { return false };
    let written = failure_to_text(&read);
    assert_eq!(failure_of_text(&written).as_ref(), Some(&read));
    true
}

/// The same of a session in the AWS CLI's cache.
pub fn aws_cache_entry(text: &[u8]) -> bool {
    let Some(read) = aws_cache::read(text) else { return false };
    let written = aws_cache::write(&read, read.expiration);
    let again = aws_cache::read(&written);
    assert_eq!(again.as_ref(), Some(&read));
    true
}

/// Whether somebody without the key has made what opens.
pub fn opened(sealer: &Sealer, key: &StoreKey, sealed: &[u8]) -> bool {
    [Kind::Session, Kind::Failure].iter().any(|kind| sealer.open(*kind, key, sealed).is_ok())
}

/// Reads an address of a Redis: what it is told as, or why it is none.
#[cfg(feature = "redis")]
pub fn address(text: &str) -> Result<String, String> {
    super::redis::address_of(text)
}

/// Without the feature there are none.
#[cfg(not(feature = "redis"))]
pub fn address(_: &str) -> Result<String, String> {
    Err("without the feature `redis`".to_owned())
}

/// Reads what a Redis answers to each question. Nothing in it that nobody with the key has made is a
/// session, or a failure.
#[cfg(feature = "redis")]
pub fn redis_answer(sealer: Sealer, key: &StoreKey, answer: &[u8]) {
    super::redis::read_answer(sealer, key, answer);
}

/// Without the feature there are none.
#[cfg(not(feature = "redis"))]
pub fn redis_answer(_: Sealer, _: &StoreKey, _: &[u8]) {}
