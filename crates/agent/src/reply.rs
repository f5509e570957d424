//! Answers and refusals, as SDKs read them.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    header::{self, HeaderValue},
};
use rolekeeper::Error;
use serde_json::{Value, json};

use crate::refusal::Refusal;

pub(crate) type Answer = Response<Full<Bytes>>;

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
pub(crate) const TEXT: HeaderValue = HeaderValue::from_static("text/plain");

/// Nothing that is answered here may stay in anybody's cache.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

pub(crate) fn ok(kind: HeaderValue, body: Bytes) -> Answer {
    with_status(StatusCode::OK, kind, body)
}

pub(crate) fn with_status(status: StatusCode, kind: HeaderValue, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    answer
}

pub(crate) fn refused(refusal: Refusal) -> Answer {
    let (status, code, message) = refusal.words();
    let mut answer = error(status, code, message);
    if let Some(allowed) = refusal.allowed_methods() {
        answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    }
    answer
}

/// There is no session, and waiting for one did not help.
pub(crate) fn unavailable(failure: &Error) -> Answer {
    let code = failure.code().unwrap_or("ServiceUnavailable");
    let mut told = words(code, &failure.to_string());
    // For commands of ours, which end as if they had asked STS themselves.
    told["kind"] = failure.kind().to_string().into();
    told["hint"] = failure.hint().into();
    told["failure"] = failure.failure().to_string().into();
    told["role"] = failure.role().into();
    let body = Bytes::from(told.to_string());
    let mut answer = with_status(StatusCode::SERVICE_UNAVAILABLE, JSON, body);
    if let Some(wait) = failure.next_try() {
        let seconds = HeaderValue::from(wait.as_secs() + 1);
        answer.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    answer
}

fn error(status: StatusCode, code: &str, message: &str) -> Answer {
    with_status(status, JSON, Bytes::from(words(code, message).to_string()))
}

/// JavaScript reads `Code` and `Message`, Go `code` and `message`.
fn words(code: &str, message: &str) -> Value {
    json!({ "Code": code, "Message": message, "code": code, "message": message })
}
