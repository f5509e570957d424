//! The SDK's identity cache, refreshed our way: in the background, with no caller waiting while an
//! identity is valid, and a valid one never thrown away because a refresh failed.

use std::{
    collections::HashMap,
    error::Error as StdError,
    fmt,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use aws_credential_types::Credentials as SdkCredentials;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        identity::{
            Identity, IdentityCachePartition, IdentityFuture, ResolveCachedIdentity,
            ResolveIdentity, SharedIdentityResolver,
        },
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::ConfigBag;
use rolekeeper_core::{Failure, RefreshPolicy};

use super::SdkForm;
use crate::{
    Clock, RefreshableCredentials, Source,
    sources::{Fetch, issued_of},
};

/// A cache for the identities of every client made from one `SdkConfig`.
///
/// ```no_run
/// # async fn example() {
/// let config = aws_config::defaults(aws_config::BehaviorVersion::latest())
///     .identity_cache(rolekeeper::adapters::IdentityCache::new())
///     .load()
///     .await;
/// let sts = aws_sdk_sts::Client::new(&config); // and any other client
/// # }
/// ```
///
/// Identities that are not AWS credentials, or that don't expire, are resolved by their own
/// resolver on each call: there is nothing to refresh.
#[derive(Clone)]
pub struct IdentityCache {
    entries: Arc<ArcSwap<Entries>>,
    /// Taken only to add a resolver that nobody has asked for yet.
    adding: Arc<Mutex<()>>,
    policy: RefreshPolicy,
    clock: Clock,
}

type Entries = HashMap<IdentityCachePartition, Arc<Entry>>;

/// One resolver's.
#[derive(Default)]
struct Entry {
    /// From the first identity on that expires.
    kept: OnceLock<RefreshableCredentials>,
    /// Its identities have nothing to refresh.
    passes: AtomicBool,
    /// Held by the one caller who resolves the first identity, with the last error of those who
    /// tried.
    first: tokio::sync::Mutex<Option<SharedError>>,
    failures: AtomicU64,
}

/// What one call needs for resolving.
struct Call<'a> {
    resolver: SharedIdentityResolver,
    components: &'a RuntimeComponents,
    config: &'a ConfigBag,
}

/// The SDK's resolver as a source. The refresher outlives the call that brought the resolver, so it
/// keeps that call's components.
struct Resolver {
    resolver: SharedIdentityResolver,
    components: RuntimeComponents,
    /// What told that there is something to keep fresh; the first session.
    first: Mutex<Option<Identity>>,
}

/// One error for all who waited for the same call.
#[derive(Clone, Debug)]
struct SharedError(Arc<dyn StdError + Send + Sync>);

// === impl IdentityCache ===

impl IdentityCache {
    /// By the default policy.
    pub fn new() -> Self {
        Self::with_policy(RefreshPolicy::default())
    }

    /// By a policy of your own.
    pub fn with_policy(policy: RefreshPolicy) -> Self {
        Self { entries: Arc::default(), adding: Arc::default(), policy, clock: Clock::default() }
    }

    /// Which clocks to go by. Default: this machine's.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    fn entry(&self, partition: IdentityCachePartition) -> Arc<Entry> {
        if let Some(found) = self.entries.load().get(&partition) {
            return Arc::clone(found);
        }
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let mut more = Entries::clone(&self.entries.load());
        let entry = Arc::clone(more.entry(partition).or_default());
        self.entries.store(Arc::new(more));
        entry
    }

    /// The first identity tells whether there is anything to keep fresh; all who wait for it share
    /// one call.
    async fn first(&self, entry: &Entry, call: Call<'_>) -> Result<Identity, BoxError> {
        let failures = entry.failures.load(Ordering::Acquire);
        let mut last_error = entry.first.lock().await;
        if let Some(credentials) = entry.kept.get() {
            return Ok(Self::identity(credentials).await?);
        }
        if let Some(error) = last_error.as_ref()
            && entry.failures.load(Ordering::Acquire) != failures
        {
            return Err(error.clone().into());
        }
        if entry.passes.load(Ordering::Relaxed) {
            drop(last_error);
            return self.resolve(entry, call).await;
        }
        self.resolve(entry, call).await.map_err(|error| {
            let error = SharedError(error.into());
            *last_error = Some(error.clone());
            entry.failures.fetch_add(1, Ordering::Release);
            error.into()
        })
    }

    async fn resolve(&self, entry: &Entry, call: Call<'_>) -> Result<Identity, BoxError> {
        let Call { resolver, components, config } = call;
        let identity = resolver.resolve_identity(components, config).await?;
        if identity.data::<SdkCredentials>().is_none() || identity.expiration().is_none() {
            entry.passes.store(true, Ordering::Relaxed);
            return Ok(identity);
        }
        let credentials = entry.kept.get_or_init(|| {
            let (components, first) = (components.clone(), Mutex::new(Some(identity)));
            RefreshableCredentials::builder(Resolver { resolver, components, first })
                .policy(self.policy.clone())
                .clock(self.clock.clone())
                .build()
        });
        Ok(Self::identity(credentials).await?)
    }

    async fn identity(credentials: &RefreshableCredentials) -> Result<Identity, crate::Error> {
        let current = credentials.get().await?;
        Ok(credentials.sdk_form(&current, SdkForm::identity))
    }
}

impl ResolveCachedIdentity for IdentityCache {
    fn resolve_cached_identity<'a>(
        &'a self,
        resolver: SharedIdentityResolver,
        components: &'a RuntimeComponents,
        config: &'a ConfigBag,
    ) -> IdentityFuture<'a> {
        let partition = resolver.cache_partition();
        if let Some(entry) = self.entries.load().get(&partition)
            && let Some(credentials) = entry.kept.get()
            && let Some(current) = credentials.quick()
        {
            return IdentityFuture::ready(Ok(credentials.sdk_form(&current, SdkForm::identity)));
        }
        let entry = self.entry(partition);
        let call = Call { resolver, components, config };
        IdentityFuture::new(async move {
            if let Some(credentials) = entry.kept.get() {
                return Ok(Self::identity(credentials).await?);
            }
            if entry.passes.load(Ordering::Relaxed) {
                return self.resolve(&entry, call).await;
            }
            self.first(&entry, call).await
        })
    }
}

impl Default for IdentityCache {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for IdentityCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityCache").field("policy", &self.policy).finish_non_exhaustive()
    }
}

// === impl Resolver ===

impl Source for Resolver {
    fn fetch(&self) -> Fetch<'_> {
        Box::pin(async {
            // The SDK's credential providers look at neither; what a resolver keeps there is set at
            // its client.
            let config = ConfigBag::base();
            let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
            let identity = match first {
                Some(identity) => identity,
                None => self
                    .resolver
                    .resolve_identity(&self.components, &config)
                    .await
                    .map_err(|error| Failure::unavailable(reason(error.as_ref())))?,
            };
            let credentials = identity
                .data::<SdkCredentials>()
                .ok_or_else(|| Failure::bad_answer("the SDK's resolver gave no credentials"))?;
            Ok(issued_of(credentials, Clock::System.now().wall))
        })
    }

    fn name(&self) -> String {
        "the SDK's identity resolver".into()
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("resolver", &self.resolver).finish_non_exhaustive()
    }
}

/// The SDK's errors say what happened only in what they are caused by.
fn reason(error: &(dyn StdError + 'static)) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told.push_str(": ");
        told.push_str(&error.to_string());
        cause = error.source();
    }
    told
}

// === impl SharedError ===

impl fmt::Display for SharedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for SharedError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}
