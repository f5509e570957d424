//! Who credentials belong to, as STS sees it: GetCallerIdentity, which everybody is allowed to
//! call.

use std::sync::Arc;

use aws_sdk_sts::config::Builder as Override;
use rolekeeper_core::{Failure, WallTime};

use super::{
    Base, Surroundings,
    place::place_setters,
    sts_call,
    sts_client::{Endpoint, Sts},
    sts_failure::{Asked, Proof},
};

/// STS' answer to GetCallerIdentity.
///
/// ```no_run
/// # async fn example() -> Result<(), rolekeeper::Failure> {
/// use rolekeeper::sources::{Base, CallerIdentity};
///
/// let who = CallerIdentity::of(Base::default_chain()).region("eu-west-1").ask().await?;
/// println!("{} of account {}", who.arn, who.account);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallerIdentity {
    /// 12 digits.
    pub account: String,
    /// Of the user, the role's session, or the account itself.
    pub arn: String,
    /// `AIDA…` of a user, `AROA…:SESSION` of a role's session.
    pub user_id: String,
    /// The service's clock when it answered.
    pub answered_at: Option<WallTime>,
}

/// Asks for a [`CallerIdentity`].
#[derive(Clone, Debug)]
#[must_use = "ask() makes the call"]
pub struct CallerIdentityRequest {
    base: Base,
    endpoint: Endpoint,
    seen: Surroundings,
}

impl CallerIdentity {
    /// Of whom to ask.
    pub fn of(base: Base) -> CallerIdentityRequest {
        let (endpoint, seen) = Default::default();
        CallerIdentityRequest { base, endpoint, seen }
    }
}

impl CallerIdentityRequest {
    /// Whose `region` and `endpoint_url` count. Without it: `AWS_PROFILE`'s.
    pub fn profile(mut self, name: impl Into<String>) -> Self {
        self.endpoint.profile = Some(name.into());
        self
    }

    place_setters!();

    /// One call.
    ///
    /// # Errors
    /// No base credentials, no Region, or a call that failed; as
    /// [`AssumeRole`](super::AssumeRole)'s fetch.
    pub async fn ask(self) -> Result<CallerIdentity, Failure> {
        let sts: Arc<Sts> = self.endpoint.open(&self.seen).await?;
        let base = self.base.bind(&self.seen).await?;
        let credentials = base.credentials(&self.seen, sts.region()).await?;
        let asked = Asked {
            role: "the caller's identity",
            place: sts.place(),
            proof: Proof::Signature,
            has_external_id: false,
            has_mfa: false,
        };
        let client = sts.client();
        let (output, heard) = sts_call::call(&asked, |listener| {
            client
                .get_caller_identity()
                .customize()
                .interceptor(listener)
                .config_override(Override::new().credentials_provider(credentials.clone()))
                .send()
        })
        .await?;
        let missing = |what| Failure::bad_answer(format!("the answer of STS has no {what}"));
        Ok(CallerIdentity {
            account: output.account.ok_or_else(|| missing("Account"))?,
            arn: output.arn.ok_or_else(|| missing("Arn"))?,
            user_id: output.user_id.ok_or_else(|| missing("UserId"))?,
            answered_at: heard.date,
        })
    }
}
