//! `ProvideCredentials`: refreshable credentials go into any client of the AWS SDK. How to use it,
//! and why not with the SDK's own cache, stands in [`adapters`](crate::adapters).

use std::{sync::Arc, time::SystemTime};

use aws_credential_types::{
    Credentials as SdkCredentials,
    attributes::AccountId,
    provider::{ProvideCredentials, error::CredentialsError, future},
};
use aws_smithy_runtime_api::client::identity::Identity;
use rolekeeper_core::{FailureKind, Session};

use crate::{Current, Error, RefreshableCredentials};

/// A session as the SDK's providers and as its identity caches hand it out; clones share one copy
/// of the secrets.
pub(crate) struct SdkForm {
    session: Arc<Session>,
    credentials: SdkCredentials,
    identity: Identity,
}

/// What the SDK says of where credentials came from.
const PROVIDER_NAME: &str = "rolekeeper";

impl ProvideCredentials for RefreshableCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        match self.quick() {
            Some(current) => {
                let credentials = self.sdk_form(&current, SdkForm::credentials);
                future::ProvideCredentials::ready(Ok(credentials))
            }
            None => future::ProvideCredentials::new(async {
                let current = self.get().await.map_err(sdk_error)?;
                Ok(self.sdk_form(&current, SdkForm::credentials))
            }),
        }
    }

    fn fallback_on_interrupt(&self) -> Option<SdkCredentials> {
        self.current().map(|current| self.sdk_form(&current, SdkForm::credentials))
    }
}

/// A session in the SDK's form, which itself is never refreshed. Its clones share one copy of the
/// secrets.
pub fn sdk_credentials(session: &Session) -> SdkCredentials {
    let credentials = session.credentials();
    let token = credentials.session_token.expose();
    let mut builder = SdkCredentials::builder()
        .access_key_id(&credentials.access_key_id)
        .secret_access_key(credentials.secret_access_key.expose())
        .expiry(SystemTime::from(session.expiration()))
        .provider_name(PROVIDER_NAME);
    if !token.is_empty() {
        builder = builder.session_token(token);
    }
    if let Some(account_id) = session.account_id() {
        builder = builder.account_id(AccountId::from(account_id.to_owned()));
    }
    builder.build()
}

fn sdk_error(error: Error) -> CredentialsError {
    match error.kind() {
        FailureKind::Misconfigured => CredentialsError::invalid_configuration(error),
        _ => CredentialsError::provider_error(error),
    }
}

// === impl SdkForm ===

impl SdkForm {
    pub(crate) fn of(current: &Current) -> Self {
        let credentials = sdk_credentials(current);
        Self { session: current.share(), identity: credentials.clone().into(), credentials }
    }

    #[inline]
    pub(crate) fn is_of(&self, session: &Session) -> bool {
        std::ptr::eq(Arc::as_ptr(&self.session), session)
    }

    pub(crate) fn credentials(&self) -> SdkCredentials {
        self.credentials.clone()
    }

    pub(crate) fn identity(&self) -> Identity {
        self.identity.clone()
    }
}
