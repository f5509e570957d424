//! shuttle's primitives by the names that the engine knows. The session type is the core's and comes in
//! std's `Arc`, whose counts are no part of these models.

use std::ops::Deref;
pub(crate) use std::sync::{Arc, PoisonError};


pub(crate) use shuttle::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
};

/// What `ArcSwapOption` promises: each load gives what some store put there, in one piece.
pub(crate) struct Slot<T>(Mutex<Option<Arc<T>>>);

pub(crate) struct Guard<T>(T);

impl<T> Slot<T> {
    pub(crate) fn const_empty() -> Self {
        Self(Mutex::new(None))
    }

    pub(crate) fn load(&self) -> Guard<Option<Arc<T>>> {
        Guard(self.0.lock().unwrap().clone())
    }

    pub(crate) fn store(&self, value: Option<Arc<T>>) {
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
