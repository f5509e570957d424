//! Decides whether an identity token (a JWT, HS256) is good, and whom it names.

use base64ct::{Base64UrlUnpadded, Encoding};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::time::Duration;

use crate::clock::Moment;
use crate::config::{Config, Issuer};
use crate::wire::Refusal;

/// Whom a verified token names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The issuer's name in the configuration.
    pub(crate) issuer: String,
    pub(crate) url: String,
    pub(crate) subject: String,
    pub(crate) audience: String,
}

/// Verifies a token as STS does: issuer, signature, expiry, audience, and then the subject.
pub(crate) fn verify(config: &Config, token: &str, now: Moment) -> Result<Identity, Refusal> {
    let unreadable = || invalid("The ID Token provided is not a valid JWT.");
    let (signed, signature) = token.rsplit_once('.').ok_or_else(unreadable)?;
    let (header, payload) = signed.split_once('.').ok_or_else(unreadable)?;
    let header = object(header).ok_or_else(unreadable)?;
    let claims = object(payload).ok_or_else(unreadable)?;
    let claim = |name: &str| claims.get(name).and_then(Value::as_str);

    let url = claim("iss").ok_or_else(|| invalid("Missing a required claim: iss"))?;
    let (name, issuer) =
        config.issuers.iter().find(|(_, issuer)| issuer.url == url).ok_or_else(|| {
            invalid(format!("No OpenIDConnect provider found in your account for {url}"))
        })?;
    if issuer.unreachable {
        let message = "The identity provider could not be reached to verify the incoming identity \
                       token.";
        return Err(Refusal::new(400, "IDPCommunicationError", message));
    }
    // Anything else, `none` above all, would let the token choose how it is verified.
    if header.get("alg").and_then(Value::as_str) != Some("HS256") {
        return Err(invalid("The algorithm of the ID Token is not HS256."));
    }
    let signature = Base64UrlUnpadded::decode_vec(signature).map_err(|_| unreadable())?;
    mac(issuer, signed)
        .verify_slice(&signature)
        .map_err(|_| invalid("The ID Token's signature is invalid."))?;

    let seconds = |name: &str| {
        let value = claims.get(name)?;
        value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds as i64))
    };
    let expires = seconds("exp")
        .map(Moment::from_unix_seconds)
        .ok_or_else(|| invalid("Missing a required claim: exp"))?;
    if now >= expires {
        let message = format!(
            "Token expired: current date/time {} must be before the expiration date/time {}",
            now.unix_seconds(),
            expires.unix_seconds()
        );
        return Err(Refusal::new(400, "ExpiredTokenException", message));
    }
    if seconds("nbf").is_some_and(|from| now < Moment::from_unix_seconds(from)) {
        return Err(invalid("The ID Token is not valid yet."));
    }

    let audience = match claims.get("aud") {
        Some(Value::String(audience)) => vec![audience.as_str()],
        Some(Value::Array(audiences)) => audiences.iter().filter_map(Value::as_str).collect(),
        _ => return Err(invalid("Missing a required claim: aud")),
    };
    let audience = audience
        .into_iter()
        .find(|audience| issuer.audiences.iter().any(|known| known == audience))
        .ok_or_else(|| invalid("Incorrect token audience"))?;

    let subject = claim("sub").ok_or_else(|| invalid("Missing a required claim: sub"))?;
    if issuer.rejected_subjects.iter().any(|rejected| rejected == subject) {
        let message = "The identity provider reported that authentication failed.";
        return Err(Refusal::new(403, "IDPRejectedClaim", message));
    }
    Ok(Identity {
        issuer: name.clone(),
        url: url.to_owned(),
        subject: subject.to_owned(),
        audience: audience.to_owned(),
    })
}

/// Signs a token that `issuer` would issue.
pub(crate) fn issue(issuer: &Issuer, subject: &str, now: Moment, lifetime: Duration) -> String {
    let claims = json!({
        "iss": issuer.url,
        "sub": subject,
        "aud": issuer.audiences.first(),
        "iat": now.unix_seconds(),
        "exp": now.plus(lifetime).unix_seconds(),
    });
    let encode = |value: Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
    let signed = format!("{}.{}", encode(json!({"alg": "HS256", "typ": "JWT"})), encode(claims));
    let signature = mac(issuer, &signed).finalize().into_bytes();
    format!("{signed}.{}", Base64UrlUnpadded::encode_string(&signature))
}

fn mac(issuer: &Issuer, signed: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(issuer.secret.expose().as_bytes())
        .expect("HMAC takes a key of any length");
    mac.update(signed.as_bytes());
    mac
}

fn object(part: &str) -> Option<serde_json::Map<String, Value>> {
    serde_json::from_slice(&Base64UrlUnpadded::decode_vec(part).ok()?).ok()
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "InvalidIdentityToken", message)
}
