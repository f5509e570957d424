//! The primitives that the included parts stand on: those of the library, but for std's locks, in
//! whose ready-made code ThreadSanitizer would not see the order that they bring.

use std::sync::LockResult;
pub(crate) use std::sync::{
    Arc, PoisonError,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

pub(crate) use arc_swap::{ArcSwap as Slot, Guard};
pub(crate) use parking_lot::MutexGuard;
pub(crate) use tokio::spawn;

pub(crate) use crate::world::sleep;

#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(parking_lot::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(parking_lot::Mutex::new(value))
    }

    /// It knows no poison.
    pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        Ok(self.0.lock())
    }
}
