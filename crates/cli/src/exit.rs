//! How a command ends: the status that scripts look at, and the error that people read.

use std::process::ExitCode;

use rolekeeper::{Error, Failure, FailureKind};
use rolekeeper_agent::local::client::NoSession;

pub(crate) const HELP: &str = "\
Exit status:
  0   all is well
  64  wrong use: an unknown option, a value that can't be read
  65  the source misbehaved: missing fields, a session expired on arrival
  66  a person must act: an MFA code, a login
  67  wrong configuration: a bad ARN, a duration out of range, no Region
  68  denied: by a policy, a trust policy, a limit of the role
  69  unavailable: no connection, no answer in time, throttled
  70  an error of this machine: a file, a socket, a thread
  exec ends with its program's own status, and with 128+N if signal N ended it;
  126 and 127 if the program can't be started";

/// An exit status, 0 to 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status(u8);

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) status: Status,
    /// One line, lower case, without `error:`.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) hint: Option<String>,
}

// === impl Status ===

impl Status {
    pub(crate) const OK: Self = Self(0);
    pub(crate) const FAILED: Self = Self(1);
    pub(crate) const USAGE: Self = Self(64);
    pub(crate) const SYSTEM: Self = Self(70);
    pub(crate) const CANNOT_EXECUTE: Self = Self(126);
    pub(crate) const NOT_FOUND: Self = Self(127);

    pub(crate) fn of_program(code: i32) -> Self {
        // Where codes are wider (Windows), anything that doesn't fit is a failure all the same.
        Self(u8::try_from(code).unwrap_or(1))
    }

    pub(crate) fn of_signal(signal: i32) -> Self {
        Self(128_u8.saturating_add(u8::try_from(signal).unwrap_or(127)))
    }

    pub(crate) fn of_kind(kind: FailureKind) -> Self {
        Self(match kind {
            FailureKind::BadAnswer => 65,
            FailureKind::NeedsPerson => 66,
            FailureKind::Misconfigured => 67,
            FailureKind::Denied => 68,
            FailureKind::Unavailable => 69,
        })
    }
}

impl Status {
    /// The group that [`of_kind`](Self::of_kind) made it of; an error of this machine counts as
    /// configuration.
    pub(crate) fn kind(self) -> FailureKind {
        match self.0 {
            65 => FailureKind::BadAnswer,
            66 => FailureKind::NeedsPerson,
            68 => FailureKind::Denied,
            69 => FailureKind::Unavailable,
            _ => FailureKind::Misconfigured,
        }
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status.0)
    }
}

/// clap prints its own errors; wrong use is 64 here, help and version are no errors.
pub(crate) fn for_usage(error: &clap::Error) -> Status {
    // Nothing is left to say if even this can't be printed.
    let _ = error.print();
    if error.use_stderr() { Status::USAGE } else { Status::OK }
}

// === impl Trouble ===

impl Trouble {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { status: Status::USAGE, message: message.into(), hint: None }
    }

    /// This machine's: `doing` is a lower-case fragment such as `cannot bind 127.0.0.1`.
    pub(crate) fn system(doing: impl std::fmt::Display, error: impl std::fmt::Display) -> Self {
        Self { status: Status::SYSTEM, message: format!("{doing}: {error}"), hint: None }
    }

    /// Somebody who was to answer doesn't.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        let status = Status::of_kind(FailureKind::Unavailable);
        Self { status, message: message.into(), hint: None }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self {
            status: Status::of_kind(error.kind()),
            // Not the whole of it: when it would be tried again is of no use to a command that ends
            // now.
            message: format!("no session for {}: {}", error.role(), one_line(error.failure())),
            hint: hint(error.failure()),
        }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self {
            status: Status::of_kind(failure.kind),
            message: one_line(&failure),
            hint: hint(&failure),
        }
    }
}

/// A session that an agent could not get either: told as if it had been asked for here.
pub(crate) fn trouble_of_agent(none: NoSession) -> Trouble {
    let kinds = [
        FailureKind::BadAnswer,
        FailureKind::NeedsPerson,
        FailureKind::Misconfigured,
        FailureKind::Denied,
    ];
    let kind = kinds.into_iter().find(|kind| kind.to_string() == none.kind);
    let mut failure = Failure::new(kind.unwrap_or(FailureKind::Unavailable), none.failure);
    failure.hint = none.hint.map(Into::into);
    Trouble {
        message: format!("no session for {}: {}", none.role, one_line(&failure)),
        ..failure.into()
    }
}

/// An SDK's list of what it tried comes on several lines.
pub(crate) fn one_line(failure: &Failure) -> String {
    let text = failure.to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut one = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        one.push_str(if one.ends_with(':') { " " } else { "; " });
        one.push_str(line);
    }
    one
}

/// What to do next: the failure's own hint, or what is good advice for its group.
pub(crate) fn hint(failure: &Failure) -> Option<String> {
    let of_group = match failure.kind {
        FailureKind::Unavailable => {
            Some("check the network, any proxy, the Region and the endpoint URL")
        }
        FailureKind::BadAnswer => Some("check what answers at the endpoint URL, and any proxy"),
        FailureKind::NeedsPerson | FailureKind::Misconfigured | FailureKind::Denied => None,
    };
    failure.hint.as_deref().or(of_group).map(str::to_owned)
}
