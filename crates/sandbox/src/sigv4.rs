//! Decides whether a request was signed by who it says: SigV4 in the header or in the query,
//! signed again from what arrived and compared.

use std::borrow::Cow;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use http::{HeaderMap, Uri};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::clock::Moment;

/// How far from the server's clock a request may be dated.
pub(crate) const WINDOW: Duration = Duration::from_secs(5 * 60);
/// The longest a presigned request may be good for: a week.
const LONGEST_PRESIGNED: u64 = 7 * 24 * 3600;
/// The longest query the signer takes: it would panic on one that is beyond a URI's limit of
/// 65,534 bytes once it is encoded anew.
const LONGEST_QUERY: usize = 60_000;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// A request as it arrived.
pub(crate) struct Received<'a> {
    pub(crate) method: &'a str,
    pub(crate) uri: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

/// What a request says about its signature; nothing of it is verified.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) access_key_id: String,
    pub(crate) region: String,
    pub(crate) service: String,
    pub(crate) session_token: Option<String>,
    pub(crate) dated: Moment,
    /// For how long, if it is a presigned request.
    expires_in: Option<Duration>,
    signed_headers: Vec<String>,
    signature: String,
}

/// Why a signature does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// There is none.
    Missing,
    /// It cannot be read.
    Malformed(String),
    /// The request is dated outside the window around the server's clock.
    Skewed(String),
    /// The presigned request is past its own expiry.
    PresignedExpired,
    /// The body is not the one that was signed.
    Payload,
    /// It is somebody else's, or of another request.
    Mismatch,
}

// === impl Claim ===

impl Claim {
    /// Reads what the request says, from its `Authorization` header or its query.
    pub(crate) fn read(request: &Received<'_>) -> Result<Self, Fault> {
        if let Some(header) = request.headers.get(http::header::AUTHORIZATION) {
            let header = header.to_str().map_err(|_| malformed("Authorization is not ASCII"))?;
            return Self::from_header(header, request.headers);
        }
        let query = query_pairs(request.uri);
        if query.iter().any(|(name, _)| name == "X-Amz-Algorithm" || name == "X-Amz-Credential") {
            return Self::from_query(&query);
        }
        Err(Fault::Missing)
    }

    fn from_header(header: &str, headers: &HeaderMap) -> Result<Self, Fault> {
        let rest = header
            .strip_prefix(ALGORITHM)
            .filter(|rest| rest.starts_with([' ', ',']))
            .ok_or_else(|| malformed("Authorization is not of AWS4-HMAC-SHA256"))?;
        let part = |name: &str| {
            rest.split(',')
                .filter_map(|part| part.trim().split_once('='))
                .find_map(|(key, value)| (key == name).then(|| value.trim()))
                .ok_or_else(|| malformed(&format!("Authorization header requires '{name}'")))
        };
        let dated = header_text(headers, "x-amz-date")
            .ok_or_else(|| malformed("Authorization header requires existence of 'X-Amz-Date'"))?;
        Self {
            session_token: header_text(headers, "x-amz-security-token").map(Cow::into_owned),
            ..Self::assembled(
                part("Credential")?,
                part("SignedHeaders")?,
                part("Signature")?,
                &dated,
            )?
        }
        .checked()
    }

    fn from_query(query: &[(Cow<'_, str>, Cow<'_, str>)]) -> Result<Self, Fault> {
        let optional = |name: &str| {
            query.iter().find_map(|(key, value)| (key == name).then(|| value.as_ref()))
        };
        let part = |name: &str| {
            optional(name).ok_or_else(|| malformed(&format!("the query requires '{name}'")))
        };
        if part("X-Amz-Algorithm")? != ALGORITHM {
            return Err(malformed("X-Amz-Algorithm is not AWS4-HMAC-SHA256"));
        }
        // STS does without X-Amz-Expires (15 minutes then); S3 asks for it.
        let seconds = match optional("X-Amz-Expires") {
            None => 900,
            Some(text) => text
                .parse::<u64>()
                .ok()
                .filter(|seconds| (1..=LONGEST_PRESIGNED).contains(seconds))
                .ok_or_else(|| malformed("X-Amz-Expires must be between 1 and 604800 seconds"))?,
        };
        Self {
            session_token: optional("X-Amz-Security-Token").map(str::to_owned),
            expires_in: Some(Duration::from_secs(seconds)),
            ..Self::assembled(
                part("X-Amz-Credential")?,
                part("X-Amz-SignedHeaders")?,
                part("X-Amz-Signature")?,
                part("X-Amz-Date")?,
            )?
        }
        .checked()
    }

    fn assembled(
        credential: &str,
        signed_headers: &str,
        signature: &str,
        dated: &str,
    ) -> Result<Self, Fault> {
        // From the end: a key id is free to hold a slash, the rest of the scope is not.
        let mut scope = credential.rsplitn(5, '/');
        let mut next = || scope.next().filter(|part| !part.is_empty());
        let (Some("aws4_request"), Some(service), Some(region), Some(date), Some(key_id)) =
            (next(), next(), next(), next(), next())
        else {
            return Err(malformed("Credential must have exactly 5 slash-delimited elements"));
        };
        let Some(moment) = Moment::parse_amz(dated) else {
            return Err(malformed("Date must be in ISO-8601 'basic format'"));
        };
        if !dated.starts_with(date) || date.len() != 8 {
            return Err(malformed("Date in Credential scope does not match YYYYMMDD from date"));
        }
        Ok(Self {
            access_key_id: key_id.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            session_token: None,
            dated: moment,
            expires_in: None,
            signed_headers: signed_headers.split(';').map(str::to_ascii_lowercase).collect(),
            signature: signature.to_owned(),
        })
    }

    fn checked(self) -> Result<Self, Fault> {
        let signs = |name: &str| self.signed_headers.iter().any(|signed| signed == name);
        if !signs("host") {
            return Err(malformed("'Host' must be a 'SignedHeader' in the AWS Authorization"));
        }
        if self.expires_in.is_none() && !signs("x-amz-date") {
            return Err(malformed("'X-Amz-Date' must be a 'SignedHeader'"));
        }
        Ok(self)
    }

    /// Whether the request is dated close enough to `now`, and a presigned one still good.
    pub(crate) fn check_date(&self, now: Moment) -> Result<(), Fault> {
        let (dated, current) = (self.dated.amz(), now.amz());
        let (earliest, latest) = (now.minus(WINDOW), now.plus(WINDOW));
        if self.dated > latest {
            let latest = latest.amz();
            let message = "Signature not yet current";
            return Err(Fault::Skewed(format!(
                "{message}: {dated} is still later than {latest} ({current} + 5 min.)"
            )));
        }
        match self.expires_in {
            Some(expires_in) if now > self.dated.plus(expires_in) => Err(Fault::PresignedExpired),
            None if self.dated < earliest => {
                let earliest = earliest.amz();
                Err(Fault::Skewed(format!(
                    "Signature expired: {dated} is now earlier than {earliest} \
                     ({current} - 5 min.)"
                )))
            }
            _ => Ok(()),
        }
    }

    /// Signs the request again with the key's secret and compares.
    pub(crate) fn check_signature(
        &self,
        request: &Received<'_>,
        secret: &str,
    ) -> Result<(), Fault> {
        let s3 = self.service == "s3";
        let payload = self.payload(request, s3)?;

        let mut headers = Vec::with_capacity(self.signed_headers.len());
        for name in &self.signed_headers {
            // A header that was signed and did not arrive is a different request.
            let mut values = request.headers.get_all(name.as_str()).iter().peekable();
            if values.peek().is_none() {
                return Err(Fault::Mismatch);
            }
            for value in values {
                headers.push((name.as_str(), value.to_str().map_err(|_| Fault::Mismatch)?));
            }
        }

        let mut settings = SigningSettings::default();
        // The token and the payload's hash are signed as the headers they arrived as, so the
        // signer has nothing to add but the date, unless that came in the query.
        settings.excluded_headers =
            self.expires_in.is_some().then(|| vec![Cow::Borrowed("x-amz-date")]);
        if s3 {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        let identity =
            Credentials::new(&self.access_key_id, secret, None, None, "rolekeeper-sandbox").into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(&self.service)
            .time(self.dated.system_time())
            .settings(settings)
            .build()
            .map_err(|_| Fault::Mismatch)?
            .into();
        let target = self.target(request.uri)?;
        let signable = SignableRequest::new(request.method, target, headers.into_iter(), payload)
            .map_err(|_| Fault::Mismatch)?;
        let (_, expected) = sign(signable, &params).map_err(|_| Fault::Mismatch)?.into_parts();
        if expected.as_bytes().ct_eq(self.signature.as_bytes()).into() {
            Ok(())
        } else {
            Err(Fault::Mismatch)
        }
    }

    /// The payload's hash as it was signed, once it is found to be that of what arrived.
    fn payload(&self, request: &Received<'_>, s3: bool) -> Result<SignableBody<'static>, Fault> {
        let actual = hex(&Sha256::digest(request.body));
        match header_text(request.headers, "x-amz-content-sha256") {
            Some(told) if told == actual => Ok(SignableBody::Precomputed(actual)),
            Some(told) if s3 && told == UNSIGNED_PAYLOAD => Ok(SignableBody::UnsignedPayload),
            Some(_) => Err(Fault::Payload),
            None if s3 && self.expires_in.is_some() => Ok(SignableBody::UnsignedPayload),
            None if s3 => Err(malformed(
                "Missing required header for this request: \
                                         x-amz-content-sha256",
            )),
            None => Ok(SignableBody::Precomputed(actual)),
        }
    }

    /// Path and query as they were signed: a presigned query without its signature.
    fn target(&self, uri: &Uri) -> Result<String, Fault> {
        let path = uri.path();
        if !path.starts_with('/') {
            return Err(Fault::Mismatch);
        }
        let mut query = form_urlencoded::Serializer::new(String::new());
        let mut encoded = 0;
        for (name, value) in query_pairs(uri) {
            if self.expires_in.is_some() && name == "X-Amz-Signature" {
                continue;
            }
            encoded += 2 + 3 * (name.len() + value.len());
            query.append_pair(&name, &value);
        }
        if encoded > LONGEST_QUERY {
            return Err(malformed("the query is too long"));
        }
        let query = query.finish();
        Ok(if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") })
    }
}

pub(crate) fn query_pairs(uri: &Uri) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).collect()
}

fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<Cow<'a, str>> {
    headers.get(name)?.to_str().ok().map(|text| Cow::Borrowed(text.trim()))
}

fn malformed(message: &str) -> Fault {
    Fault::Malformed(message.to_owned())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
