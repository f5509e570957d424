//! AssumeRoleWithWebIdentity: nobody signs the call, the token has to be right.

use std::time::Duration;

use crate::common::{Answer, Call, assume_role, list_buckets, sts};
use base64ct::{Base64UrlUnpadded, Encoding};
use rolekeeper_sandbox::{Config, Running, Sandbox};

const MINUTE: Duration = Duration::from_secs(60);

const CONFIG: &str = r#"
    [roles.web]
    trust = ["issuer/forge"]
    subjects = ["repo:mine", "revoked"]
    [roles.other]
    trust = ["issuer/down"]
    [issuers.forge]
    url = "https://forge.example"
    audiences = ["sts.amazonaws.com"]
    secret = "one secret"
    rejected_subjects = ["revoked"]
    [issuers.down]
    url = "https://down.example"
    audiences = ["sts.amazonaws.com"]
    secret = "another secret"
    unreachable = true
"#;

async fn start() -> Running {
    Sandbox::builder().config(Config::from_toml(CONFIG).unwrap()).start().await.unwrap()
}

fn with(token: &str, role: &str) -> Call {
    let arn = format!("arn:aws:iam::123456789012:role/{role}");
    let name = ("RoleSessionName", "web-session");
    sts("AssumeRoleWithWebIdentity", &[("RoleArn", &arn), name, ("WebIdentityToken", token)])
}

async fn answer(sandbox: &Running, issuer: &str, subject: &str, role: &str) -> Answer {
    let token = sandbox.identity_token(issuer, subject, MINUTE).unwrap();
    with(&token, role).send_unsigned(sandbox).await
}

/// Signs claims that no issuer would make.
fn forged(header: &str, claims: &str, secret: &str) -> String {
    use hmac::{Hmac, Mac};
    let encode = |part: &str| Base64UrlUnpadded::encode_string(part.as_bytes());
    let signed = format!("{}.{}", encode(header), encode(claims));
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(signed.as_bytes());
    format!("{signed}.{}", Base64UrlUnpadded::encode_string(&mac.finalize().into_bytes()))
}

#[tokio::test]
async fn a_good_token_is_worth_a_session() {
    let sandbox = start().await;
    let answer = answer(&sandbox, "forge", "repo:mine", "web").await;
    answer.is(200, "");
    assert_eq!(
        answer.xml("Arn").unwrap(),
        "arn:aws:sts::123456789012:assumed-role/web/web-session"
    );
    assert_eq!(answer.xml("SubjectFromWebIdentityToken").unwrap(), "repo:mine");
    assert_eq!(answer.xml("Audience").unwrap(), "sts.amazonaws.com");
    assert_eq!(answer.xml("Provider").unwrap(), "https://forge.example");
    list_buckets().send(&sandbox, &answer.key()).await.is(200, "");
}

#[tokio::test]
async fn a_role_is_closed_to_issuers_and_subjects_it_does_not_trust() {
    let sandbox = start().await;
    answer(&sandbox, "forge", "repo:theirs", "web").await.is(403, "AccessDenied");
    answer(&sandbox, "forge", "repo:mine", "other").await.is(403, "AccessDenied");
    answer(&sandbox, "forge", "repo:mine", "nobody").await.is(403, "AccessDenied");

    let default = Sandbox::builder().start().await.unwrap();
    answer(&default, "sandbox", "me", "web").await.is(200, "");
    answer(&default, "sandbox", "me", "demo").await.is(403, "AccessDenied");
    let user = crate::common::demo(&default);
    assume_role("web", &[]).send(&default, &user).await.is(403, "AccessDenied");
}

#[tokio::test]
async fn each_thing_wrong_with_a_token_has_its_own_code() {
    let sandbox = start().await;
    answer(&sandbox, "forge", "revoked", "web").await.is(403, "IDPRejectedClaim");
    answer(&sandbox, "down", "me", "other").await.is(400, "IDPCommunicationError");

    let over = sandbox.identity_token("forge", "repo:mine", Duration::ZERO).unwrap();
    let answer = with(&over, "web").send_unsigned(&sandbox).await;
    answer.is(400, "ExpiredTokenException");
    with("abc", "web").send_unsigned(&sandbox).await.is(400, "ValidationError");
}

#[tokio::test]
async fn a_forged_token_is_invalid() {
    let sandbox = start().await;
    let claims = r#"{"iss":"https://forge.example","sub":"repo:mine","exp":99999999999,
                     "aud":["x","sts.amazonaws.com"]}"#;
    let hs256 = r#"{"alg":"HS256"}"#;
    let good = forged(hs256, claims, "one secret");
    with(&good, "web").send_unsigned(&sandbox).await.is(200, "");

    let good_signature = good.rsplit_once('.').unwrap().1;
    let other = forged(hs256, &claims.replace("mine", "yours"), "one secret");
    for token in [
        forged(hs256, claims, "not the secret"),
        forged(r#"{"alg":"none"}"#, claims, "one secret"),
        forged(r#"{"alg":"RS256"}"#, claims, "one secret"),
        forged(hs256, &claims.replace("forge", "forger"), "one secret"),
        forged(hs256, &claims.replace("exp", "until"), "one secret"),
        forged(hs256, &claims.replace("aud", "audience"), "one secret"),
        forged(hs256, &claims.replace("sts.amazonaws.com", "y"), "one secret"),
        forged(hs256, "[]", "one secret"),
        format!("{}.{good_signature}", other.rsplit_once('.').unwrap().0),
        good.rsplit_once('.').unwrap().0.to_owned(),
        format!("{}.", good.rsplit_once('.').unwrap().0),
        "....".to_owned(),
    ] {
        let answer = with(&token, "web").send_unsigned(&sandbox).await;
        assert_eq!(answer.outcome(), (400, "InvalidIdentityToken".to_owned()), "{token}");
    }
}
