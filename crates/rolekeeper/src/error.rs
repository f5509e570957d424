//! What a reader gets when there is no session: which role, what failed, what is still valid, what
//! to do.

use std::{fmt, time::Duration};

use rolekeeper_core::{Failure, FailureKind, Refusal, WallTime};

/// No session, and why. Never holds a secret.
#[derive(Clone, Debug)]
pub struct Error {
    role: String,
    refusal: Refusal,
    valid_until: Option<WallTime>,
}

impl Error {
    pub(crate) fn new(role: &str, refusal: Refusal, valid_until: Option<WallTime>) -> Self {
        Self { role: role.to_owned(), refusal, valid_until }
    }

    pub(crate) fn of(role: &str, failure: Failure) -> Self {
        let failure = failure.into();
        Self::new(role, Refusal::new(failure, 0, None), None)
    }

    /// The role's ARN, or the name of another source.
    pub fn role(&self) -> &str {
        &self.role
    }

    /// Who can mend it.
    pub fn kind(&self) -> FailureKind {
        self.refusal.failure.kind
    }

    /// The service's own code, such as `AccessDenied`.
    pub fn code(&self) -> Option<&str> {
        self.refusal.failure.code.as_deref()
    }

    /// What failed.
    pub fn failure(&self) -> &Failure {
        &self.refusal.failure
    }

    /// Whether time alone may mend it.
    pub fn is_retryable(&self) -> bool {
        self.kind().is_transient()
    }

    /// What to do next, where that is known.
    pub fn hint(&self) -> Option<&str> {
        self.refusal.failure.hint.as_deref()
    }

    /// How many fetches in a row have failed.
    pub fn attempts(&self) -> u32 {
        self.refusal.attempts
    }

    /// How long until the source is asked again by itself, seen from when the error was made;
    /// `None` if only a reader's next call brings that about.
    pub fn next_try(&self) -> Option<Duration> {
        self.refusal.next_try
    }

    /// When the session that is still held ends, by this machine's wall clock, if one is held.
    pub fn valid_until(&self) -> Option<WallTime> {
        self.valid_until
    }
}

/// `no session for ROLE: CODE: what happened (kind; …)`, without the hint, which has its own line.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, refusal, valid_until } = self;
        let what = if valid_until.is_some() { "no newer session" } else { "no session" };
        write!(f, "{what} for {role}: {}", refusal.failure)?;
        if let Some(until) = valid_until {
            write!(f, "; the one held is valid until {until}")?;
        }
        if let Some(next_try) = refusal.next_try {
            write!(f, "; next try in {} s", next_try.as_secs_f64().ceil())?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.refusal.failure.as_ref())
    }
}

impl From<Error> for Failure {
    /// One role's trouble is another's, when the second stands on the first.
    fn from(error: Error) -> Self {
        let mut failure = Self::clone(&error.refusal.failure);
        failure.message = format!("{} (for {})", failure.message, error.role);
        failure
    }
}
