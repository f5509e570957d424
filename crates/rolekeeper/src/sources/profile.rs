//! A profile of `~/.aws/config` as a source: it means what it means to the AWS CLI.

use std::{fmt, sync::Arc};

use rolekeeper_core::{Failure, Issued};

use super::{
    Base, Fetch, KeyOf, MfaPrompt, Source, Surroundings,
    callback::issued_of,
    place::place_setters,
    profile_chain::{Meaning, Reader},
    profile_file,
    sts_client::Endpoint,
};
use crate::{Clock, stores::AwsCacheKey};

/// A profile: a role, by however many others, or credentials without a role.
///
/// Which roles and which base it means is read when it is built; keys and logins are read anew for
/// each session. Credentials without an expiration (keys in the file) are handed on as lasting
/// [`UNDATED_LIFETIME`](super::UNDATED_LIFETIME).
///
/// ```
/// # async fn example() -> Result<(), rolekeeper::Failure> {
/// use rolekeeper::sources::Profile;
///
/// let production = Profile::named("production").build().await?;
/// let selected = Profile::selected().build().await?; // AWS_PROFILE, or `default`
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Profile {
    name: String,
    region: Option<String>,
    role: Option<Arc<dyn Source>>,
    base: Base,
    first: Option<Base>,
    seen: Surroundings,
}

/// Makes a [`Profile`].
#[derive(Clone, Debug, Default)]
#[must_use = "build() makes the source"]
pub struct ProfileBuilder {
    name: Option<String>,
    prompt: Option<MfaPrompt>,
    endpoint: Endpoint,
    seen: Surroundings,
}

// === impl Profile ===

impl Profile {
    /// The profile of this name.
    pub fn named(name: impl Into<String>) -> ProfileBuilder {
        ProfileBuilder { name: Some(name.into()), ..ProfileBuilder::default() }
    }

    /// The profile that `AWS_PROFILE` names, or `default`.
    pub fn selected() -> ProfileBuilder {
        ProfileBuilder::default()
    }

    /// The profile's name.
    pub fn profile_name(&self) -> &str {
        &self.name
    }

    /// Whether a role is assumed at all.
    pub fn has_role(&self) -> bool {
        self.role.is_some()
    }

    /// The Region that is set for this profile, in the order that [`ProfileBuilder::region`] says.
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// With what the first of its roles is assumed, or what it gives without a role; `None` for a
    /// web identity, which needs no credentials.
    pub fn base(&self) -> Option<Base> {
        self.first.clone()
    }

    async fn issue(&self) -> Result<Issued, Failure> {
        if let Some(role) = &self.role {
            return role.fetch().await;
        }
        // Each fetch reads the files anew, and so takes a new key for granted.
        self.base.forget();
        let found = self.base.ask(&self.seen, None).await?;
        Ok(issued_of(&found, Clock::System.now().wall))
    }
}

impl Source for Profile {
    fn fetch(&self) -> Fetch<'_> {
        Box::pin(self.issue())
    }

    /// The role's ARN, or `profile NAME`.
    fn name(&self) -> String {
        match &self.role {
            Some(role) => role.name(),
            None => format!("profile {}", self.name),
        }
    }

    fn account(&self) -> Option<String> {
        self.role.as_ref()?.account()
    }

    /// Of credentials without a role there is nothing to share.
    fn store_key(&self) -> KeyOf<'_> {
        match &self.role {
            Some(role) => role.store_key(),
            None => Box::pin(std::future::ready(Ok(None))),
        }
    }

    fn aws_cache_key(&self) -> Option<AwsCacheKey> {
        self.role.as_ref()?.aws_cache_key()
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile")
            .field("name", &self.name)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

// === impl ProfileBuilder ===

impl ProfileBuilder {
    /// Who is asked for the code of an `mfa_serial`.
    pub fn mfa_prompt(mut self, prompt: MfaPrompt) -> Self {
        self.prompt = Some(prompt);
        self
    }

    place_setters!();

    /// Reads the config files, and calls nobody.
    ///
    /// # Errors
    /// [`Misconfigured`](rolekeeper_core::FailureKind::Misconfigured), which names the profile, the
    /// key and the file.
    pub async fn build(self) -> Result<Profile, Failure> {
        let profiles = profile_file::load(&self.seen, self.name.as_deref()).await?;
        let name = profiles.selected_profile().to_owned();
        let endpoint = Endpoint { profile: Some(name.clone()), ..self.endpoint };
        let region = endpoint.region(&self.seen, &profiles).map(|region| region.to_string());
        let mut reader = Reader::new(&self.seen, &profiles, &endpoint, self.prompt);
        let (role, base) = match reader.read(name.clone()).await? {
            Meaning::Role(role) => (Some(Arc::clone(&role)), Base::role(role)),
            Meaning::Base(base) => (None, base),
        };
        let first = if role.is_some() { reader.first } else { Some(base.clone()) };
        Ok(Profile { name, region, role, base, first, seen: self.seen })
    }
}
