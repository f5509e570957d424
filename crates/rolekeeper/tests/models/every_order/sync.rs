//! loom's primitives by the names that the cell and the lane know. The session type is the core's
//! and comes in std's `Arc`, whose counts are no part of these models.

use std::ops::Deref;
pub(crate) use std::sync::Arc;

use loom::sync::Mutex;
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// What `ArcSwap` promises: each load gives what some store put there, in one piece.
pub(crate) struct Slot<T>(Mutex<Arc<T>>);

pub(crate) struct Guard<T>(T);

impl<T> Slot<T> {
    pub(crate) fn from_pointee(value: T) -> Self {
        Self(Mutex::new(Arc::new(value)))
    }

    pub(crate) fn load(&self) -> Guard<Arc<T>> {
        Guard(self.0.lock().unwrap().clone())
    }

    pub(crate) fn store(&self, value: Arc<T>) {
        *self.0.lock().unwrap() = value;
    }
}

impl<T> Guard<T> {
    pub(crate) fn from_inner(value: T) -> Self {
        Self(value)
    }
}

impl<T> Deref for Guard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
