//! Who is asked for an MFA code, and what becomes of a refusal: never a loop, always a person.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use rolekeeper_core::{Failure, Secret};

use super::callback::own_failure;

/// What [`MfaPrompt`] is asked about.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MfaRequest {
    /// The role that wants the code.
    pub role_arn: String,
    /// The device's serial number or ARN.
    pub serial: String,
}

/// Asks somebody for the six digits of an MFA device.
///
/// ```
/// use rolekeeper::sources::MfaPrompt;
///
/// let of_async_code = MfaPrompt::new(|request| async move {
///     Ok::<_, std::io::Error>(format!("{:06}", request.serial.len()))
/// });
/// let of_blocking_code = MfaPrompt::blocking(|_request| {
///     let mut line = String::new();
///     std::io::stdin().read_line(&mut line)?;
///     Ok::<_, std::io::Error>(line)
/// });
/// ```
#[derive(Clone)]
pub struct MfaPrompt(Arc<Ask>);

type Answer = Pin<Box<dyn Future<Output = Result<Secret, Failure>> + Send>>;
type Ask = dyn Fn(MfaRequest) -> Answer + Send + Sync;

// === impl MfaPrompt ===

impl MfaPrompt {
    /// Asks by an async function. What it returns is trimmed; an error means that nobody gave a
    /// code. A [`Failure`] stays as it is, with its hint.
    pub fn new<F, Fut, E>(ask: F) -> Self
    where
        F: Fn(MfaRequest) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, E>> + Send + 'static,
        E: fmt::Display + 'static,
    {
        Self(Arc::new(move |request| {
            let serial = request.serial.clone();
            let answer = ask(request);
            Box::pin(async move {
                match answer.await {
                    Ok(code) => parse(&serial, code),
                    Err(error) => Err(refused(&serial, &error)),
                }
            })
        }))
    }

    /// Asks by a function that may block, such as one that reads a terminal. It runs on a thread
    /// for blocking work, and goes on there if the fetch that wanted it is given up.
    pub fn blocking<F, E>(ask: F) -> Self
    where
        F: Fn(MfaRequest) -> Result<String, E> + Send + Sync + 'static,
        E: fmt::Display + Send + 'static,
    {
        let ask = Arc::new(ask);
        Self::new(move |request| {
            let ask = Arc::clone(&ask);
            let serial = request.serial.clone();
            async move {
                let asked = tokio::task::spawn_blocking(move || ask(request)).await;
                match asked {
                    Ok(Ok(code)) => Ok(code),
                    Ok(Err(error)) => Err(refused(&serial, &error)),
                    Err(_) => Err(declined(&serial, "the function that asks for it panicked")),
                }
            }
        })
    }

    pub(crate) async fn ask(&self, request: MfaRequest) -> Result<Secret, Failure> {
        (self.0)(request).await
    }
}

/// No code, because there is nobody to ask.
pub(crate) fn nobody(serial: &str) -> Failure {
    Failure::needs_person(format!("a code of the MFA device `{serial}` is wanted"))
        .with_hint("pass a function that asks for the code, or run the command in a terminal")
}

fn refused<E: fmt::Display + 'static>(serial: &str, error: &E) -> Failure {
    own_failure(error).unwrap_or_else(|| declined(serial, &error.to_string()))
}

fn declined(serial: &str, why: &str) -> Failure {
    Failure::needs_person(format!("no code of the MFA device `{serial}` was given: {why}"))
        .with_hint("try again, and enter the device's six digits")
}

fn parse(serial: &str, code: String) -> Result<Secret, Failure> {
    let code = Secret::new(code);
    let digits = code.expose().trim();
    if digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(Secret::new(digits));
    }
    Err(declined(serial, "what was entered is not six digits"))
}

impl fmt::Debug for MfaPrompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MfaPrompt")
    }
}
