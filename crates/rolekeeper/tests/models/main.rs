//! Models of the concurrent parts. The sources themselves are included, with other primitives under
//! them: `loom` tries every order of the lock-free parts' steps, `shuttle` many random ones of the
//! refresher's, the readers', the keyring's, the pace's and the store's.

#![allow(clippy::duplicate_mod, reason = "one source over two kinds of primitives")]
#![allow(clippy::unwrap_used, reason = "a test's helpers are tests too")]

mod every_order;
mod random_orders;

// What files further down in the library's folders call the crate's own.
use random_orders::{Clock, futures, sync};
use rolekeeper::{Source, sources};
