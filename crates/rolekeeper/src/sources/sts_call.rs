//! One call to STS: the server's clock, status and Retry-After are heard beside the answer, and a
//! signature refused for its time is made once more, with the clock that the refusal showed.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_sdk_sts::{
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::{
            AfterDeserializationInterceptorContextRef, BeforeDeserializationInterceptorContextRef,
        },
    },
    error::{BoxError, SdkError},
    types::{AssumedRoleUser, Credentials as Given},
};
use aws_smithy_runtime_api::{
    client::{interceptors::dyn_dispatch_hint, orchestrator::HttpResponse},
    http::Headers,
};
use aws_smithy_types::{DateTime, date_time::Format, error::metadata::ProvideErrorMetadata};
use rolekeeper_core::{Credentials, Failure, Issued, WallTime};

use super::{
    parameters::account_of,
    sts_failure::{self, Asked},
};

/// What was heard of one answer, apart from what the SDK makes of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    pub(crate) status: Option<u16>,
    pub(crate) date: Option<WallTime>,
    pub(crate) retry_after: Option<Duration>,
    /// Of a bare `<Error><Code>`, which some servers send and the SDK doesn't read.
    pub(crate) bare_code: Option<String>,
    pub(crate) bare_message: Option<String>,
}

/// Goes along with one call, and hears.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listener(Arc<Mutex<Heard>>);

/// Makes one call, and another if the first was refused because of our clock. The SDK notes the
/// server's clock with each answer and signs the next request by it, here and in later fetches.
pub(crate) async fn call<O, E, Fut>(
    asked: &Asked<'_>,
    send: impl Fn(Listener) -> Fut,
) -> Result<(O, Heard), Failure>
where
    Fut: Future<Output = Result<O, SdkError<E, HttpResponse>>>,
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let mut is_second = false;
    loop {
        let listener = Listener::default();
        let outcome = send(listener.clone()).await;
        let heard = listener.heard();
        match outcome {
            Ok(output) => return Ok((output, heard)),
            Err(error) => {
                let is_refused_for_time = heard.date.is_some()
                    && sts_failure::is_about_time(error.code(), error.message());
                if is_refused_for_time && !is_second {
                    tracing::warn!(
                        role = asked.role,
                        "this machine's clock is off: signing by the server's clock"
                    );
                    is_second = true;
                    continue;
                }
                return Err(sts_failure::of(&error, &heard, asked));
            }
        }
    }
}

/// The answer's session, or what is missing in it.
pub(crate) fn issued(
    given: Option<Given>,
    user: Option<AssumedRoleUser>,
    heard: &Heard,
) -> Result<Issued, Failure> {
    let missing = |what: &str| {
        let mut failure = Failure::bad_answer(format!("the answer of STS has no {what}"));
        failure.issuer_now = heard.date;
        Err(failure)
    };
    let Some(given) = given else { return missing("Credentials") };
    // The SDK puts empty texts and 1970 in the place of missing fields.
    for (name, value) in [
        ("AccessKeyId", &given.access_key_id),
        ("SecretAccessKey", &given.secret_access_key),
        ("SessionToken", &given.session_token),
    ] {
        if value.trim().is_empty() {
            return missing(name);
        }
    }
    if given.expiration.secs() == 0 {
        return missing("Expiration");
    }
    let credentials =
        Credentials::new(given.access_key_id, given.secret_access_key, given.session_token);
    let mut issued = Issued::new(credentials, wall_time(&given.expiration));
    issued.issued_at = heard.date;
    if let Some(user) = user.filter(|user| !user.arn.is_empty()) {
        issued.account_id = account_of(&user.arn);
        issued.assumed_role_arn = Some(user.arn);
    }
    Ok(issued)
}

fn wall_time(time: &DateTime) -> WallTime {
    let nanos = i64::try_from(time.as_nanos());
    nanos.map_or_else(|_| WallTime::from_unix_secs(time.secs()), WallTime::from_unix_nanos)
}

fn http_date(text: &str) -> Option<WallTime> {
    DateTime::from_str(text.trim(), Format::HttpDate).ok().map(|date| wall_time(&date))
}

/// Seconds, or a date that the server's own clock is taken from.
fn retry_after(headers: &Headers, date: Option<WallTime>) -> Option<Duration> {
    let text = headers.get("retry-after")?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    Some(http_date(text)?.since(date?))
}

/// The text of the first `<tag>` in `body`.
fn element(body: &str, tag: &str) -> Option<String> {
    let rest = &body[body.find(&format!("<{tag}>"))? + tag.len() + 2..];
    let text = rest[..rest.find(&format!("</{tag}>"))?].trim();
    (!text.is_empty() && text.len() <= 1024).then(|| text.to_owned())
}

// === impl Listener ===

impl Listener {
    fn heard(&self) -> Heard {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, note: impl FnOnce(&mut Heard)) {
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[dyn_dispatch_hint]
impl Intercept for Listener {
    fn name(&self) -> &'static str {
        "rolekeeper"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let date = response.headers().get("date").and_then(http_date);
        self.note(|heard| {
            heard.status = Some(response.status().as_u16());
            heard.date = date;
            heard.retry_after = retry_after(response.headers(), date);
        });
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let body = response.body().bytes().and_then(|bytes| std::str::from_utf8(bytes).ok());
        if let Some(body) = body.filter(|_| !response.status().is_success()) {
            self.note(|heard| {
                heard.bare_code = element(body, "Code");
                heard.bare_message = element(body, "Message");
            });
        }
        Ok(())
    }
}
