//! Models of the concurrent parts. The sources themselves are included, with other primitives under them:
//! `loom` tries every order of the lock-free parts' steps, `shuttle` many random ones of the refresher's, the
//! readers' and the lock's.

mod every_order;
mod random_orders;
