//! AssumeRoleWithWebIdentity: a session for an identity token that lies in a file, such as a
//! Kubernetes service account's. The file is read anew for each session, since whoever put it there
//! replaces it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use rolekeeper_core::{Failure, Issued, Secret};

use super::{
    Fetch, KeyOf, Source, Surroundings,
    assume_role::session_name_of,
    parameters::{InlinePolicy, PolicyArns, RoleArn, SessionDuration, SessionName, account_of},
    place::place_setters,
    sts_call,
    sts_client::{Endpoint, Sts},
    sts_failure::{Asked, Proof},
};
use crate::stores::AwsCacheKey;

/// A role that an identity token may assume; no AWS credentials are needed.
///
/// ```
/// # async fn example() -> Result<(), rolekeeper::Failure> {
/// use rolekeeper::sources::WebIdentity;
///
/// let token = "/var/run/secrets/eks.amazonaws.com/serviceaccount/token";
/// let role = WebIdentity::builder("arn:aws:iam::123456789012:role/pod", token)
///     .region("eu-central-1")
///     .build()
///     .await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct WebIdentity {
    pub(super) role_arn: RoleArn,
    token_file: PathBuf,
    pub(super) session_name: Option<SessionName>,
    pub(super) duration: Option<SessionDuration>,
    pub(super) policy: Option<InlinePolicy>,
    pub(super) policy_arns: PolicyArns,
    pub(super) sts: Arc<Sts>,
    seen: Surroundings,
}

/// Makes a [`WebIdentity`].
#[derive(Clone, Debug)]
#[must_use = "build() makes the source"]
pub struct WebIdentityBuilder {
    role_arn: String,
    token_file: PathBuf,
    session_name: Option<String>,
    duration: Option<Duration>,
    policy: Option<String>,
    policy_arns: Vec<String>,
    endpoint: Endpoint,
    pub(super) sts: Option<Arc<Sts>>,
    seen: Surroundings,
}

// === impl WebIdentity ===

impl WebIdentity {
    /// Starts from the role's ARN and the file that holds the token.
    pub fn builder(
        role_arn: impl Into<String>,
        token_file: impl Into<PathBuf>,
    ) -> WebIdentityBuilder {
        WebIdentityBuilder::new(role_arn.into(), token_file.into(), Surroundings::real())
    }

    /// The role's ARN.
    pub fn role_arn(&self) -> &str {
        self.role_arn.as_str()
    }

    pub(super) async fn token(&self) -> Result<Secret, Failure> {
        let path = self.token_file.display();
        let bytes = self.seen.fs().read_to_end(&self.token_file).await.map_err(|error| {
            Failure::misconfigured(format!(
                "cannot read the web identity token file {path}: {error}"
            ))
            .with_hint("check web_identity_token_file, and who may read it")
        })?;
        let text = String::from_utf8(bytes).unwrap_or_default();
        let token = Secret::new(text.trim());
        // The service model's limits.
        match token.expose().chars().count() {
            4..=20_000 => Ok(token),
            count => Err(Failure::misconfigured(format!(
                "the web identity token file {path} has {count} characters of text, not 4 to 20000"
            ))
            .with_hint("put the identity provider's token into it")),
        }
    }

    async fn issue(&self) -> Result<Issued, Failure> {
        let token = self.token().await?;
        let session_name = match &self.session_name {
            Some(name) => name.clone(),
            None => session_name_of(&self.seen),
        };
        let asked = Asked {
            role: self.role_arn(),
            place: self.sts.place(),
            proof: Proof::IdentityToken,
            has_external_id: false,
            has_mfa: false,
        };
        let client = self.sts.client();
        let (output, heard) = sts_call::call(&asked, |listener| {
            client
                .assume_role_with_web_identity()
                .role_arn(self.role_arn.as_str())
                .role_session_name(session_name.as_str())
                .web_identity_token(token.expose())
                .set_duration_seconds(self.duration.map(SessionDuration::as_secs))
                .set_policy(self.policy.as_ref().map(|policy| policy.as_str().to_owned()))
                .set_policy_arns(self.policy_arns.for_sts())
                .customize()
                .interceptor(listener)
                .send()
        })
        .await?;
        sts_call::issued(output.credentials, output.assumed_role_user, &heard)
    }
}

impl Source for WebIdentity {
    fn fetch(&self) -> Fetch<'_> {
        Box::pin(self.issue())
    }

    fn name(&self) -> String {
        self.role_arn().to_owned()
    }

    fn account(&self) -> Option<String> {
        account_of(self.role_arn())
    }

    fn store_key(&self) -> KeyOf<'_> {
        Box::pin(self.made_of())
    }

    fn aws_cache_key(&self) -> Option<AwsCacheKey> {
        self.key_of_botocore()
    }
}

// === impl WebIdentityBuilder ===

impl WebIdentityBuilder {
    pub(super) fn new(role_arn: String, token_file: PathBuf, seen: Surroundings) -> Self {
        Self {
            role_arn,
            token_file,
            session_name: None,
            duration: None,
            policy: None,
            policy_arns: Vec::new(),
            endpoint: Endpoint::default(),
            sts: None,
            seen,
        }
    }

    /// As [`AssumeRoleBuilder::session_name`](super::AssumeRoleBuilder::session_name).
    pub fn session_name(mut self, name: impl Into<String>) -> Self {
        self.session_name = Some(name.into());
        self
    }

    /// 15 minutes to 12 hours, at most the role's own maximum. Without one, STS gives an hour.
    pub fn duration(mut self, duration: Duration) -> Self {
        self.duration = Some(duration);
        self
    }

    /// A session policy, as JSON.
    pub fn policy(mut self, json: impl Into<String>) -> Self {
        self.policy = Some(json.into());
        self
    }

    /// One more managed policy that narrows the session; at most 10.
    pub fn policy_arn(mut self, arn: impl Into<String>) -> Self {
        self.policy_arns.push(arn.into());
        self
    }

    place_setters!();

    /// Checks everything that can be checked here; the token file is first read by a fetch.
    ///
    /// # Errors
    /// [`Misconfigured`](rolekeeper_core::FailureKind::Misconfigured): a value that STS would
    /// refuse for its form, or no Region.
    pub async fn build(self) -> Result<WebIdentity, Failure> {
        Ok(WebIdentity {
            role_arn: RoleArn::parse(&self.role_arn)?,
            session_name: self.session_name.as_deref().map(SessionName::parse).transpose()?,
            duration: self.duration.map(SessionDuration::parse).transpose()?,
            policy: self.policy.as_deref().map(InlinePolicy::parse).transpose()?,
            policy_arns: PolicyArns::parse(self.policy_arns)?,
            sts: match self.sts {
                Some(sts) => sts,
                None => self.endpoint.open(&self.seen).await?,
            },
            token_file: self.token_file,
            seen: self.seen,
        })
    }
}
