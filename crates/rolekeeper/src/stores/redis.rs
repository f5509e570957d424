//! The store of a fleet: a Redis, or Valkey, that hosts share.
//!
//! A lease is a key with an end of its own: its holder renews it, and when the holder dies it ends
//! by Redis' clock. Records are sealed before they leave the process: whoever reads or copies what
//! Redis has gets no session. Who can *write* to Redis can take a session away, keep all from getting
//! the lease for a while, or put an older record of the same session back, as long as that one lives:
//! its fence is bound into it, but which fence was the last only Redis knows.

mod address;
mod connect;
mod link;
mod news;
mod scripts;
mod tls;
mod trouble;

use std::{
    collections::BTreeSet,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ::redis::{Cmd, FromRedisValue, Value, from_redis_value};
use rolekeeper_core::{Failure, Fence, Issued, Lease, Moment};
use tokio::runtime::Handle;

use super::{
    Answer, Sealer, SessionStore, StoreError, StoreKey, Stored,
    record::{Record, failure_of_text, failure_to_text},
    seal::Kind,
};
use crate::Clock;
use address::Address;
use link::Link;

/// How long anybody waits for a Redis, which answers within a millisecond or two where it is well: a
/// reader without a session waits for this before the source is asked without it. Where hundreds of
/// processes begin at once on a few cores, a good answer may be read this late.
const PATIENCE: Duration = Duration::from_millis(1000);

/// A call's own end, connecting included. It is a little sooner than that of who waits for it, so
/// that the connection is known to be bad.
const LIMIT: Duration = Duration::from_millis(950);

/// How often those who wait look, should a message be lost.
const POLL: Duration = Duration::from_millis(300);

/// A session stays this much longer than it lives: clocks differ.
const MARGIN: Duration = Duration::from_mins(1);

/// What a session takes is some 3 kB; what is larger is none.
const LARGEST: usize = 64 * 1024;

/// No failure is told for longer, whatever Redis says.
const LONGEST_COOLING: Duration = Duration::from_mins(5);

/// Sessions in a Redis that hosts share, each sealed. Clones are the same store.
///
/// ```no_run
/// # fn example() -> Result<(), rolekeeper::stores::StoreError> {
/// use rolekeeper::stores::{RedisStore, Sealer, StoreSecret};
///
/// let key = StoreSecret::from_passphrase("the same on all hosts of the fleet")?;
/// let store = RedisStore::open("rediss://fleet:password@redis.internal:6379", Sealer::new(&key))?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct RedisStore(Arc<Inner>);

struct Inner {
    link: Link,
    sealer: Sealer,
    clock: Clock,
    /// Why records could not be read, each told once.
    told: Mutex<BTreeSet<String>>,
}

/// What an address is told as, or why it is none.
#[cfg(feature = "__fuzzing")]
pub(super) fn address_of(text: &str) -> Result<String, String> {
    match Address::parse(text) {
        Ok(address) => Ok(address.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// What an answer is taken for, to whichever question it comes.
#[cfg(feature = "__fuzzing")]
pub(super) fn read_answer(sealer: Sealer, key: &StoreKey, answer: &[u8]) {
    let store = RedisStore::open("redis://127.0.0.1", sealer);
    let (Ok(store), Ok(value)) = (store, ::redis::parse_redis_value(answer)) else { return };
    let (store, limit) = (&store.0, Duration::from_secs(60));
    if let Ok(Some((sealed, age))) = store.read::<Option<(Vec<u8>, u64)>>(value.clone()) {
        assert!(store.opened(key, &sealed, age).is_none());
    }
    let leased = store.read(value.clone()).and_then(|parts| store.lease_of(key, limit, parts));
    match leased {
        Ok(Lease::Taken { left }) => assert!(left.is_none_or(|left| left <= limit)),
        Ok(Lease::Cooling { .. }) => panic!("a failure that nobody with the key has told"),
        Ok(_) | Err(_) => {}
    }
    let _ = store.read::<bool>(value);
}

// === impl RedisStore ===

impl RedisStore {
    /// No connection is made yet. The address is one of
    ///
    /// - `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]`,
    /// - `redis+sentinel://[USER:PASSWORD@]HOST:PORT,HOST:PORT/MASTER[/DATABASE]`,
    /// - `redis+cluster://[USER:PASSWORD@]HOST:PORT,HOST:PORT`,
    ///
    /// with `rediss` in place of `redis` for TLS, by the system's roots and those in the file of
    /// `?ca=PATH`. A password alone is written `:PASSWORD@`. Redis 6 or newer, or Valkey.
    ///
    /// # Errors
    /// It is no such address. The error doesn't show user and password.
    pub fn open(address: &str, sealer: Sealer) -> Result<Self, StoreError> {
        Self::with(address, sealer, Clock::System)
    }

    /// The same with another clock: for what is left of a session whose issuer tells no time, and for
    /// how long a connection is idle.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn with(address: &str, sealer: Sealer, clock: Clock) -> Result<Self, StoreError> {
        let link = Link::to(Address::parse(address)?, clock.clone());
        let told = Mutex::default();
        Ok(Self(Arc::new(Inner { link, sealer, clock, told })))
    }
}

impl SessionStore for RedisStore {
    fn name(&self) -> String {
        self.0.link.address.to_string()
    }

    fn load<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Option<Stored>> {
        Box::pin(async {
            let found: Option<(Vec<u8>, u64)> = self.0.ask(&scripts::load(key)).await?;
            let stored = found.and_then(|(sealed, age)| self.0.opened(key, &sealed, age));
            Ok(stored)
        })
    }

    fn lease<'a>(&'a self, key: &'a StoreKey, limit: Duration) -> Answer<'a, Lease> {
        Box::pin(async move {
            let parts: Vec<Value> = self.0.ask(&scripts::lease(key, limit)).await?;
            self.0.lease_of(key, limit, parts)
        })
    }

    fn renew<'a>(&'a self, key: &'a StoreKey, fence: Fence, limit: Duration) -> Answer<'a, bool> {
        Box::pin(async move { self.0.ask(&scripts::renew(key, fence, limit)).await })
    }

    fn save<'a>(&'a self, key: &'a StoreKey, fence: Fence, issued: &'a Issued) -> Answer<'a, bool> {
        Box::pin(async move {
            let (age, kept) = placed(issued, self.0.clock.now());
            let text = Record { issued: issued.clone(), arrived: None }.to_text();
            let sealed = self.0.sealer.seal(Kind::Session, key, fence, &text)?;
            self.0.ask(&scripts::save(key, fence, &sealed, age, kept)).await
        })
    }

    fn cool<'a>(
        &'a self,
        key: &'a StoreKey,
        fence: Fence,
        failure: &'a Failure,
        pause: Duration,
    ) -> Answer<'a, bool> {
        Box::pin(async move {
            let text = failure_to_text(failure);
            let sealed = self.0.sealer.seal(Kind::Failure, key, fence, &text)?;
            self.0.ask(&scripts::cool(key, fence, &sealed, pause)).await
        })
    }

    /// Where no runtime is left to do it in, the lease ends by itself.
    fn release(&self, key: &StoreKey, fence: Fence) {
        let Ok(runtime) = Handle::try_current() else { return };
        let (inner, command) = (Arc::clone(&self.0), scripts::release(key, fence));
        runtime.spawn(async move { inner.link.call(&command).await });
    }

    fn changed<'a>(&'a self, key: &'a StoreKey) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async { self.0.link.changed(&scripts::channel(key)).await })
    }

    fn poll(&self) -> Duration {
        POLL
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisStore").field(&self.0.link.address).finish()
    }
}

// === impl Inner ===

impl Inner {
    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        self.read(self.link.call(command).await?)
    }

    fn read<T: FromRedisValue>(&self, value: Value) -> Result<T, StoreError> {
        from_redis_value(value).map_err(|_| self.strange())
    }

    fn strange(&self) -> StoreError {
        let address = &self.link.address;
        StoreError::new(format!("{address} gave an answer that makes no sense"))
            .with_hint("check that nobody else writes keys that begin with `rolekeeper:`")
    }

    /// What is no record is no session: it will be replaced.
    fn opened(&self, key: &StoreKey, sealed: &[u8], age: u64) -> Option<Stored> {
        if sealed.len() > LARGEST {
            return self.unread(key, format!("it has more than {} kB", LARGEST / 1024));
        }
        let text = match self.sealer.open(Kind::Session, key, sealed) {
            Ok((_, text)) => text,
            Err(why) => return self.unread(key, why.to_string()),
        };
        match Record::of_text(&text) {
            Some(Record { issued, .. }) => Some(Stored { issued, age: Duration::from_millis(age) }),
            None => self.unread(key, "it makes no sense".to_owned()),
        }
    }

    /// Each reason once: while a key is being replaced, it is so of every record.
    fn unread(&self, key: &StoreKey, why: String) -> Option<Stored> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if !told.contains(&why) {
            let store = &self.link.address;
            tracing::warn!(%store, %key, why, "left aside what is no session of this store");
            told.insert(why);
        }
        None
    }

    fn lease_of(
        &self,
        key: &StoreKey,
        limit: Duration,
        parts: Vec<Value>,
    ) -> Result<Lease, StoreError> {
        let mut parts = parts.into_iter();
        let mut part = || parts.next().ok_or_else(|| self.strange());
        match self.read(part()?)? {
            0 => Ok(Lease::Granted(Fence(self.read(part()?)?))),
            1 => {
                let left = Duration::from_millis(self.read(part()?)?);
                // One that nobody has asked for so long is not believed to end.
                Ok(Lease::Taken { left: Some(left).filter(|left| *left <= limit) })
            }
            2 => {
                let left = Duration::from_millis(self.read(part()?)?).min(LONGEST_COOLING);
                let sealed: Vec<u8> = self.read(part()?)?;
                let failure = self.failure_in(key, &sealed)?;
                Ok(Lease::Cooling { failure, left })
            }
            _ => Err(self.strange()),
        }
    }

    fn failure_in(&self, key: &StoreKey, sealed: &[u8]) -> Result<Failure, StoreError> {
        let unread = |why: String| {
            let address = &self.link.address;
            StoreError::new(format!("cannot read the failure that {address} tells of: {why}"))
                .with_hint("give all hosts the same key")
        };
        let opened = self.sealer.open(Kind::Failure, key, sealed);
        let (_, text) = opened.map_err(|why| unread(why.to_string()))?;
        failure_of_text(&text).ok_or_else(|| unread("it makes no sense".to_owned()))
    }
}

/// How long ago the issuer answered, and for how long the session is kept: what is left of it by the
/// issuer's clock, or else by this one, and a little more.
fn placed(issued: &Issued, now: Moment) -> (Duration, Duration) {
    // A machine that is paused stops its elapsed clock.
    let by_both = |then: &Moment| now.elapsed.since(then.elapsed).max(now.wall.since(then.wall));
    let age = issued.arrived.as_deref().map_or(Duration::ZERO, by_both);
    let begun = issued.issued_at.unwrap_or(now.before(age).wall);
    (age, issued.expiration.since(begun).saturating_sub(age) + MARGIN)
}
