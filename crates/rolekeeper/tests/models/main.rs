//! Models of the concurrent parts. The sources themselves are included, with other primitives under
//! them: `loom` tries every order of the lock-free parts' steps, `shuttle` many random ones of the
//! refresher's, the readers' and the lock's.

#![allow(clippy::duplicate_mod, reason = "one source over two kinds of primitives")]
#![allow(clippy::unwrap_used, reason = "a test's helpers are tests too")]

mod every_order;
mod random_orders;
