//! With what a role is assumed: credentials that were there before it, or the session of another
//! role.

use std::{
    fmt,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use aws_credential_types::{
    Credentials as SdkCredentials,
    provider::{ProvideCredentials, SharedCredentialsProvider},
};
use aws_sdk_sts::config::Region;
use rolekeeper_core::{Failure, Secret, Session};
use tokio::sync::Mutex;

use super::{
    PerProcess, Source, Surroundings, base_failure, callback::issued_of, profile_chain,
    profile_file, sts_client,
};
use crate::{Clock, stores::StoreKey};

/// A base session is used again while it has more than this: enough for the calls that it is needed
/// for.
const MARGIN: Duration = Duration::from_secs(300);

/// Base credentials. Clones share what was fetched: many roles on one base ask for it once.
///
/// A base whose credentials end is asked again when they have less than five minutes left, or when
/// STS refuses them.
#[derive(Clone)]
pub struct Base {
    // Both shared: thousands of roles may be assumed with the same.
    recipe: Arc<Recipe>,
    state: Arc<State>,
}

enum Recipe {
    DefaultChain,
    Profile(String),
    Keys(SdkCredentials),
    Provider(SharedCredentialsProvider),
    Source(Arc<dyn Source>),
    /// The static keys in a profile, read at each fetch: a rotated key is taken at once.
    KeysOf(String),
    Part(Part, /* is a role's session */ bool),
}

static WHOLE_CHAIN: LazyLock<Arc<Recipe>> =
    LazyLock::new(|| Arc::new(Recipe::Part(Part::All, false)));

/// A part of the SDK's default chain: the chain with all else masked out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    All,
    /// A profile without a role.
    Profile(String),
    Environment,
    Container,
    InstanceMetadata,
}

#[derive(Default)]
struct State {
    provider: PerProcess<SharedCredentialsProvider>,
    gate: PerProcess<Gate>,
    /// A session has nothing inside that a `fork` could break.
    kept: ArcSwapOption<Session>,
}

/// One asks at a time; those who waited meanwhile share the outcome, be it credentials or a
/// failure.
#[derive(Default)]
struct Gate {
    failure: Mutex<Option<Failure>>,
    ended: AtomicU64,
}

// === impl Base ===

impl Default for Base {
    fn default() -> Self {
        Self::default_chain()
    }
}

impl Base {
    fn new(recipe: Recipe) -> Self {
        Self { recipe: Arc::new(recipe), state: Arc::default() }
    }

    /// What the AWS SDK would use: environment variables, the profile that `AWS_PROFILE` names, web
    /// identity, a container's or an instance's role. A role in that profile is assumed as
    /// [`Profile`](super::Profile) does.
    pub fn default_chain() -> Self {
        Self::new(Recipe::DefaultChain)
    }

    /// What a profile of `~/.aws/config` means, be it a role, a login or keys.
    pub fn profile(name: impl Into<String>) -> Self {
        Self::new(Recipe::Profile(name.into()))
    }

    /// Long-term keys, or a session's with its token.
    pub fn keys(access_key_id: &str, secret: &Secret, session_token: Option<&Secret>) -> Self {
        let token = session_token.map(|token| token.expose().to_owned());
        let secret = secret.expose().to_owned();
        Self::new(Recipe::Keys(SdkCredentials::new(
            access_key_id,
            secret,
            token,
            None,
            "rolekeeper",
        )))
    }

    /// Any credentials provider of the AWS SDK.
    pub fn provider(provider: impl ProvideCredentials + 'static) -> Self {
        Self::new(Recipe::Provider(SharedCredentialsProvider::new(provider)))
    }

    /// Another role's session, which makes this a *chained* role: STS gives it an hour at most, so
    /// a longer duration is cut to that, with a warning. (That credentials of the other kinds are a
    /// role's session cannot be known before STS says so, save for a container's, an instance's or
    /// an SSO login's in a profile.)
    pub fn role(source: Arc<dyn Source>) -> Self {
        Self::new(Recipe::Source(source))
    }

    pub(crate) fn keys_of(profile: &str) -> Self {
        Self::new(Recipe::KeysOf(profile.to_owned()))
    }

    pub(crate) fn part(part: Part, is_role_session: bool) -> Self {
        Self::new(Recipe::Part(part, is_role_session))
    }

    /// Finds out what a profile means. Reads files, calls nobody.
    ///
    /// Keys that stand first in the default chain are taken from where they are: to make the SDK's
    /// chain means to make its clients, which read the system's root certificates.
    pub(crate) async fn bind(self, seen: &Surroundings) -> Result<Self, Failure> {
        let profile = match &*self.recipe {
            Recipe::Profile(name) => Some(name.clone()),
            Recipe::DefaultChain if seen.variable("AWS_ACCESS_KEY_ID").is_none() => None,
            Recipe::DefaultChain => {
                let keys = keys_of_environment(seen).map(|keys| Arc::new(Recipe::Keys(keys)));
                return Ok(self.becoming(keys.unwrap_or_else(|| Arc::clone(&WHOLE_CHAIN))));
            }
            _ => return Ok(self),
        };
        let is_default = profile.is_none();
        match profile_chain::base(seen, profile, is_default).await? {
            Some(base) => Ok(self.becoming(base.recipe)),
            None => Ok(self.becoming(Arc::clone(&WHOLE_CHAIN))),
        }
    }

    fn becoming(self, recipe: Arc<Recipe>) -> Self {
        Self { recipe, ..self }
    }

    /// Whether another source makes it.
    pub(crate) fn is_source(&self) -> bool {
        self.source().is_some()
    }

    fn source(&self) -> Option<&dyn Source> {
        match &*self.recipe {
            Recipe::Source(source) => Some(&**source),
            _ => None,
        }
    }

    /// Whether this is known to be another role's session.
    pub(crate) fn is_role_session(&self) -> bool {
        matches!(*self.recipe, Recipe::Source(_) | Recipe::Part(_, true))
    }

    /// The credentials to sign with.
    pub(crate) async fn credentials(
        &self,
        seen: &Surroundings,
        region: Option<&Region>,
    ) -> Result<SdkCredentials, Failure> {
        if let Recipe::Keys(keys) = &*self.recipe {
            return Ok(keys.clone());
        }
        if matches!(*self.recipe, Recipe::KeysOf(_)) {
            return self.ask(seen, region).await;
        }
        if let Some(kept) = self.kept() {
            return Ok(kept);
        }
        let gate = self.state.gate.own_or(Gate::default);
        let came = gate.ended.load(Ordering::Acquire);
        let mut failure = gate.failure.lock().await;
        if let Some(kept) = self.kept() {
            return Ok(kept);
        }
        if gate.ended.load(Ordering::Acquire) != came
            && let Some(failure) = &*failure
        {
            return Err(failure.clone());
        }
        let outcome = self.renew(seen, region).await;
        *failure = outcome.as_ref().err().cloned();
        gate.ended.fetch_add(1, Ordering::AcqRel);
        outcome
    }

    /// Under which key a store has whatever is made with it; `None`, if its source has none.
    pub(crate) async fn made_of(
        &self,
        seen: &Surroundings,
        region: Option<&Region>,
    ) -> Result<Option<StoreKey>, Failure> {
        if let Some(source) = self.source() {
            return source.store_key().await;
        }
        let found = self.credentials(seen, region).await?;
        let key = StoreKey::of("credentials")
            .with("access_key_id", found.access_key_id())
            // Whoever has no more than the id gets no session.
            .with("secret_access_key", found.secret_access_key());
        Ok(Some(key.build()))
    }

    /// What was fetched, as long as it has enough time left.
    fn kept(&self) -> Option<SdkCredentials> {
        if self.source().is_some_and(|source| source.keeps_fresh()) {
            return None;
        }
        let kept = self.state.kept.load_full()?;
        (kept.remaining(Clock::System.now()) > MARGIN).then(|| signing(&kept))
    }

    async fn renew(
        &self,
        seen: &Surroundings,
        region: Option<&Region>,
    ) -> Result<SdkCredentials, Failure> {
        let issued = match &*self.recipe {
            Recipe::Source(source) => source.fetch().await.map_err(|mut failure| {
                failure.message = format!("no session of {}: {}", source.name(), failure.message);
                failure
            })?,
            _ => {
                let found = self.ask(seen, region).await?;
                if found.expiry().is_none() {
                    return Ok(found);
                }
                issued_of(&found, Clock::System.now().wall)
            }
        };
        let session = Session::place(issued, Clock::System.now(), 0);
        let credentials = signing(&session);
        self.state.kept.store(Some(Arc::new(session)));
        Ok(credentials)
    }

    /// What a base without a role gives right now.
    pub(crate) async fn ask(
        &self,
        seen: &Surroundings,
        region: Option<&Region>,
    ) -> Result<SdkCredentials, Failure> {
        if let Recipe::KeysOf(profile) = &*self.recipe {
            return profile_file::keys(seen, profile).await;
        }
        let provider = self.provider_here(seen, region).await?;
        let found = provider.provide_credentials().await;
        found.map_err(|error| base_failure::of(&error, self.profile_name()))
    }

    /// STS has refused these credentials: the next fetch asks for others.
    pub(crate) fn forget(&self) {
        let refused = self.state.kept.swap(None);
        if let (Some(source), Some(refused)) = (self.source(), refused) {
            source.refused(refused.access_key_id());
        }
        self.state.provider.clear();
    }

    fn profile_name(&self) -> Option<&str> {
        match &*self.recipe {
            Recipe::Part(Part::Profile(name), _) => Some(name),
            _ => None,
        }
    }

    async fn provider_here(
        &self,
        seen: &Surroundings,
        region: Option<&Region>,
    ) -> Result<SharedCredentialsProvider, Failure> {
        if let Recipe::Provider(provider) = &*self.recipe {
            return Ok(provider.clone());
        }
        if let Some(provider) = self.state.provider.own() {
            return Ok(SharedCredentialsProvider::clone(&provider));
        }
        let part = match &*self.recipe {
            Recipe::Part(part, _) => part,
            _ => &Part::All,
        };
        let config = sts_client::loader(&part.of(seen), region.cloned()).load().await;
        match config.credentials_provider() {
            Some(provider) => {
                Ok(SharedCredentialsProvider::clone(&self.state.provider.keep(provider)))
            }
            None => Err(Failure::misconfigured("the AWS SDK has no credentials provider")),
        }
    }
}

/// As the SDK's chain begins; `None`: there is no whole key.
fn keys_of_environment(seen: &Surroundings) -> Option<SdkCredentials> {
    let mut keys = SdkCredentials::builder()
        .access_key_id(seen.variable("AWS_ACCESS_KEY_ID")?)
        .secret_access_key(seen.variable("AWS_SECRET_ACCESS_KEY")?)
        .provider_name("rolekeeper");
    keys.set_session_token(seen.variable("AWS_SESSION_TOKEN"));
    keys.set_account_id(seen.variable("AWS_ACCOUNT_ID").map(Into::into));
    Some(keys.build())
}

fn signing(session: &Session) -> SdkCredentials {
    let credentials = session.credentials();
    let token =
        Some(credentials.session_token.expose().to_owned()).filter(|token| !token.is_empty());
    let secret = credentials.secret_access_key.expose().to_owned();
    SdkCredentials::new(credentials.access_key_id.clone(), secret, token, None, "rolekeeper")
}

/// Nothing but which kind of credentials: keys are not shown.
impl fmt::Debug for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.recipe {
            Recipe::DefaultChain => f.write_str("the default chain"),
            Recipe::Profile(name) => write!(f, "the profile `{name}`"),
            Recipe::Keys(keys) => write!(f, "the key {}", keys.access_key_id()),
            Recipe::Provider(_) => f.write_str("a credentials provider"),
            Recipe::Source(source) => f.write_str(&source.name()),
            Recipe::KeysOf(name) => write!(f, "the keys of the profile `{name}`"),
            Recipe::Part(part, _) => write!(f, "{part:?}"),
        }
    }
}

// === impl Part ===

impl Part {
    /// `seen` as it looks with only this part of the chain in it.
    fn of(&self, seen: &Surroundings) -> Surroundings {
        const NO_INSTANCE: (&str, &str) = ("AWS_EC2_METADATA_DISABLED", "true");
        // Files that cannot be there: the chain then has no profile.
        const NO_FILES: [(&str, &str); 2] =
            [("AWS_CONFIG_FILE", "/dev/null"), ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")];
        let is_key = |name: &str| {
            matches!(
                name,
                "AWS_ACCESS_KEY_ID"
                    | "AWS_SECRET_ACCESS_KEY"
                    | "SECRET_ACCESS_KEY"
                    | "AWS_SESSION_TOKEN"
            )
        };
        let is_identity =
            |name: &str| matches!(name, "AWS_WEB_IDENTITY_TOKEN_FILE" | "AWS_ROLE_ARN");
        let is_container = |name: &str| name.starts_with("AWS_CONTAINER_");
        let is_profile = |name: &str| name == "AWS_PROFILE";
        match self {
            Self::All => seen.clone(),
            Self::Profile(profile) => seen.masked(
                |name| is_key(name) || is_identity(name) || is_container(name),
                &[NO_INSTANCE, ("AWS_PROFILE", profile)],
            ),
            Self::Environment => seen.masked(
                |name| is_identity(name) || is_container(name) || is_profile(name),
                &[NO_INSTANCE, NO_FILES[0], NO_FILES[1]],
            ),
            Self::Container => seen.masked(
                |name| is_key(name) || is_identity(name) || is_profile(name),
                &[NO_INSTANCE, NO_FILES[0], NO_FILES[1]],
            ),
            Self::InstanceMetadata => seen.masked(
                |name| is_key(name) || is_identity(name) || is_container(name) || is_profile(name),
                &NO_FILES,
            ),
        }
    }
}
