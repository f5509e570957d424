//! A store of this process.

use std::{collections::HashMap, time::Duration};

use rolekeeper_core::{Failure, Fence, Issued, Lease, Slot};
use tokio::sync::Notify;

use super::{Answer, SessionStore, StoreKey, Stored};
use crate::{
    Clock,
    sync::{Arc, Mutex, PoisonError},
};

/// Keeps sessions in memory, for whatever shares this value: several
/// [`RefreshableCredentials`](crate::RefreshableCredentials) for the same role, and tests. Clones
/// are the same store.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    clock: Clock,
    slots: Mutex<HashMap<StoreKey, Slot>>,
    changed: Notify,
}

// === impl MemoryStore ===

impl MemoryStore {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same by another clock.
    pub fn with_clock(clock: Clock) -> Self {
        Self(Arc::new(Inner { clock, ..Inner::default() }))
    }

    /// One verb, which never waits.
    fn with<T: Send + 'static>(
        &self,
        key: &StoreKey,
        verb: impl FnOnce(&mut Slot, rolekeeper_core::Elapsed) -> T,
    ) -> Answer<'static, T> {
        let now = self.0.clock.now().elapsed;
        let mut slots = self.0.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let result = verb(slots.entry(*key).or_default(), now);
        Box::pin(std::future::ready(Ok(result)))
    }

    /// One that the others are told of.
    fn change<T: Send + 'static>(
        &self,
        key: &StoreKey,
        verb: impl FnOnce(&mut Slot, rolekeeper_core::Elapsed) -> T,
    ) -> Answer<'static, T> {
        let answer = self.with(key, verb);
        self.0.changed.notify_waiters();
        answer
    }
}

impl SessionStore for MemoryStore {
    fn name(&self) -> String {
        "memory".to_owned()
    }

    fn load<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Option<Stored>> {
        let wall = self.0.clock.now().wall;
        self.with(key, |slot, now| {
            slot.load(now).map(|(issued, age)| {
                // A machine that is paused stops its elapsed clock.
                let arrived = issued.arrived.as_deref();
                let by_wall = arrived.map_or(Duration::ZERO, |then| wall.since(then.wall));
                Stored { issued: issued.clone(), age: age.max(by_wall) }
            })
        })
    }

    fn lease<'a>(&'a self, key: &'a StoreKey, limit: Duration) -> Answer<'a, Lease> {
        self.with(key, |slot, now| slot.lease(now, limit))
    }

    fn renew<'a>(&'a self, key: &'a StoreKey, fence: Fence, limit: Duration) -> Answer<'a, bool> {
        self.with(key, |slot, now| slot.renew(now, fence, limit))
    }

    fn save<'a>(&'a self, key: &'a StoreKey, fence: Fence, issued: &'a Issued) -> Answer<'a, bool> {
        self.change(key, |slot, now| slot.save(now, fence, issued.clone()))
    }

    fn cool<'a>(
        &'a self,
        key: &'a StoreKey,
        fence: Fence,
        failure: &'a Failure,
        pause: Duration,
    ) -> Answer<'a, bool> {
        self.change(key, |slot, now| slot.cool(now, fence, failure.clone(), pause))
    }

    fn release(&self, key: &StoreKey, fence: Fence) {
        drop(self.change(key, |slot, _| slot.release(fence)));
    }

    fn changed<'a>(
        &'a self,
        _: &'a StoreKey,
    ) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(self.0.changed.notified())
    }

    /// It tells of changes: only one between a look and the wait for it is found this way.
    fn poll(&self) -> Duration {
        Duration::from_millis(50)
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(1)
    }
}
