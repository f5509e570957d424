//! Ways in for the fuzz targets, to what reads bytes of others and is nobody else's to call. They exist
//! with the feature `__fuzzing`, and nowhere else.

use crate::stores::{StoreKey, StoreSecret};

pub use crate::stores::fuzzing::{address, aws_cache_entry, failure, opened, record, redis_answer};

/// The key that all targets use.
pub fn key() -> StoreKey {
    StoreKey::of("fuzzing").build()
}

/// The secret that all targets use.
pub fn secret() -> StoreSecret {
    StoreSecret::from_bytes([7; 32])
}
