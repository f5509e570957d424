//! Why there are no base credentials, and who can mend that: the errors of the SDK's credentials
//! providers.

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::result::ConnectorError;
use rolekeeper_core::Failure;

use super::causes::causes;

/// What a login that ran out looks like: the texts of the SSO and sign-in providers, whose types
/// are not public.
const SSO_RAN_OUT: [&str; 5] = [
    "SSO token has expired",
    "cached SSO token",
    "UnauthorizedException",
    "Session token not found or invalid",
    ".aws/sso/cache",
];
const LOGIN_RAN_OUT: [&str; 3] =
    ["session has expired", "Please reauthenticate", ".aws/login/cache"];

/// `profile`: the one that was asked, for the hint.
pub(crate) fn of(error: &CredentialsError, profile: Option<&str>) -> Failure {
    let why = causes(error);
    let with_profile = |command: &str| match profile {
        Some(profile) => format!("run `{command} --profile {profile}`"),
        None => format!("run `{command}`"),
    };
    // Debug too: some of the SDK's errors say the code only there.
    let debug = format!("{error:?}");
    let says = |texts: &[&str]| texts.iter().any(|text| why.contains(text) || debug.contains(text));
    if says(&SSO_RAN_OUT) {
        return Failure::needs_person(format!("the SSO login has run out: {why}"))
            .with_hint(with_profile("aws sso login"));
    }
    if says(&LOGIN_RAN_OUT) {
        return Failure::needs_person(format!("the console login has run out: {why}"))
            .with_hint(with_profile("aws login"));
    }
    match error {
        CredentialsError::CredentialsNotLoaded(_) => {
            Failure::misconfigured(format!("no base credentials were found: {why}"))
                .with_hint("set AWS_PROFILE, log in, or pass base credentials")
        }
        CredentialsError::InvalidConfiguration(_) => {
            Failure::misconfigured(format!("the base credentials are not set up well: {why}"))
        }
        CredentialsError::ProviderTimedOut(_) => {
            Failure::unavailable(format!("the base credentials did not come in time: {why}"))
        }
        _ if is_connection(error) => {
            Failure::unavailable(format!("the base credentials cannot be reached: {why}"))
        }
        _ => Failure::unavailable(format!("cannot get base credentials: {why}")),
    }
}

fn is_connection(error: &CredentialsError) -> bool {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<ConnectorError>() || error.is::<std::io::Error>() {
            return true;
        }
        cause = error.source();
    }
    false
}
