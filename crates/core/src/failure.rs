//! Why there is no new session, grouped by who can mend it.

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use crate::WallTime;

/// Who can mend a failure, and so whether trying again is of any use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailureKind {
    /// The source can't be reached or is overloaded: timeouts, DNS, 5xx, throttling. Time mends it.
    Unavailable,
    /// The source said no. Trying again is of no use until somebody changes a policy or a
    /// parameter.
    Denied,
    /// A human must act: an MFA code, a login. Never retried in a loop.
    NeedsPerson,
    /// A wrong setting here, found before any call where that is possible.
    Misconfigured,
    /// The source misbehaved: fields missing, expired on arrival, not the promised format. Retried
    /// as if it were unavailable.
    BadAnswer,
}

/// One failed fetch. It never holds a secret: sources put in only codes and messages.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// Who can mend it.
    pub kind: FailureKind,
    /// The service's own code, such as `AccessDenied`, where there is one.
    pub code: Option<Cow<'static, str>>,
    /// What happened, as a lower-case fragment.
    pub message: String,
    /// What to do next, as a lower-case fragment, where that is known.
    pub hint: Option<Cow<'static, str>>,
    /// How long the service asked to be left alone.
    pub retry_after: Option<Duration>,
    /// The service's clock (`Date`) in the answer that refused.
    pub issuer_now: Option<WallTime>,
}

/// What a reader gets instead of a session.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Refusal {
    /// The failure of the last fetch.
    pub failure: Arc<Failure>,
    /// How many fetches in a row have failed.
    pub attempts: u32,
    /// How long until the source is asked again without anybody's doing; `None` if only a reader's
    /// next call, or a person, brings that about.
    pub next_try: Option<Duration>,
}

// === impl FailureKind ===

impl FailureKind {
    /// Whether time alone may mend it.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Unavailable | Self::BadAnswer)
    }

    /// The name in messages, metrics and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Denied => "denied",
            Self::NeedsPerson => "needs a person",
            Self::Misconfigured => "misconfigured",
            Self::BadAnswer => "bad answer",
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Refusal ===

impl Refusal {
    /// For shells that refuse by themselves: after a shutdown, at a deadline.
    pub fn new(failure: Arc<Failure>, attempts: u32, next_try: Option<Duration>) -> Self {
        Self { failure, attempts, next_try }
    }
}

// === impl Failure ===

impl Failure {
    /// A failure of `kind`; add what else is known with the `with_…` methods.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: None,
            message: message.into(),
            hint: None,
            retry_after: None,
            issuer_now: None,
        }
    }

    /// [`FailureKind::Unavailable`]
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Unavailable, message)
    }

    /// [`FailureKind::Denied`]
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Denied, message)
    }

    /// [`FailureKind::NeedsPerson`]
    pub fn needs_person(message: impl Into<String>) -> Self {
        Self::new(FailureKind::NeedsPerson, message)
    }

    /// [`FailureKind::Misconfigured`]
    pub fn misconfigured(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Misconfigured, message)
    }

    /// [`FailureKind::BadAnswer`]
    pub fn bad_answer(message: impl Into<String>) -> Self {
        Self::new(FailureKind::BadAnswer, message)
    }

    /// The service's own code.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// What to do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// How long the service asked to be left alone.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The service's clock when it refused.
    #[must_use]
    pub fn with_issuer_now(mut self, date: WallTime) -> Self {
        self.issuer_now = Some(date);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "{}: {}", code, self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Failure {}
