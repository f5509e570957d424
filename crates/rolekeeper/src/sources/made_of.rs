//! What each source's sessions are made of, as the key that a store has them under: whoever changes
//! one of these makes other sessions.
//!
//! Base credentials count by their key. A chained role counts by the key of the role before it.

use base64ct::{Base64UrlUnpadded, Encoding};
use rolekeeper_core::Failure;

use super::{
    AssumeRole, WebIdentity,
    assume_role::Parameters,
    parameters::{ExternalId, InlinePolicy, MfaSerial, SessionName, SourceIdentity},
};
use crate::stores::{StoreKey, StoreKeyBuilder};

impl AssumeRole {
    pub(super) async fn made_of(&self) -> Result<Option<StoreKey>, Failure> {
        let Some(base) = self.base.made_of(&self.seen, self.sts.region()).await? else {
            return Ok(None);
        };
        let key = StoreKey::of("AssumeRole").with("base", base.as_bytes());
        Ok(Some(self.parameters.part_of(self.sts.part_of(key)).build()))
    }
}

impl Parameters {
    fn part_of(&self, key: StoreKeyBuilder) -> StoreKeyBuilder {
        let Self {
            role_arn,
            session_name,
            duration,
            external_id,
            policy,
            policy_arns,
            tags,
            transitive_tag_keys,
            source_identity,
            mfa,
            contexts,
        } = self;
        let key = key
            .with("role_arn", role_arn.as_str())
            .with_option("session_name", session_name.as_ref().map(SessionName::as_str))
            .with_option("duration", duration.map(|duration| duration.as_secs().to_string()))
            .with_option("external_id", external_id.as_ref().map(ExternalId::as_str))
            .with_option("policy", policy.as_ref().map(InlinePolicy::as_str))
            .with_option("source_identity", source_identity.as_ref().map(SourceIdentity::as_str))
            .with_option("mfa", mfa.as_ref().map(|(serial, _)| MfaSerial::as_str(serial)));
        let key = list(key, "policy_arn", policy_arns.as_slice());
        let key = list(key, "transitive_tag_key", transitive_tag_keys.as_slice());
        let key = pairs(key, "tag", tags.as_slice());
        pairs(key, "context", contexts.as_slice())
    }
}

impl WebIdentity {
    pub(super) async fn made_of(&self) -> Result<Option<StoreKey>, Failure> {
        let Self { role_arn, session_name, duration, policy, policy_arns, sts, .. } = self;
        let key = StoreKey::of("AssumeRoleWithWebIdentity")
            .with("role_arn", role_arn.as_str())
            .with_option("session_name", session_name.as_ref().map(SessionName::as_str))
            .with_option("duration", duration.map(|duration| duration.as_secs().to_string()))
            .with_option("policy", policy.as_ref().map(InlinePolicy::as_str));
        let key = list(key, "policy_arn", policy_arns.as_slice());
        let token = self.token().await?;
        Ok(Some(identity(sts.part_of(key), token.expose()).build()))
    }
}

/// Who the token is of. It is replaced every hour or so, and its issuer, subject and audiences stay:
/// those are what a role's trust policy looks at. Nobody has checked its signature here; STS does
/// before there is a session, and who can put a made-up one into the token file could as well read
/// the true one. A token of another form counts by its text.
fn identity(key: StoreKeyBuilder, token: &str) -> StoreKeyBuilder {
    match claims(token) {
        Some(claims) => ["iss", "sub", "aud", "azp", "amr"].into_iter().fold(key, |key, name| {
            key.with_option(name, claims.get(name).map(serde_json::Value::to_string))
        }),
        None => key.with("token", token),
    }
}

/// Of a JSON Web Token that says who it is of (RFC 7519).
fn claims(token: &str) -> Option<serde_json::Map<String, serde_json::Value>> {
    let payload = Base64UrlUnpadded::decode_vec(token.split('.').nth(1)?).ok()?;
    let claims: serde_json::Map<_, _> = serde_json::from_slice(&payload).ok()?;
    (claims.contains_key("iss") && claims.contains_key("sub")).then_some(claims)
}

/// Its length too, so that no list runs into the next.
fn list(key: StoreKeyBuilder, name: &str, items: &[String]) -> StoreKeyBuilder {
    let key = key.with("count", items.len().to_string());
    items.iter().fold(key, |key, item| key.with(name, item))
}

fn pairs(key: StoreKeyBuilder, name: &str, items: &[(String, String)]) -> StoreKeyBuilder {
    let key = key.with("count", items.len().to_string());
    items.iter().fold(key, |key, (first, second)| key.with(name, first).with("value", second))
}
