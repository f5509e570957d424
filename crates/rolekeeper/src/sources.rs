//! *How* a session is made: AssumeRole and its siblings on the official AWS SDK, a profile of
//! `~/.aws/config`, or any function of your own.
//!
//! A source knows nothing of refreshing. It is asked for one session at a time, makes at most the
//! calls that this takes, never retries (the lifecycle decides when to ask again) and says in its
//! [`Failure`] who can mend what went wrong. The one exception: a signature that was refused
//! because this machine's clock is off is made once more at once, by the server's clock.
//!
//! | source | makes a session by |
//! |---|---|
//! | [`AssumeRole`] | one AssumeRole call, with [base credentials](Base) or another source's session |
//! | [`WebIdentity`] | AssumeRoleWithWebIdentity, with a token file |
//! | [`Profile`] | whatever the profile says, as the AWS CLI would |
//! | [`Callback`] | a function of your own |
//! | [`FromProvider`] | any credentials provider of the AWS SDK |

mod assume_role;
mod assume_role_builder;
mod aws_cache_key;
mod base;
mod base_failure;
mod bounded;
mod callback;
mod caller_identity;
mod causes;
mod made_of;
mod mfa;
mod parameters;
mod per_process;
mod place;
mod profile;
mod profile_chain;
mod profile_file;
mod sts_call;
mod sts_client;
mod sts_failure;
mod surroundings;
mod web_identity;

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use rolekeeper_core::{Failure, Issued};

use crate::stores::{AwsCacheKey, StoreKey};

pub use assume_role::AssumeRole;
pub use assume_role_builder::AssumeRoleBuilder;
pub use base::Base;
pub(crate) use callback::issued_of;
pub use callback::{Callback, FromProvider, UNDATED_LIFETIME};
pub use caller_identity::{CallerIdentity, CallerIdentityRequest};
pub use mfa::{MfaPrompt, MfaRequest};
pub(crate) use parameters::account_of;
pub(crate) use per_process::PerProcess;
pub use place::Place;
pub use profile::{Profile, ProfileBuilder};
pub use sts_failure::sort_sts_code;
pub use surroundings::Surroundings;
pub use web_identity::{WebIdentity, WebIdentityBuilder};

/// What [`Source::fetch`] returns.
pub type Fetch<'a> = Pin<Box<dyn Future<Output = Result<Issued, Failure>> + Send + 'a>>;

/// What [`Source::store_key`] returns.
pub type KeyOf<'a> = Pin<Box<dyn Future<Output = Result<Option<StoreKey>, Failure>> + Send + 'a>>;

/// Whatever can make a session.
pub trait Source: fmt::Debug + Send + Sync + 'static {
    /// Makes one session. Called by one task at a time for each lifecycle; dropped when it takes
    /// longer than the policy's attempt timeout.
    fn fetch(&self) -> Fetch<'_>;

    /// What messages call it: the role's ARN, or a name such as `callback`.
    fn name(&self) -> String;

    /// The account that a fetch is counted for in a [`Keyring`](crate::Keyring)'s pace, 12 digits:
    /// for a role, the role's. `None`: not known, and counted with all others of which it isn't.
    fn account(&self) -> Option<String> {
        None
    }

    /// Of all that makes its sessions, the base credentials included: who has the same key may have
    /// the same session from a [store](crate::stores). `None`: that is not known, and it shares none.
    ///
    /// # Errors
    /// What the key is made of can't be had, such as base credentials: there is no session either.
    fn store_key(&self) -> KeyOf<'_> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Under which the AWS CLI and botocore would keep its session, if a profile of theirs could make
    /// the same one. Unlike [`store_key`](Self::store_key) it doesn't tell base credentials apart.
    fn aws_cache_key(&self) -> Option<AwsCacheKey> {
        None
    }

    /// Whether it keeps its session fresh by itself. A role that is assumed with its sessions then
    /// asks it for each, and keeps none of its own.
    fn keeps_fresh(&self) -> bool {
        false
    }

    /// A service has refused the session with this access key id, which came from here.
    fn refused(&self, access_key_id: &str) {
        let _ = access_key_id;
    }
}

impl<S: Source + ?Sized> Source for Arc<S> {
    fn fetch(&self) -> Fetch<'_> {
        (**self).fetch()
    }

    fn name(&self) -> String {
        (**self).name()
    }

    fn account(&self) -> Option<String> {
        (**self).account()
    }

    fn store_key(&self) -> KeyOf<'_> {
        (**self).store_key()
    }

    fn aws_cache_key(&self) -> Option<AwsCacheKey> {
        (**self).aws_cache_key()
    }

    fn keeps_fresh(&self) -> bool {
        (**self).keeps_fresh()
    }

    fn refused(&self, access_key_id: &str) {
        (**self).refused(access_key_id);
    }
}
