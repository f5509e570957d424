//! The few primitives that the concurrent parts stand on. The model checkers (`tests/models`)
//! include those parts with their own `sync` in the place of this one.

pub(crate) use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, RwLock,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

pub(crate) use arc_swap::{ArcSwap as Slot, Guard};
pub(crate) use tokio::{
    spawn,
    time::{sleep, timeout},
};
