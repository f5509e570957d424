//! Everything that AssumeRole can be told, checked before anything is sent.

use std::{fmt, sync::Arc, time::Duration};

use rolekeeper_core::Failure;

use super::{
    AssumeRole, Base, MfaPrompt, Surroundings,
    assume_role::Parameters,
    parameters::{
        ExternalId, InlinePolicy, MfaSerial, PolicyArns, ProvidedContexts, RoleArn,
        SessionDuration, SessionName, SourceIdentity, Tags, TransitiveTagKeys,
    },
    place::place_setters,
    sts_client::{Endpoint, Sts},
};

/// Makes an [`AssumeRole`]. Nothing is checked before [`build`](Self::build), which says what is
/// wrong.
#[derive(Clone)]
#[must_use = "build() makes the source"]
pub struct AssumeRoleBuilder {
    role_arn: String,
    session_name: Option<String>,
    duration: Option<Duration>,
    external_id: Option<String>,
    policy: Option<String>,
    policy_arns: Vec<String>,
    tags: Vec<(String, String)>,
    transitive_tag_keys: Vec<String>,
    source_identity: Option<String>,
    mfa_serial: Option<String>,
    mfa_prompt: Option<MfaPrompt>,
    contexts: Vec<(String, String)>,
    base: Base,
    pub(super) endpoint: Endpoint,
    pub(super) sts: Option<Arc<Sts>>,
    seen: Surroundings,
}

// === impl AssumeRoleBuilder ===

impl AssumeRoleBuilder {
    pub(super) fn new(role_arn: String, seen: Surroundings) -> Self {
        Self {
            role_arn,
            session_name: None,
            duration: None,
            external_id: None,
            policy: None,
            policy_arns: Vec::new(),
            tags: Vec::new(),
            transitive_tag_keys: Vec::new(),
            source_identity: None,
            mfa_serial: None,
            mfa_prompt: None,
            contexts: Vec::new(),
            base: Base::default(),
            endpoint: Endpoint::default(),
            sts: None,
            seen,
        }
    }

    /// What CloudTrail and the assumed role's ARN call the session: 2 to 64 letters, digits and
    /// `_+=,.@-`. Without one, `USER@HOST-PID` is made for each session.
    pub fn session_name(mut self, name: impl Into<String>) -> Self {
        self.session_name = Some(name.into());
        self
    }

    /// How long a session lasts: 15 minutes to 12 hours, at most the role's own maximum, at most an
    /// hour for a
    /// [chained role](Base::role). Without one, STS gives an hour. Parts of a second are dropped.
    pub fn duration(mut self, duration: Duration) -> Self {
        self.duration = Some(duration);
        self
    }

    /// What the role's trust policy compares with `sts:ExternalId`: 2 to 1224 letters, digits and
    /// `_+=,.@:/-`.
    pub fn external_id(mut self, id: impl Into<String>) -> Self {
        self.external_id = Some(id.into());
        self
    }

    /// A session policy, as JSON: the session may do what both it and the role's policies allow.
    pub fn policy(mut self, json: impl Into<String>) -> Self {
        self.policy = Some(json.into());
        self
    }

    /// One more managed policy that narrows the session; at most 10.
    pub fn policy_arn(mut self, arn: impl Into<String>) -> Self {
        self.policy_arns.push(arn.into());
        self
    }

    /// One more session tag; at most 50, the key of 1 to 128 and the value of up to 256 characters,
    /// no key twice (case does not count).
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.push((key.into(), value.into()));
        self
    }

    /// A tag key that sessions taken with this session inherit; at most 50.
    pub fn transitive_tag_key(mut self, key: impl Into<String>) -> Self {
        self.transitive_tag_keys.push(key.into());
        self
    }

    /// Who stands behind the session, kept through all further roles: 2 to 64 letters, digits and
    /// `_+=,.@-`, not starting with `aws:`.
    pub fn source_identity(mut self, identity: impl Into<String>) -> Self {
        self.source_identity = Some(identity.into());
        self
    }

    /// The MFA device that the role asks for: a serial number or ARN of 9 to 256 characters. Each
    /// fetch then asks
    /// [the prompt](Self::mfa_prompt); without one, a fetch fails with
    /// [`NeedsPerson`](rolekeeper_core::FailureKind::NeedsPerson).
    pub fn mfa_serial(mut self, serial: impl Into<String>) -> Self {
        self.mfa_serial = Some(serial.into());
        self
    }

    /// Who is asked for the MFA code. The time this takes counts as part of the attempt: give the
    /// policy an attempt timeout that a person can keep.
    pub fn mfa_prompt(mut self, prompt: MfaPrompt) -> Self {
        self.mfa_prompt = Some(prompt);
        self
    }

    /// One more assertion of a trusted context provider; at most 5.
    pub fn provided_context(
        mut self,
        provider_arn: impl Into<String>,
        assertion: impl Into<String>,
    ) -> Self {
        self.contexts.push((provider_arn.into(), assertion.into()));
        self
    }

    /// With what the role is assumed; the SDK's default chain without it.
    pub fn base(mut self, base: Base) -> Self {
        self.base = base;
        self
    }

    place_setters!();

    /// Checks everything that can be checked here. It reads the config files, and calls nobody.
    ///
    /// # Errors
    /// [`Misconfigured`](rolekeeper_core::FailureKind::Misconfigured), which names the value, the
    /// limit that it breaks and what to do: a value that STS would refuse for its form, no Region,
    /// an unknown profile.
    pub async fn build(self) -> Result<AssumeRole, Failure> {
        let role_arn = RoleArn::parse(&self.role_arn)?;
        let mut parameters = Parameters {
            session_name: self.session_name.as_deref().map(SessionName::parse).transpose()?,
            duration: self.duration.map(SessionDuration::parse).transpose()?,
            external_id: self.external_id.as_deref().map(ExternalId::parse).transpose()?,
            policy: self.policy.as_deref().map(InlinePolicy::parse).transpose()?,
            policy_arns: PolicyArns::parse(self.policy_arns)?,
            tags: Tags::parse(self.tags)?,
            transitive_tag_keys: TransitiveTagKeys::parse(self.transitive_tag_keys)?,
            source_identity: self
                .source_identity
                .as_deref()
                .map(SourceIdentity::parse)
                .transpose()?,
            mfa: match (self.mfa_serial, self.mfa_prompt) {
                (Some(serial), prompt) => Some((MfaSerial::parse(&serial)?, prompt)),
                (None, _) => None,
            },
            contexts: ProvidedContexts::parse(self.contexts)?,
            role_arn,
        };
        let sts = match self.sts {
            Some(sts) => sts,
            None => self.endpoint.open(&self.seen).await?,
        };
        let base = self.base.bind(&self.seen).await?;
        if base.is_role_session() {
            let role = parameters.role_arn.as_str();
            parameters.duration = parameters.duration.map(|duration| duration.chained(role));
        }
        Ok(AssumeRole { parameters: Arc::new(parameters), base, sts, seen: self.seen })
    }
}

/// Assertions are not shown.
impl fmt::Debug for AssumeRoleBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssumeRoleBuilder")
            .field("role_arn", &self.role_arn)
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}
