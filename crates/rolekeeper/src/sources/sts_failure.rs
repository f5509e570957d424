//! Who can mend a refusal of STS: the service's codes, and what goes wrong before there is an
//! answer, sorted into the engine's groups, each with what to change.

use std::{borrow::Cow, error::Error as StdError, io};

use aws_sdk_sts::error::SdkError;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::ConnectorError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use rolekeeper_core::{Failure, FailureKind};

use super::{causes::causes, sts_call::Heard};

/// What was asked for, where, and with what: for hints.
#[derive(Clone, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) role: &'a str,
    /// The endpoint, for messages.
    pub(crate) place: String,
    pub(crate) proof: Proof,
    pub(crate) has_external_id: bool,
    pub(crate) has_mfa: bool,
}

/// What the call shows to be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// It is signed by base credentials.
    Signature,
    /// It carries a web identity token.
    IdentityToken,
}

/// What a refusal of STS means, by its error code, its message and the answer's HTTP status: who can
/// mend it, and what to do. For callers that make the call by other means; the sources here have
/// done it.
///
/// ```
/// use rolekeeper::{FailureKind, sources::sort_sts_code};
///
/// let (kind, hint) = sort_sts_code("AccessDenied", "not authorized to perform sts:AssumeRole", 403);
/// assert_eq!(kind, FailureKind::Denied);
/// assert!(hint.is_some());
/// ```
pub fn sort_sts_code(code: &str, message: &str, status: u16) -> (FailureKind, Option<String>) {
    // As much as possible is taken to be there: no hint then says to add what may be there.
    let asked = Asked {
        role: "the role",
        place: "STS".into(),
        proof: Proof::Signature,
        has_external_id: true,
        has_mfa: true,
    };
    let (kind, hint) = sort(code, message, status, &asked);
    (kind, hint.map(Cow::into_owned))
}

type Sorted = (FailureKind, Option<Cow<'static, str>>);

/// Whether the refusal says that the request's time is not the server's.
pub(crate) fn is_about_time(code: Option<&str>, message: Option<&str>) -> bool {
    match code {
        Some("RequestTimeTooSkewed" | "RequestExpired" | "RequestInTheFuture") => true,
        Some("SignatureDoesNotMatch" | "InvalidSignatureException") => {
            message.is_some_and(|text| {
                text.contains("Signature expired") || text.contains("Signature not yet current")
            })
        }
        _ => false,
    }
}

/// Whether it is the base credentials that were refused, and asking for them anew may help.
pub(crate) fn is_about_base(failure: &Failure) -> bool {
    matches!(
        failure.code.as_deref(),
        Some(
            "ExpiredToken"
                | "ExpiredTokenException"
                | "InvalidClientTokenId"
                | "UnrecognizedClientException"
                | "InvalidAccessKeyId"
                | "SignatureDoesNotMatch"
        )
    )
}

/// Why there is no answer, or none that is good.
pub(crate) fn of<E>(error: &SdkError<E, HttpResponse>, heard: &Heard, asked: &Asked<'_>) -> Failure
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    let place = &asked.place;
    let mut failure = match error {
        SdkError::TimeoutError(_) => {
            Failure::unavailable(format!("no answer from {place} in time"))
        }
        SdkError::DispatchFailure(failure) => {
            dispatch(failure.as_connector_error(), place, &causes(error))
        }
        SdkError::ResponseError(_) => {
            Failure::unavailable(format!("the connection to {place} broke off in the answer"))
        }
        SdkError::ServiceError(_) => answered(error.code(), error.message(), heard, asked)
            .unwrap_or_else(|| unreadable(&causes(error), heard, place)),
        // The request could not even be made: a Region or endpoint that makes no sense.
        _ => Failure::misconfigured(format!("cannot make the request: {}", causes(error)))
            .with_hint("check the Region, the endpoint URL, FIPS and dual-stack settings"),
    };
    failure.retry_after = heard.retry_after;
    failure.issuer_now = heard.date;
    failure
}

/// The service said why.
fn answered(
    code: Option<&str>,
    message: Option<&str>,
    heard: &Heard,
    asked: &Asked<'_>,
) -> Option<Failure> {
    let code =
        code.map(str::trim).filter(|code| !code.is_empty()).or(heard.bare_code.as_deref())?;
    let message = message.or(heard.bare_message.as_deref()).unwrap_or_default().trim();
    let (kind, hint) = sort(code, message, heard.status.unwrap_or_default(), asked);
    let message = without_what_was_signed(message);
    let text = if message.is_empty() { "the service gave no reason" } else { message };
    let mut failure = Failure::new(kind, text).with_code(code.to_owned());
    failure.hint = hint;
    Some(failure)
}

/// Of a signature that it finds wrong a service may say back all that was signed, the session token
/// among it. Its first words say enough.
pub(crate) fn without_what_was_signed(message: &str) -> &str {
    const SAID_BACK: [&str; 3] =
        ["the canonical string", "the string-to-sign", "x-amz-security-token"];
    let lower = message.to_ascii_lowercase();
    let begin = SAID_BACK.iter().filter_map(|words| lower.find(words)).min();
    message[..begin.unwrap_or(message.len())].trim_end()
}

/// The table of facts/sts.md.
fn sort(code: &str, message: &str, status: u16, asked: &Asked<'_>) -> Sorted {
    use FailureKind::{Denied, Unavailable};
    let denied = |hint: &'static str| (Denied, Some(Cow::Borrowed(hint)));
    if is_about_time(Some(code), Some(message)) {
        return denied("set this machine's clock: signatures hold only 5 minutes");
    }
    match code {
        _ if status == 429 || status >= 500 || message.contains("Rate exceeded") => {
            (Unavailable, None)
        }
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "SlowDown"
        | "PriorRequestNotComplete"
        | "ServiceUnavailable"
        | "InternalFailure"
        | "InternalError"
        | "RequestTimeout"
        | "RequestTimeoutException"
        | "IDPCommunicationError" => (Unavailable, None),
        "AccessDenied" | "AccessDeniedException" => access(message, asked),
        "ExpiredToken" | "ExpiredTokenException" if asked.proof == Proof::Signature => {
            denied("the base credentials have expired: renew them (log in again, or refresh them)")
        }
        "ExpiredToken" | "ExpiredTokenException" | "InvalidIdentityToken" => {
            denied("put a fresh token into the web identity token file")
        }
        "IDPRejectedClaim" => {
            denied("get a new identity token, and check the identity provider's claims")
        }
        "InvalidClientTokenId" | "UnrecognizedClientException" | "InvalidAccessKeyId" => denied(
            "the base credentials' key does not exist or is not active: check which are used",
        ),
        "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "InvalidSignatureException" => {
            denied("check the base credentials' secret access key, and the Region")
        }
        "MalformedPolicyDocument" => denied("correct the inline session policy"),
        "PackedPolicyTooLarge" => denied("shorten the session policies and tags"),
        "RegionDisabledException" => denied(
            "activate STS for this Region in the account (IAM, account settings), or call another Region",
        ),
        "OptInRequired" => denied("enable the Region for the account, or call another Region"),
        "ValidationError" | "ValidationException" => (Denied, validation(message)),
        _ => (Denied, None),
    }
}

fn access(message: &str, asked: &Asked<'_>) -> Sorted {
    use FailureKind::{Denied, NeedsPerson};
    let hint: Cow<'static, str> = if message.contains("MultiFactorAuthentication failed") {
        return (NeedsPerson, Some("enter the device's next code: each code works once".into()));
    } else if message.contains("sts:TagSession") {
        "allow sts:TagSession in the role's trust policy and to the caller, or pass no tags".into()
    } else if message.contains("sts:SetSourceIdentity") {
        "allow sts:SetSourceIdentity in the role's trust policy and to the caller".into()
    } else if message.contains("sts:SetContext") {
        "allow sts:SetContext in the role's trust policy and to the caller".into()
    } else if asked.proof == Proof::IdentityToken {
        "check the role's trust policy: identity provider, audience and subject".into()
    } else {
        let mut hint =
            "check that the role exists, that its trust policy names the caller, and that \
                        the caller may sts:AssumeRole"
                .to_owned();
        hint.push_str(match (asked.has_external_id, asked.has_mfa) {
            (true, _) => "; the external id must match the trust policy's",
            (false, false) => {
                "; the trust policy may ask for an external id or MFA, and neither is set"
            }
            (false, true) => "; the trust policy may ask for an external id, and none is set",
        });
        hint.into()
    };
    (Denied, Some(hint))
}

fn validation(message: &str) -> Option<Cow<'static, str>> {
    let hint = if message.contains("role chaining") || message.contains("1 hour session limit") {
        "ask for at most an hour: the base credentials are themselves a role's session"
    } else if message.contains("DurationSeconds") {
        "ask for a shorter duration, or raise the role's maximum session duration"
    } else if message.to_ascii_lowercase().contains("arn") {
        "correct the ARN"
    } else {
        return None;
    };
    Some(Cow::Borrowed(hint))
}

/// There is an answer, and it says nothing that we know.
fn unreadable(why: &str, heard: &Heard, place: &str) -> Failure {
    match heard.status {
        Some(status) if status == 429 || status >= 500 => {
            Failure::unavailable(format!("{place} answered with status {status}"))
        }
        Some(status) if status >= 300 => Failure::bad_answer(format!(
            "{place} answered with status {status} and nothing that STS would say"
        ))
        .with_hint("check the endpoint URL, and whether a proxy answers in its place"),
        _ => Failure::bad_answer(format!("{place} gave an answer that cannot be read: {why}")),
    }
}

/// There is no answer.
fn dispatch(error: Option<&ConnectorError>, place: &str, why: &str) -> Failure {
    let lower = why.to_ascii_lowercase();
    let is = |kind| {
        error.is_some_and(|error| {
            find::<io::Error>(error).is_some_and(|found: &io::Error| found.kind() == kind)
        })
    };
    if lower.contains("dns error") || lower.contains("failed to lookup address") {
        return Failure::unavailable(format!("the name of {place} cannot be resolved (DNS)"))
            .with_hint("check the Region or endpoint URL, and the network");
    }
    if is(io::ErrorKind::ConnectionRefused) {
        return Failure::unavailable(format!("the connection to {place} was refused"));
    }
    if ["certificate", "tls", "handshake"].iter().any(|word| lower.contains(word)) {
        return Failure::unavailable(format!("no secure connection (TLS) to {place}: {why}"))
            .with_hint("check the root certificates, this machine's clock and any proxy between");
    }
    if error.is_some_and(ConnectorError::is_timeout) {
        return Failure::unavailable(format!("no connection to {place} in time"));
    }
    if error.is_some_and(ConnectorError::is_user) {
        return Failure::misconfigured(format!("cannot call {place}: {why}"));
    }
    Failure::unavailable(format!("the connection to {place} failed: {why}"))
}

/// The first of `error`'s causes that is a `T`.
fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}
