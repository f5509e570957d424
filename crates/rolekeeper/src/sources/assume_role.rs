//! AssumeRole: one signed call for one session.

use std::sync::Arc;

use aws_sdk_sts::{
    config::Builder as Override,
    types::{PolicyDescriptorType, ProvidedContext, Tag},
};
use rolekeeper_core::{Failure, Issued, Secret};

use super::{
    AssumeRoleBuilder, Base, Fetch, KeyOf, MfaPrompt, MfaRequest, Source, Surroundings, mfa,
    parameters::{
        ExternalId, InlinePolicy, MfaSerial, PolicyArns, ProvidedContexts, RoleArn,
        SessionDuration, SessionName, SourceIdentity, Tags, TransitiveTagKeys, account_of,
    },
    sts_call,
    sts_client::Sts,
    sts_failure::{Asked, Proof, is_about_base},
};
use crate::stores::AwsCacheKey;

/// A role, and everything that AssumeRole is told of the session. Clones share base credentials and
/// connections.
///
/// ```
/// # async fn example() -> Result<(), rolekeeper::Failure> {
/// use rolekeeper::sources::AssumeRole;
/// use std::time::Duration;
///
/// let role = AssumeRole::builder("arn:aws:iam::123456789012:role/backup")
///     .region("eu-central-1")
///     .duration(Duration::from_secs(4 * 3600))
///     .external_id("customer-7")
///     .tag("team", "storage")
///     .build()
///     .await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct AssumeRole {
    pub(super) parameters: Arc<Parameters>,
    pub(super) base: Base,
    pub(super) sts: Arc<Sts>,
    pub(super) seen: Surroundings,
}

#[derive(Debug)]
pub(super) struct Parameters {
    pub(super) role_arn: RoleArn,
    /// `None`: made anew for each session.
    pub(super) session_name: Option<SessionName>,
    pub(super) duration: Option<SessionDuration>,
    pub(super) external_id: Option<ExternalId>,
    pub(super) policy: Option<InlinePolicy>,
    pub(super) policy_arns: PolicyArns,
    pub(super) tags: Tags,
    pub(super) transitive_tag_keys: TransitiveTagKeys,
    pub(super) source_identity: Option<SourceIdentity>,
    pub(super) mfa: Option<(MfaSerial, Option<MfaPrompt>)>,
    pub(super) contexts: ProvidedContexts,
}

// === impl AssumeRole ===

impl AssumeRole {
    /// Starts from the role's ARN: `arn:aws:iam::123456789012:role/NAME`, 20 to 2048 characters.
    pub fn builder(role_arn: impl Into<String>) -> AssumeRoleBuilder {
        AssumeRoleBuilder::new(role_arn.into(), Surroundings::real())
    }

    /// The role's ARN.
    pub fn role_arn(&self) -> &str {
        self.parameters.role_arn.as_str()
    }

    /// The Region that STS is called in.
    pub fn region(&self) -> Option<&str> {
        self.sts.region().map(AsRef::as_ref)
    }

    /// With what it is assumed, as its builder has found it: more roles that are given it look
    /// nothing up again, and share its credentials.
    pub fn base(&self) -> Base {
        self.base.clone()
    }

    async fn issue(&self) -> Result<Issued, Failure> {
        let parameters = &*self.parameters;
        let code = self.mfa_code().await?;
        let credentials = self.base.credentials(&self.seen, self.sts.region()).await?;
        let session_name = match &parameters.session_name {
            Some(name) => name.clone(),
            None => session_name_of(&self.seen),
        };
        let asked = Asked {
            role: self.role_arn(),
            place: self.sts.place(),
            proof: Proof::Signature,
            has_external_id: parameters.external_id.is_some(),
            has_mfa: parameters.mfa.is_some(),
        };
        let client = self.sts.client();
        let outcome = sts_call::call(&asked, |listener| {
            let request = client
                .assume_role()
                .role_arn(parameters.role_arn.as_str())
                .role_session_name(session_name.as_str());
            parameters
                .fill(request, code.as_ref())
                .customize()
                .interceptor(listener)
                .config_override(Override::new().credentials_provider(credentials.clone()))
                .send()
        })
        .await;
        match outcome {
            Ok((output, heard)) => {
                sts_call::issued(output.credentials, output.assumed_role_user, &heard)
            }
            Err(failure) => {
                if is_about_base(&failure) {
                    self.base.forget();
                }
                Err(failure)
            }
        }
    }

    async fn mfa_code(&self) -> Result<Option<Secret>, Failure> {
        let Some((serial, prompt)) = &self.parameters.mfa else { return Ok(None) };
        let serial = serial.as_str();
        let Some(prompt) = prompt else { return Err(mfa::nobody(serial)) };
        let request =
            MfaRequest { role_arn: self.role_arn().to_owned(), serial: serial.to_owned() };
        prompt.ask(request).await.map(Some)
    }
}

/// Made anew for each session, so that after a `fork` it names the right process.
pub(super) fn session_name_of(seen: &Surroundings) -> SessionName {
    SessionName::of(seen.user().as_deref(), seen.host().as_deref(), std::process::id())
}

impl Source for AssumeRole {
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

// === impl Parameters ===

type Request = aws_sdk_sts::operation::assume_role::builders::AssumeRoleFluentBuilder;

impl Parameters {
    fn fill(&self, request: Request, code: Option<&Secret>) -> Request {
        let some = |text: Option<&str>| text.map(ToOwned::to_owned);
        request
            .set_duration_seconds(self.duration.map(SessionDuration::as_secs))
            .set_external_id(some(self.external_id.as_ref().map(ExternalId::as_str)))
            .set_policy(some(self.policy.as_ref().map(InlinePolicy::as_str)))
            .set_policy_arns(self.policy_arns.for_sts())
            .set_tags(self.tags.for_sts())
            .set_transitive_tag_keys(list(self.transitive_tag_keys.as_slice().to_vec()))
            .set_source_identity(some(self.source_identity.as_ref().map(SourceIdentity::as_str)))
            .set_serial_number(some(self.mfa.as_ref().map(|(serial, _)| serial.as_str())))
            .set_token_code(code.map(|code| code.expose().to_owned()))
            .set_provided_contexts(self.contexts.for_sts())
    }
}

/// An empty list is left out of the request.
fn list<T>(items: Vec<T>) -> Option<Vec<T>> {
    Some(items).filter(|items| !items.is_empty())
}

impl PolicyArns {
    pub(super) fn for_sts(&self) -> Option<Vec<PolicyDescriptorType>> {
        let arn = |arn: &String| PolicyDescriptorType::builder().arn(arn).build();
        list(self.as_slice().iter().map(arn).collect())
    }
}

impl Tags {
    fn for_sts(&self) -> Option<Vec<Tag>> {
        let tag = |(key, value): &(String, String)| Tag::builder().key(key).value(value).build();
        // A tag without key or value is the one thing that build() refuses, and both are set.
        list(self.as_slice().iter().filter_map(|pair| tag(pair).ok()).collect())
    }
}

impl ProvidedContexts {
    fn for_sts(&self) -> Option<Vec<ProvidedContext>> {
        let context = |(provider, assertion): &(String, String)| {
            ProvidedContext::builder().provider_arn(provider).context_assertion(assertion).build()
        };
        list(self.as_slice().iter().map(context).collect())
    }
}
