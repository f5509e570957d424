//! A session in the words of those who read it.
//!
//! Made once a session, not once a request, and wiped when nobody needs it any more.

use std::time::Duration;

use bytes::Bytes;
use rolekeeper::{Session, WallTime};
use serde::Serialize;
use zeroize::Zeroizing;

/// A document is some 1.5 KB, most of it the session token: enough that it never moves and leaves
/// a copy behind that nobody wipes.
const ROOM: usize = 8 * 1024;

/// Go's SDKs sign with a session until the very end they were told (`credential_process`, short
/// sessions over IMDS), and a call takes time to arrive: they are told a little less, of a short
/// session a tenth at most.
const SPARE: Duration = Duration::from_secs(10);

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Container<'a> {
    access_key_id: &'a str,
    secret_access_key: &'a str,
    token: &'a str,
    expiration: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role_arn: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Instance<'a> {
    /// Go and PHP insist on it.
    code: &'static str,
    last_updated: String,
    r#type: &'static str,
    #[serde(flatten)]
    session: Container<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Process<'a> {
    version: u8,
    access_key_id: &'a str,
    secret_access_key: &'a str,
    session_token: &'a str,
    expiration: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<&'a str>,
}

/// As ECS and EKS answer it:
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>
pub fn container(session: &Session) -> Bytes {
    wiped_at_the_end(&Container::of(session))
}

/// As EC2's instance metadata answers it:
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html>
pub fn instance(session: &Session) -> Bytes {
    wiped_at_the_end(&Instance {
        code: "Success",
        last_updated: session.arrived().wall.to_string(),
        r#type: "AWS-HMAC",
        session: Container::of(session),
    })
}

/// As a program that `credential_process` names prints it:
/// <https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-sourcing-external.html>
pub fn process(session: &Session) -> Bytes {
    let credentials = session.credentials();
    wiped_at_the_end(&Process {
        version: 1,
        access_key_id: &credentials.access_key_id,
        secret_access_key: credentials.secret_access_key.expose(),
        session_token: credentials.session_token.expose(),
        expiration: told_end(session).to_string(),
        account_id: session.account_id(),
    })
}

impl<'a> Container<'a> {
    fn of(session: &'a Session) -> Self {
        let credentials = session.credentials();
        Self {
            access_key_id: &credentials.access_key_id,
            secret_access_key: credentials.secret_access_key.expose(),
            token: credentials.session_token.expose(),
            // In the local clock's terms, since that is what clients compare it with; in whole
            // seconds of UTC, since JavaScript's pattern and Rust's parser take no other form.
            expiration: told_end(session).to_string(),
            account_id: session.account_id(),
            role_arn: session.assumed_role_arn(),
        }
    }
}

/// When clients are to take the session as over.
fn told_end(session: &Session) -> WallTime {
    session.expiration().before((session.lifetime() / 10).min(SPARE))
}

fn wiped_at_the_end(document: &impl Serialize) -> Bytes {
    let mut text = Zeroizing::new(Vec::with_capacity(ROOM));
    // Strings and numbers into memory: nothing in it can fail.
    let _ = serde_json::to_writer(&mut *text, document);
    // Bytes keeps what it owns; only the token's length decides how long.
    let exact = Zeroizing::new(text.as_slice().to_vec());
    Bytes::from_owner(exact)
}
