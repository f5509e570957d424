//! shuttle's primitives by the names that the included parts know. The session type is the core's
//! and comes in std's `Arc`, whose counts are no part of these models.

pub(crate) use std::sync::{Arc, PoisonError};
use std::{
    future::Future,
    ops::{Deref, DerefMut},
    pin::pin,
    sync::LockResult,
    time::Duration,
};

pub(crate) use shuttle::sync::{
    RwLock,
    atomic::{AtomicBool, Ordering},
};
use shuttle::{sync, thread};

use super::futures::race;
pub(crate) use super::time::{sleep, spawn};

/// shuttle's, with others getting their turn after the unlocking too.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(sync::Mutex<T>);

pub(crate) struct MutexGuard<'a, T>(Option<sync::MutexGuard<'a, T>>);

/// What `ArcSwap` promises: each load gives what some store put there, in one piece.
pub(crate) struct Slot<T>(Mutex<Arc<T>>);

pub(crate) struct Guard<T>(T);

/// As tokio's; its error has no name here.
pub(crate) async fn timeout<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T, ()> {
    race(pin!(work), sleep(limit)).await.ok_or(())
}

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

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        Ok(MutexGuard(Some(self.0.lock().unwrap_or_else(PoisonError::into_inner))))
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().unwrap()
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().unwrap()
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        drop(self.0.take());
        if !std::thread::panicking() {
            thread::yield_now();
        }
    }
}
