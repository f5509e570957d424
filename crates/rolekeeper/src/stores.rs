//! *Where* one session is kept for many processes and hosts: a store gives all of them the session
//! that one of them has fetched.
//!
//! A store keeps sessions, and grants leases on asking a source for one. Who asks, who waits and
//! what happens when a store fails is decided in [`rolekeeper_core::Sharing`]: a store's trouble
//! never stops a fetch.
//!
//! | store | shares a session between |
//! |---|---|
//! | [`MemoryStore`] | several [`RefreshableCredentials`](crate::RefreshableCredentials) of a process |
//! | [`FileStore`] | the processes of a user on a machine |
#![cfg_attr(feature = "redis", doc = "| [`RedisStore`] | hosts |")]
//!
//! [`AwsCache`] is none of them: the AWS CLI's own folder, for who asks for it.

pub(crate) mod aws_cache;
mod file;
#[cfg(feature = "__fuzzing")]
pub(crate) mod fuzzing;
mod key;
mod memory;
mod named;
mod record;
#[cfg(feature = "redis")]
mod redis;
mod seal;
mod shared;

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use rolekeeper_core::{Failure, Fence, Issued, Lease};

#[cfg(feature = "redis")]
pub use self::redis::RedisStore;
pub use aws_cache::{AwsCache, AwsCacheKey};
pub use file::{Entry, FileStore, default_folder, default_key_file};
pub use key::{StoreKey, StoreKeyBuilder};
pub use memory::MemoryStore;
pub use named::open;
pub use seal::{Sealer, StoreSecret};
pub use shared::Shared;

/// What the calls of a [`SessionStore`] return.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Keeps sessions for many, each under the [key](StoreKey) of what it is made of.
///
/// Each call is given up when it takes longer than [`patience`](Self::patience).
pub trait SessionStore: fmt::Debug + Send + Sync + 'static {
    /// What messages call it: `/home/me/.cache/rolekeeper`, `redis://10.0.0.1`. Never with a
    /// password.
    fn name(&self) -> String;

    /// The session that was saved last, if there is one that can be read. What can't be read is put
    /// aside, not told as an error: it will be replaced.
    fn load<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Option<Stored>>;

    /// Grants the lease on asking the source, unless another has it, or a failure
    /// [cools](Self::cool). It ends after `limit`, if it isn't renewed.
    fn lease<'a>(&'a self, key: &'a StoreKey, limit: Duration) -> Answer<'a, Lease>;

    /// The lease goes on for `limit`; `false` if it has been granted to another since.
    fn renew<'a>(&'a self, key: &'a StoreKey, fence: Fence, limit: Duration) -> Answer<'a, bool>;

    /// Saves the session, ends the lease and tells of the change; `false`, and nothing happens, if
    /// the lease has been granted to another since.
    fn save<'a>(&'a self, key: &'a StoreKey, fence: Fence, issued: &'a Issued) -> Answer<'a, bool>;

    /// Ends the lease, and for `pause` whoever asks for it is told this failure; `false`, and nothing
    /// happens, if the lease has been granted to another since.
    fn cool<'a>(
        &'a self,
        key: &'a StoreKey,
        fence: Fence,
        failure: &'a Failure,
        pause: Duration,
    ) -> Answer<'a, bool>;

    /// Ends a lease of which nothing came, also when its errand is dropped: it doesn't block, and
    /// need not be done when it returns.
    fn release(&self, key: &StoreKey, fence: Fence);

    /// What [`load`](Self::load) would find, if that can be had at once, on the caller's own thread.
    /// By default nothing can.
    fn glance(&self, key: &StoreKey) -> Option<Stored> {
        let _ = key;
        None
    }

    /// Resolves when the session may have changed. By default never: the store is polled.
    fn changed<'a>(&'a self, key: &'a StoreKey) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        let _ = key;
        Box::pin(std::future::pending())
    }

    /// How often it is worth looking for a session that another is about to save.
    fn poll(&self) -> Duration;

    /// How long a call may take before the store counts as gone.
    fn patience(&self) -> Duration;
}

/// A session as a store has it.
#[derive(Clone, Debug)]
pub struct Stored {
    /// As its source issued it.
    pub issued: Issued,
    /// How long ago that was, by the store's clock.
    pub age: Duration,
}

/// A store that can't be used. It holds no secret, and no password of the store's.
#[derive(Clone, Debug)]
pub struct StoreError {
    /// What happened, as a lower-case fragment.
    pub message: String,
    /// What to do, where that is known.
    pub hint: Option<String>,
}

impl<S: SessionStore + ?Sized> SessionStore for Arc<S> {
    fn name(&self) -> String {
        (**self).name()
    }

    fn load<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Option<Stored>> {
        (**self).load(key)
    }

    fn lease<'a>(&'a self, key: &'a StoreKey, limit: Duration) -> Answer<'a, Lease> {
        (**self).lease(key, limit)
    }

    fn renew<'a>(&'a self, key: &'a StoreKey, fence: Fence, limit: Duration) -> Answer<'a, bool> {
        (**self).renew(key, fence, limit)
    }

    fn save<'a>(&'a self, key: &'a StoreKey, fence: Fence, issued: &'a Issued) -> Answer<'a, bool> {
        (**self).save(key, fence, issued)
    }

    fn cool<'a>(
        &'a self,
        key: &'a StoreKey,
        fence: Fence,
        failure: &'a Failure,
        pause: Duration,
    ) -> Answer<'a, bool> {
        (**self).cool(key, fence, failure, pause)
    }

    fn release(&self, key: &StoreKey, fence: Fence) {
        (**self).release(key, fence);
    }

    fn glance(&self, key: &StoreKey) -> Option<Stored> {
        (**self).glance(key)
    }

    fn changed<'a>(&'a self, key: &'a StoreKey) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        (**self).changed(key)
    }

    fn poll(&self) -> Duration {
        (**self).poll()
    }

    fn patience(&self) -> Duration {
        (**self).patience()
    }
}

// === impl StoreError ===

impl StoreError {
    /// What happened, as a lower-case fragment.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    /// What to do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for StoreError {}
