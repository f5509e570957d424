//! Many roles by key: each made once however many ask at the same time, all refreshed at one pace.

use std::{
    collections::HashMap,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    num::NonZeroU32,
};

use rolekeeper_core::RefreshPolicy;

use super::{
    Clock, RefreshableCredentials, Source,
    pace::{DEFAULT_PACE, Pace},
    refreshable::Builder,
    stores::SessionStore,
    sync::{Arc, PoisonError, RwLock},
};

/// Credentials for many roles.
///
/// Look a role up once and keep its handle: a handle is read without a lock, the lookup takes a
/// short one.
///
/// ```
/// use rolekeeper::{Credentials, Failure, Issued, Keyring, WallTime, sources::Callback};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let keyring = Keyring::new();
/// let audit = keyring.get_or_insert("audit", || {
///     Callback::new("audit", || async {
///         Ok::<_, Failure>(Issued::new(
///             Credentials::new("ASIAAUDIT", "secret", "token"),
///             WallTime::from_unix_secs(4_102_444_800),
///         ))
///     })
/// });
/// assert_eq!(audit.get().await?.access_key_id(), "ASIAAUDIT");
/// assert_eq!(keyring.len(), 1);
/// # Ok::<(), rolekeeper::Error>(())
/// # }).unwrap();
/// ```
pub struct Keyring<K> {
    keys: RwLock<HashMap<K, RefreshableCredentials>>,
    policy: Arc<RefreshPolicy>,
    clock: Clock,
    pace: Arc<Pace>,
    store: Option<Arc<dyn SessionStore>>,
    seed: Option<u64>,
}

impl<K: Eq + Hash> Keyring<K> {
    /// An empty one: the default policy, 50 fetches a second for each account.
    pub fn new() -> Self {
        Self {
            keys: RwLock::default(),
            policy: Arc::default(),
            clock: Clock::default(),
            pace: Arc::new(Pace::new(DEFAULT_PACE)),
            store: None,
            seed: None,
        }
    }

    /// When its roles are refreshed, and when they are let go ([`RefreshPolicy::with_idle_after`]).
    #[must_use]
    pub fn with_policy(mut self, policy: RefreshPolicy) -> Self {
        self.policy = Arc::new(policy);
        self
    }

    /// Which clocks it goes by. Default: this machine's.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// At most so many fetches a second for one account. STS allows 600 for an account and Region,
    /// for everything in it. Default: 50.
    #[must_use]
    pub fn with_pace(mut self, per_second: NonZeroU32) -> Self {
        self.pace = Arc::new(Pace::new(per_second));
        self
    }

    /// Shares its roles' sessions with all who have this store. Default: with nobody.
    #[must_use]
    pub fn with_store(mut self, store: Arc<dyn SessionStore>) -> Self {
        self.store = Some(store);
        self
    }

    /// Decides the jitter of each of its roles, for runs that can be repeated. Default: random.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The credentials under `key`, made from `source` if there are none yet. However many ask at
    /// the same time, `source` is called once.
    pub fn get_or_insert<S: Source>(
        &self,
        key: K,
        source: impl FnOnce() -> S,
    ) -> RefreshableCredentials {
        if let Some(found) = self.get(&key) {
            return found;
        }
        let seed = self.seed_of(&key);
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let builder = Builder::shared(Arc::new(source()))
                .policy(Arc::clone(&self.policy))
                .clock(self.clock.clone())
                .pace(Arc::clone(&self.pace));
            let builder = match seed {
                Some(seed) => builder.seed(seed),
                None => builder,
            };
            match &self.store {
                Some(store) => builder.store(Arc::clone(store)).build(),
                None => builder.build(),
            }
        };
        keys.entry(key).or_insert_with(make).clone()
    }

    /// The credentials under `key`, if there are any.
    pub fn get(&self, key: &K) -> Option<RefreshableCredentials> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Takes the credentials under `key` out; they live on in the handles that others have.
    pub fn remove(&self, key: &K) -> Option<RefreshableCredentials> {
        self.keys.write().unwrap_or_else(PoisonError::into_inner).remove(key)
    }

    /// All credentials, in no order.
    pub fn all(&self) -> Vec<RefreshableCredentials> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Each role has a jitter of its own, or all would ask in step.
    fn seed_of(&self, key: &K) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        (self.seed?, key).hash(&mut hasher);
        Some(hasher.finish())
    }

    /// How many roles there are.
    pub fn len(&self) -> usize {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K: Eq + Hash> Default for Keyring<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K> fmt::Debug for Keyring<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("policy", &self.policy).finish_non_exhaustive()
    }
}
