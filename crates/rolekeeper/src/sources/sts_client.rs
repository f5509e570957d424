//! Where STS is and how it is called: Region, endpoint and the one client that all who call the
//! same place share, so that ten thousand roles load the root certificates once, and notice a wrong
//! clock once.

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use aws_config::{BehaviorVersion, ConfigLoader, profile::ProfileSet, retry::RetryConfig};
use aws_sdk_sts::config::{IdentityCache, Region, SharedHttpClient, StalledStreamProtectionConfig};
use aws_smithy_http_client::{
    Connector,
    proxy::ProxyConfig,
    tls::{self, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::{SdkConfig, service_config::ServiceConfigKey};
use rolekeeper_core::Failure;

use super::{PerProcess, Place, Surroundings, bounded::Bounded, profile_file};
use crate::stores::StoreKeyBuilder;

/// A Region far away answers a handshake in under a second; three leave room for a lost packet.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// No single call takes longer: the attempt timeout of the lifecycle.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// What requests are signed for if an endpoint URL is given and no Region.
const REGION_OF_UNNAMED_ENDPOINT: &str = "us-east-1";

/// What the caller has set of the endpoint; the rest comes from the environment and the profile.
#[derive(Clone, Debug, Default)]
pub(crate) struct Endpoint {
    pub(crate) place: Place,
    /// Whose `region`, `endpoint_url`, … count; `None`: `AWS_PROFILE`'s.
    pub(crate) profile: Option<String>,
}

/// A place to call STS at.
pub(crate) struct Sts {
    config: SdkConfig,
    /// As it was found when this was made: the environment that names it may change.
    endpoint_url: Option<String>,
    client: PerProcess<aws_sdk_sts::Client>,
}

/// Those that sources call: ten thousand roles of one Region need one, and a wrong clock is noticed
/// once.
static IN_USE: ArcSwapOption<Vec<Weak<Sts>>> = ArcSwapOption::const_empty();

/// One per process and runtime, made when first needed. It goes through the proxy that
/// `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` name, as the AWS CLI does.
pub(crate) fn http_client() -> SharedHttpClient {
    static CLIENT: PerProcess<SharedHttpClient> = PerProcess::empty();
    let make = || {
        let builder = aws_smithy_http_client::Builder::new();
        let client = builder.build_with_connector_fn(|settings, components| {
            let mut connector = Connector::builder().proxy_config(ProxyConfig::from_env());
            connector.set_connector_settings(settings.cloned());
            connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
            connector.tls_provider(tls::Provider::Rustls(CryptoMode::Ring)).build()
        });
        SharedHttpClient::new(Bounded(client))
    };
    SharedHttpClient::clone(&CLIENT.own_or(make))
}

/// aws-config's loader over what a source sees, told that one attempt is one attempt.
pub(crate) fn loader(seen: &Surroundings, region: Option<Region>) -> ConfigLoader {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_timeout(CALL_TIMEOUT)
        .build();
    let seen = seen.without_empty_urls();
    aws_config::defaults(BehaviorVersion::latest())
        .env(seen.env())
        .fs(seen.fs().clone())
        .time_source(seen.time())
        .http_client(http_client())
        // Without this the chain would ask the instance metadata service for a Region.
        .region(Decided(region))
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        .identity_cache(IdentityCache::no_cache())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
}

/// The Region that was found, also if that is none.
#[derive(Debug)]
struct Decided(Option<Region>);

// === impl Endpoint ===

impl Endpoint {
    /// Explicit, then `AWS_REGION`, `AWS_DEFAULT_REGION`, then the profile's.
    pub(crate) fn region(&self, seen: &Surroundings, profiles: &ProfileSet) -> Option<Region> {
        let of_profile = || {
            let name = self.profile.as_deref().unwrap_or(profiles.selected_profile());
            profiles.get_profile(name)?.get("region").map(ToOwned::to_owned)
        };
        let region = self
            .place
            .region
            .clone()
            .or_else(|| seen.variable("AWS_REGION"))
            .or_else(|| seen.variable("AWS_DEFAULT_REGION"))
            .or_else(of_profile)?;
        Some(Region::new(region.trim().to_owned())).filter(|region| !region.as_ref().is_empty())
    }

    fn check_url(&self) -> Result<(), Failure> {
        let Some(url) = &self.place.endpoint_url else { return Ok(()) };
        let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        match host {
            Some(host) if !host.is_empty() && url.parse::<http::Uri>().is_ok() => Ok(()),
            _ => Err(Failure::misconfigured(format!("the endpoint URL `{url}` is not a URL"))
                .with_hint("write it as https://HOST or http://HOST:PORT")),
        }
    }

    pub(crate) async fn open(&self, seen: &Surroundings) -> Result<Arc<Sts>, Failure> {
        self.check_url()?;
        let profiles = profile_file::load(seen, self.profile.as_deref()).await?;
        let region = self.region(seen, &profiles);
        let mut loader = loader(seen, region).no_credentials();
        if let Some(profile) = &self.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(fips) = self.place.fips {
            loader = loader.use_fips(fips);
        }
        if let Some(dual_stack) = self.place.dual_stack {
            loader = loader.use_dual_stack(dual_stack);
        }
        if let Some(url) = &self.place.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        let mut config = loader.load().await;
        if config.region().is_none() {
            if endpoint_url(&config).is_none() {
                return Err(Failure::misconfigured("no Region is set to call STS in")
                    .with_hint("set AWS_REGION, or `region` in the profile, or pass a Region"));
            }
            let region = Region::from_static(REGION_OF_UNNAMED_ENDPOINT);
            config = config.into_builder().region(region).build();
        }
        Ok(Sts::over(config, seen))
    }
}

/// `AWS_ENDPOINT_URL_STS` and its like go before the general one.
fn endpoint_url(config: &SdkConfig) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id("STS")
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build();
    let of_service =
        || config.service_config().zip(key.ok()).and_then(|(config, key)| config.load_config(key));
    let general = config.endpoint_url().map(ToOwned::to_owned);
    if config.get_origin("endpoint_url").is_client_config() {
        return general;
    }
    of_service().or(general)
}

// === impl Sts ===

impl Sts {
    /// The one that others use who call the same place, or a new one. A clock of the caller's is
    /// the caller's alone.
    fn over(config: SdkConfig, seen: &Surroundings) -> Arc<Self> {
        let endpoint_url = endpoint_url(&config);
        let new = Arc::new(Self { config, endpoint_url, client: PerProcess::empty() });
        if seen.has_own_clock() {
            return new;
        }
        // Without a lock: a child may be forked at any moment. Two who come at once may both bring
        // a new one.
        let known = IN_USE.load_full();
        let living = || known.iter().flat_map(|known| known.iter()).filter_map(Weak::upgrade);
        if let Some(same) = living().find(|sts| sts.is_same_place(&new)) {
            return same;
        }
        let all = living().chain([Arc::clone(&new)]).map(|sts| Arc::downgrade(&sts));
        IN_USE.store(Some(Arc::new(all.collect())));
        new
    }

    fn is_same_place(&self, other: &Self) -> bool {
        let [a, b] = [&self.config, &other.config];
        self.endpoint_url == other.endpoint_url
            && a.region() == b.region()
            && a.use_fips() == b.use_fips()
            && a.use_dual_stack() == b.use_dual_stack()
            && a.app_name() == b.app_name()
            && a.disable_clock_skew_correction() == b.disable_clock_skew_correction()
    }

    /// Region, endpoint and clock, for whoever needs another client of the same kind.
    pub(crate) fn region(&self) -> Option<&Region> {
        self.config.region()
    }

    /// What messages call it.
    pub(crate) fn place(&self) -> String {
        match (&self.endpoint_url, self.config.region()) {
            (Some(url), _) => format!("STS at {url}"),
            (None, Some(region)) => format!("STS in {region}"),
            (None, None) => "STS".to_owned(),
        }
    }

    /// As part of what sessions are made of: one of one partition is nothing in another.
    pub(crate) fn part_of(&self, key: StoreKeyBuilder) -> StoreKeyBuilder {
        let flag = |set: Option<bool>| set.unwrap_or_default().to_string();
        key.with_option("endpoint_url", self.endpoint_url.as_deref())
            .with_option("region", self.region().map(AsRef::as_ref))
            .with("fips", flag(self.config.use_fips()))
            .with("dual_stack", flag(self.config.use_dual_stack()))
    }

    pub(crate) fn client(&self) -> Arc<aws_sdk_sts::Client> {
        self.client.own_or(|| {
            let mut config =
                aws_sdk_sts::config::Builder::from(&self.config).http_client(http_client());
            config.set_endpoint_url(self.endpoint_url.clone());
            aws_sdk_sts::Client::from_conf(config.build())
        })
    }
}

impl fmt::Debug for Sts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sts")
            .field("region", &self.config.region())
            .field("endpoint_url", &self.endpoint_url)
            .finish_non_exhaustive()
    }
}

// === impl Decided ===

impl aws_config::meta::region::ProvideRegion for Decided {
    fn region(&self) -> aws_config::meta::region::future::ProvideRegion<'_> {
        aws_config::meta::region::future::ProvideRegion::ready(self.0.clone())
    }
}
