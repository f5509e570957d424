//! Who is compared: each over an STS of its own, made as its documentation says and with its
//! defaults, and asked for credentials as a client asks it for every request.

use std::{
    io::{self, Write},
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_config::{BehaviorVersion, Region, SdkConfig, sts::AssumeRoleProvider};
use aws_credential_types::Credentials;
use aws_sdk_sts::config::RuntimeComponents;
use aws_smithy_runtime::client::identity::IdentityCache as SdkCache;
use aws_smithy_runtime_api::client::identity::ResolveCachedIdentity;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredentialProvider};
use rolekeeper::{
    RefreshableCredentials,
    sources::{AssumeRole, Surroundings},
};
use tempfile::NamedTempFile;
use tokio::time::sleep;

use crate::{
    document::{OBJECT_STORE, OURS, SDK},
    endpoint::Endpoint,
    sandbox::{LATENCY, ROLE, Sandbox},
    sdk::Cached,
    switch::Switch,
};

pub(crate) const HOUR: u64 = 3600;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ours,
    Sdk,
    ObjectStore,
}

/// An STS, and what is made once for all that read from it.
pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    /// Where it is reached: at an address of its own, if another was there first.
    url: String,
    before: Option<(Sandbox, Switch)>,
    config: SdkConfig,
    components: RuntimeComponents,
    endpoint: Endpoint,
    /// object_store asks no endpoint without a file that has its token.
    token: NamedTempFile,
}

/// What is asked for credentials.
#[derive(Clone)]
pub(crate) enum Reader {
    Ours(RefreshableCredentials),
    Sdk(Box<Cached>),
    ObjectStore(AwsCredentialProvider),
}

/// Of a session for a refresh that is watched: it falls due `due` after it was fetched.
#[derive(Clone, Copy)]
pub(crate) struct Timing {
    /// Seconds.
    pub(crate) lifetime: u64,
    pub(crate) due: Duration,
}

// === impl Kind ===

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Ours, Self::Sdk, Self::ObjectStore];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => OURS,
            Self::Sdk => SDK,
            Self::ObjectStore => OBJECT_STORE,
        }
    }

    /// So that it refreshes soon. Ours does when a quarter of so short a session has passed, the
    /// SDK's at a random moment when 10 s to 5 s are left, and object_store when five minutes are
    /// left. What is fetched at the beginning of a second lives for one more than is said here.
    pub(crate) fn soon(self) -> Timing {
        let (lifetime, due) = match self {
            Self::Ours => (3, 1),
            Self::Sdk => (10, 1),
            Self::ObjectStore => (300, 1),
        };
        Timing { lifetime, due: Duration::from_secs(due) }
    }

    /// The same, half a second later, and what is held then is valid for 5 s more at the least.
    pub(crate) fn with_time_left(self) -> Timing {
        let (lifetime, due) = match self {
            // Less a twentieth of its life, by which the moment is spread.
            Self::Ours => (15, 3.6),
            // Whatever the moment was, the next is within 2 s.
            Self::Sdk => (7, 1.5),
            Self::ObjectStore => (301, 2.0),
        };
        Timing { lifetime, due: Duration::from_secs_f64(due) }
    }
}

// === impl World ===

impl World {
    pub(crate) async fn around(
        sandbox: Sandbox,
        components: &RuntimeComponents,
    ) -> io::Result<Self> {
        let url = sandbox.url();
        Self::at(url, sandbox, None, components).await
    }

    async fn at(
        url: String,
        sandbox: Sandbox,
        before: Option<(Sandbox, Switch)>,
        components: &RuntimeComponents,
    ) -> io::Result<Self> {
        let (key, secret) =
            (sandbox.variable("AWS_ACCESS_KEY_ID"), sandbox.variable("AWS_SECRET_ACCESS_KEY"));
        // The SDK's defaults, but for where the STS is.
        let config = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .endpoint_url(&url)
            .credentials_provider(Credentials::new(key, secret, None, None, "compare"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .load()
            .await;
        let endpoint = Endpoint::start(&config).await?;
        let mut token = NamedTempFile::new()?;
        token.write_all(b"a-token")?;
        let components = components.clone();
        Ok(Self { sandbox, url, before, config, components, endpoint, token })
    }

    /// And in it somebody who holds a session that falls due as `timing` says; those that follow
    /// live for an hour.
    pub(crate) async fn with_one_that_holds(
        program: &Path,
        kind: Kind,
        timing: Timing,
        components: &RuntimeComponents,
    ) -> io::Result<(Self, Reader)> {
        let first = Sandbox::start(program, timing.lifetime, Duration::ZERO)?;
        let sandbox = Sandbox::start(program, HOUR, LATENCY)?;
        let switch = Switch::to(&first.url()).await?;
        let world = Self::at(switch.url(), sandbox, Some((first, switch)), components).await?;
        let reader = world.reader(kind).await?;
        // Expirations are whole seconds: a session that is fetched at the beginning of one lives as
        // long as it says.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let past = now.map_err(io::Error::other)?.subsec_nanos();
        sleep(Duration::from_nanos(1_000_000_000 - u64::from(past))).await;
        if !reader.read().await {
            return Err(io::Error::other(format!("{} got no session", kind.name())));
        }
        if let Some((_, switch)) = &world.before {
            switch.turn_to(&world.sandbox.url());
        }
        Ok((world, reader))
    }

    /// One that holds nothing yet.
    pub(crate) async fn reader(&self, kind: Kind) -> io::Result<Reader> {
        Ok(match kind {
            Kind::Ours => {
                let (own, url) = (self.sandbox.url(), self.url.clone());
                let variables = self.sandbox.variables().iter().map(|(name, value)| {
                    (name.clone(), if *value == own { url.clone() } else { value.clone() })
                });
                let role = AssumeRole::builder(ROLE)
                    .surroundings(Surroundings::with_variables(variables))
                    .build()
                    .await
                    .map_err(io::Error::other)?;
                Reader::Ours(RefreshableCredentials::builder(role).build())
            }
            Kind::Sdk => Reader::Sdk(self.cached(SdkCache::lazy().build()).await),
            Kind::ObjectStore => Reader::ObjectStore(self.object_store()?),
        })
    }

    /// The SDK's provider behind this cache.
    pub(crate) async fn cached(&self, cache: impl ResolveCachedIdentity + 'static) -> Box<Cached> {
        let provider = AssumeRoleProvider::builder(ROLE)
            .session_name("compare")
            .configure(&self.config)
            .build()
            .await;
        Box::new(Cached::new(cache, provider, &self.components))
    }

    fn object_store(&self) -> io::Result<AwsCredentialProvider> {
        use AmazonS3ConfigKey::{ContainerAuthorizationTokenFile, ContainerCredentialsFullUri};
        let store = AmazonS3Builder::new()
            .with_bucket_name("compare")
            .with_config(ContainerCredentialsFullUri, self.endpoint.url())
            .with_config(ContainerAuthorizationTokenFile, self.token.path().to_string_lossy())
            .build()
            .map_err(io::Error::other)?;
        Ok(Arc::clone(store.credentials()))
    }
}

// === impl Reader ===

impl Reader {
    /// Whether it gave credentials.
    pub(crate) async fn read(&self) -> bool {
        match self {
            Self::Ours(credentials) => credentials.get().await.is_ok(),
            Self::Sdk(cached) => cached.identity().await.is_ok(),
            Self::ObjectStore(provider) => provider.get_credential().await.is_ok(),
        }
    }
}
