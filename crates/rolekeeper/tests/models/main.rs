//! Models of the concurrent parts. The sources themselves are included, with other primitives under
//! them: `loom` tries every order of the lock-free parts' steps, `shuttle` many random ones of the
//! refresher's, the readers', the keyring's, the pace's and the store's.
//!
//! | what | with what | for what |
//! |---|---|---|
//! | cell, fast lane | loom: every order with up to three preemptions, every value that a load may see | a session past its end, an older one after a newer one, a distance of another note |
//! | engine, refresher, readers, rejections, lost runtimes, shutdowns, last handles | shuttle: 1,000 orders by each of three policies | a wake-up that is lost, two fetches at a time, somebody who stays at work |
//! | keyring, pace | the same | a role made twice, a pace that is not kept, somebody who waits for a turn for ever |
//! | two who share a store | the same | a source asked twice, a lease that nobody ends |
//! | the same parts but for the keyring and stores, on real threads, with the real `ArcSwap` and tokio | ThreadSanitizer: `cargo xtask races`, which says what it can't see | races in what they stand on |
//! | what is left behind by ten million reads and ten thousand refreshes | heaptrack: `cargo xtask leaks` | leaks |
//! | forks | real ones: `crates/python/tests/test_fork.py` | locks that stay locked in a child |
//!
//! In place of `ArcSwap` stands what it promises, in place of `refreshable.rs` a shell that does the
//! same by shuttle's means; how often an `Arc` is held is no part of any model.

#![allow(clippy::duplicate_mod, reason = "one source over two kinds of primitives")]
#![allow(clippy::unwrap_used, reason = "a test's helpers are tests too")]

mod every_order;
mod random_orders;

// What files further down in the library's folders call the crate's own.
use random_orders::{Clock, futures, sync};
use rolekeeper::{Source, sources};
