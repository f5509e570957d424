//! What a program finds in its environment: our credentials and nobody else's.

use std::ffi::OsString;

use rolekeeper::Session;

/// Every variable by which some SDK chooses credentials or a profile. All of them go before ours
/// are set, or one that was left over would win.
pub(crate) const CREDENTIAL_VARIABLES: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_ACCESS_KEY",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_SESSION_EXPIRATION",
    "AWS_ACCOUNT_ID",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_VAULT",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CREDENTIAL_FILE",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
];

/// By what a program finds the instance metadata service at `url`, and nothing else.
pub(crate) fn imds(url: &str) -> Variables {
    let mut variables: Variables = vec![
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.into()),
        ("AWS_EC2_METADATA_DISABLED", "false".into()),
    ];
    // botocore asks once, and waits for a second: too little for a fetch that takes its time.
    for (name, value) in
        [("AWS_METADATA_SERVICE_TIMEOUT", "2"), ("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "3")]
    {
        if std::env::var_os(name).is_none() {
            variables.push((name, value.into()));
        }
    }
    variables
}

/// Variables to set, in order.
pub(crate) type Variables = Vec<(&'static str, OsString)>;

/// Where it is set, so that a program without a Region of its own finds one.
pub(crate) fn region(region: Option<&str>) -> Variables {
    region.map_or_else(Vec::new, |region| {
        vec![("AWS_REGION", region.into()), ("AWS_DEFAULT_REGION", region.into())]
    })
}

/// The session itself, which then can't be refreshed.
pub(crate) fn session(session: &Session) -> Variables {
    let credentials = session.credentials();
    let mut variables = vec![
        ("AWS_ACCESS_KEY_ID", credentials.access_key_id.as_str().into()),
        ("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key.expose().into()),
        ("AWS_SESSION_TOKEN", credentials.session_token.expose().into()),
        ("AWS_CREDENTIAL_EXPIRATION", session.expiration().to_string().into()),
    ];
    if let Some(account_id) = session.account_id() {
        variables.push(("AWS_ACCOUNT_ID", account_id.into()));
    }
    variables
}
