//! How refreshable credentials are made.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use arc_swap::{ArcSwap, ArcSwapOption};
use rolekeeper_core::{Issued, RefreshMode, RefreshPolicy, Session};
use tokio::runtime::Handle;

use super::{Inner, RefreshableCredentials};
use crate::{
    Event, Source,
    cell::Cell,
    clock::Clock,
    engine::{Engine, Observer},
    pace::Pace,
    runtime::Home,
    stores::{AwsCache, SessionStore, Shared, aws_cache::AwsCached},
};

/// Made by [`RefreshableCredentials::builder`].
#[derive(Debug)]
#[must_use = "nothing is fetched before `build`"]
pub struct Builder {
    source: Arc<dyn Source>,
    policy: Arc<RefreshPolicy>,
    clock: Clock,
    seed: Option<u64>,
    home: Option<Home>,
    pace: Option<Arc<Pace>>,
    session: Option<Issued>,
    observer: Option<Observer>,
    store: Option<Arc<dyn SessionStore>>,
    aws_cache: Option<AwsCache>,
}

impl Builder {
    pub(super) fn new(source: Arc<dyn Source>) -> Self {
        let (policy, clock, seed, home, pace) = Default::default();
        let (session, observer, store, aws_cache) = Default::default();
        Self { source, policy, clock, seed, home, pace, session, observer, store, aws_cache }
    }

    pub(crate) fn shared(source: Arc<dyn Source>) -> Self {
        Self::new(source)
    }

    /// When to refresh. Default: in the background, as [`RefreshPolicy::default`] says.
    pub fn policy(mut self, policy: impl Into<Arc<RefreshPolicy>>) -> Self {
        self.policy = policy.into();
        self
    }

    /// Which clocks to go by. Default: this machine's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Where the refresher runs; the runtime needs its time and I/O drivers. Default: the runtime
    /// in which `build` is called, or, outside of any, a small thread of rolekeeper's.
    pub fn runtime(mut self, handle: Handle) -> Self {
        self.home = Some(Home::of(handle));
        self
    }

    /// Decides the jitter, for runs that can be repeated. Default: random.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// A session that is in hand already. It is served from the start, and nothing is fetched before
    /// it has to be refreshed; one that has ended counts only where the policy serves such.
    pub fn session(mut self, issued: Issued) -> Self {
        self.session = Some(issued);
        self
    }

    /// Tells `observe` each [event](crate::Event), in order, from the first one on. It is called by
    /// whoever makes the event happen, under a lock that readers without a session wait for: it
    /// hands the event on at once, and does not come back to these credentials. For a stream of
    /// events see [`RefreshableCredentials::events`].
    pub fn observer(mut self, observe: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.observer = Some(Observer::new(observe));
        self
    }

    /// Shares the session with all who have the same source and this store: one of them fetches it.
    /// Default: with nobody.
    pub fn store(mut self, store: Arc<dyn SessionStore>) -> Self {
        self.store = Some(store);
        self
    }

    /// Takes sessions from the AWS CLI's cache, before a store and before the source are asked, and
    /// puts them there if it [is to](AwsCache::and_write). They are told apart by the role's
    /// parameters and **not by who assumes it**. A source that botocore's profiles can't say has none
    /// there. Default: that cache is left alone.
    pub fn aws_cache(mut self, cache: AwsCache) -> Self {
        self.aws_cache = Some(cache);
        self
    }

    pub(crate) fn pace(mut self, pace: Arc<Pace>) -> Self {
        self.pace = Some(pace);
        self
    }

    /// In the background the first fetch starts now; on demand, with the first read.
    pub fn build(self) -> RefreshableCredentials {
        let Self { source, policy, clock, seed, home, pace, session, observer, store, aws_cache } =
            self;
        // Each RandomState has keys of its own; that is random enough for jitter.
        let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(std::process::id()));
        let key = source.aws_cache_key();
        let source: Arc<dyn Source> = match store {
            Some(store) => {
                Arc::new(Shared::new(source, store, Arc::clone(&policy), clock.clone(), seed))
            }
            None => source,
        };
        let source = match (aws_cache, key) {
            (Some(cache), Some(key)) => Arc::new(AwsCached::new(
                source,
                cache,
                key,
                Arc::clone(&policy),
                clock.clone(),
                seed,
            )),
            (Some(_), None) => {
                let role = source.name();
                tracing::info!(%role, "the AWS CLI's cache has no sessions of this kind");
                source
            }
            (None, _) => source,
        };
        let cell = Arc::new(Cell::new(policy.idle_after().is_some()));
        let heirloom = session.map(|issued| {
            let now = clock.now();
            (now, Arc::new(Session::place(issued, now, 1)))
        });
        let name: Arc<str> = source.name().into();
        let has_session = heirloom.is_some();
        let engine = Engine::new(
            Arc::clone(&name),
            Arc::clone(&cell),
            Arc::clone(&policy),
            seed,
            heirloom,
            observer,
        );
        let inner = Arc::new(Inner {
            name,
            source,
            clock,
            policy,
            seed,
            cell,
            engine: ArcSwap::from_pointee(engine),
            home,
            pace,
            sdk_form: ArcSwapOption::empty(),
        });
        if inner.policy.mode() == RefreshMode::Background {
            inner.have_refresher();
        }
        if has_session {
            inner.engine().show(inner.now());
        }
        RefreshableCredentials { inner }
    }
}
