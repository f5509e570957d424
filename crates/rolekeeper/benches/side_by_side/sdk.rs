//! The SDK's side: the runtime components of a real client, and a cache called as that client calls
//! it.

use std::sync::{Arc, Mutex, PoisonError};

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_sts::config::{
    BehaviorVersion, ConfigBag, Credentials, Intercept, Region, RuntimeComponents,
    interceptors::BeforeTransmitInterceptorContextMut,
};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        identity::{Identity, ResolveCachedIdentity, SharedIdentityCache, SharedIdentityResolver},
        interceptors::dyn_dispatch_hint,
    },
};

/// An identity cache, and the one resolver that it is asked for.
#[derive(Clone)]
pub(crate) struct Cached {
    cache: SharedIdentityCache,
    resolver: SharedIdentityResolver,
    components: RuntimeComponents,
    config: Arc<ConfigBag>,
}

/// Takes the components out of a call, and ends the call before anything is sent.
#[derive(Clone, Debug, Default)]
struct Thief(Arc<Mutex<Option<RuntimeComponents>>>);

/// What the SDK gives its identity cache.
pub(crate) async fn components() -> RuntimeComponents {
    let thief = Thief::default();
    let config = aws_sdk_sts::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("AKIAEXAMPLE", "secret", None, None, "bench"))
        .interceptor(thief.clone())
        .build();
    // It fails, as the interceptor says.
    let _ = aws_sdk_sts::Client::from_conf(config).get_caller_identity().send().await;
    let taken = thief.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    taken.expect("the client signs before it sends")
}

// === impl Cached ===

impl Cached {
    pub(crate) fn new(
        cache: impl ResolveCachedIdentity + 'static,
        provider: impl ProvideCredentials + 'static,
        components: &RuntimeComponents,
    ) -> Self {
        Self {
            cache: SharedIdentityCache::new(cache),
            resolver: SharedIdentityResolver::new(SharedCredentialsProvider::new(provider)),
            components: components.clone(),
            config: Arc::new(ConfigBag::base()),
        }
    }

    /// As the orchestrator does it for each request.
    #[inline]
    pub(crate) async fn identity(&self) -> Result<Identity, BoxError> {
        let resolver = self.resolver.clone();
        self.cache.resolve_cached_identity(resolver, &self.components, &self.config).await
    }
}

// === impl Thief ===

#[dyn_dispatch_hint]
impl Intercept for Thief {
    fn name(&self) -> &'static str {
        "side-by-side"
    }

    fn modify_before_signing(
        &self,
        _: &mut BeforeTransmitInterceptorContextMut<'_>,
        components: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(components.clone());
        Err("nothing is sent".into())
    }
}
