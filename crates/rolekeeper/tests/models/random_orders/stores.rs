//! In the place of the library's `stores.rs`.

#[allow(dead_code, unreachable_pub, reason = "the library uses the rest")]
#[path = "../../../src/stores/memory.rs"]
mod memory;
#[allow(dead_code, unreachable_pub, reason = "the library uses the rest")]
#[path = "../../../src/stores/shared.rs"]
mod shared;

pub(super) use memory::MemoryStore;
use rolekeeper::stores::Answer;
pub(super) use rolekeeper::stores::{SessionStore, StoreError, StoreKey, Stored};
pub(super) use shared::Shared;
