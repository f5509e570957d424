//! Decides how the sandbox misbehaves: the faults it was told, and which of them hits a call.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::wire::{Refusal, Service};

/// How the sandbox is to misbehave. The default is not at all.
///
/// Every fault that is set holds until the faults are set anew or cleared. The same can be sent
/// as JSON to `PUT /_sandbox/faults`; fields left out are at their default, unknown ones refused.
///
/// ```
/// use rolekeeper_sandbox::{Failures, Faults};
///
/// let faults = Faults {
///     only: vec!["AssumeRole".into()],
///     fail: Some(Failures { next: Some(2), status: 503, retry_after_seconds: None }),
///     ..Faults::default()
/// };
/// let json = r#"{"only": ["AssumeRole"], "fail": {"next": 2, "status": 503}}"#;
/// assert_eq!(serde_json::from_str::<Faults>(json)?, faults);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Limits every fault but the clock's to these services (`sts`, `s3`, `rds`) or operations
    /// (`AssumeRole`, …). Empty: to nothing.
    pub only: Vec<String>,
    /// Every answer is this many milliseconds late.
    pub latency_ms: u64,
    /// Serves at most so many calls in each second of its uptime; the others are refused with
    /// Throttling "Rate exceeded" (S3: SlowDown). 0 refuses all.
    pub throttle_per_second: Option<u32>,
    /// Fails calls as a service does that is itself at fault.
    pub fail: Option<Failures>,
    /// Never answers, until this is no longer set; then the held calls are answered.
    pub hang: bool,
    /// Closes the connection without an answer.
    pub close_connection: bool,
    /// Sends half of the answer's body and closes the connection.
    pub truncate_body: bool,
    /// Answers 200 with a body that is not XML.
    pub malformed_body: bool,
    /// Leaves the XML element of this name out of answers: `SessionToken`, `Expiration`, ….
    pub missing_field: Option<String>,
    /// Issues sessions that expired a minute ago, and says so.
    pub already_expired: bool,
    /// The server's clock is off by so many seconds: the `Date` header, the window that a
    /// request's timestamp must be in, and the `Expiration` of what is issued.
    pub clock_offset_seconds: i64,
    /// The `Date` header alone is off by so many seconds more.
    pub date_header_offset_seconds: i64,
    /// A time in which the service is down: calls find their connection closed.
    pub down: Option<Down>,
    /// Refuses AssumeRole and its siblings (those that issue sessions) with this error.
    pub refuse_assume_role: Option<AssumeRoleRefusal>,
}

/// Calls that fail as with a service that is itself at fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failures {
    /// How many calls fail; all of them if `None`.
    #[serde(default)]
    pub next: Option<u64>,
    /// The HTTP status: 500 is answered as InternalFailure, 503 as ServiceUnavailable, and any
    /// other from 400 to 599 as InternalFailure.
    pub status: u16,
    /// What to send as `Retry-After`, if anything.
    #[serde(default)]
    pub retry_after_seconds: Option<u32>,
}

/// From when to when the service is down, in seconds since the faults were set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Down {
    /// The first second it is down.
    pub from_seconds: u64,
    /// The first second it is up again.
    pub until_seconds: u64,
}

/// The error that AssumeRole and its siblings are refused with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssumeRoleRefusal {
    /// The error code, such as `AccessDenied`.
    pub code: String,
    /// The HTTP status, 400 to 599.
    #[serde(default = "forbidden")]
    pub status: u16,
    /// The message.
    #[serde(default)]
    pub message: String,
}

/// The faults that are set, and how far they have got.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) faults: Faults,
    set_at: Duration,
    failed: u64,
    /// The second of the uptime that is being counted for throttling, and its calls.
    second: (u64, u32),
}

/// What becomes of one call.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) hang: bool,
    pub(crate) latency: Duration,
    pub(crate) outcome: Outcome,
    pub(crate) already_expired: bool,
    pub(crate) missing_field: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) enum Outcome {
    #[default]
    Serve,
    Refuse(Refusal),
    Close,
    Truncate,
    Malform,
}

fn forbidden() -> u16 {
    403
}

// === impl Faults ===

impl Faults {
    /// Whether every value in it can be acted upon.
    ///
    /// # Errors
    ///
    /// Which field cannot, and why.
    pub fn check(&self) -> Result<(), String> {
        let statuses = [
            ("fail.status", self.fail.as_ref().map(|fail| fail.status)),
            ("refuse_assume_role.status", self.refuse_assume_role.as_ref().map(|r| r.status)),
        ];
        for (field, status) in statuses {
            if status.is_some_and(|status| !(400..600).contains(&status)) {
                return Err(format!("{field}: not within 400 to 599"));
            }
        }
        if self.down.as_ref().is_some_and(|down| down.until_seconds < down.from_seconds) {
            return Err("down: ends before it begins".to_owned());
        }
        Ok(())
    }

    fn concern(&self, service: Service, operation: &str) -> bool {
        self.only.is_empty()
            || self.only.iter().any(|only| {
                only.eq_ignore_ascii_case(service.name()) || only.eq_ignore_ascii_case(operation)
            })
    }
}

// === impl State ===

impl State {
    pub(crate) fn set(&mut self, faults: Faults, uptime: Duration) {
        *self = Self { faults, set_at: uptime, ..Self::default() };
    }

    /// Decides what becomes of a call, and takes note of it.
    pub(crate) fn plan(&mut self, service: Service, operation: &str, uptime: Duration) -> Plan {
        let faults = &self.faults;
        if !faults.concern(service, operation) {
            return Plan::default();
        }
        if faults.hang {
            // It is planned for anew, and counted, when it is let go.
            return Plan { hang: true, ..Plan::default() };
        }
        Plan {
            hang: false,
            latency: Duration::from_millis(faults.latency_ms),
            already_expired: faults.already_expired,
            missing_field: faults.missing_field.clone(),
            outcome: self.outcome(service, operation, uptime),
        }
    }

    fn outcome(&mut self, service: Service, operation: &str, uptime: Duration) -> Outcome {
        let faults = &self.faults;
        let since = uptime.saturating_sub(self.set_at).as_secs();
        let down = faults
            .down
            .as_ref()
            .is_some_and(|d| (d.from_seconds..d.until_seconds).contains(&since));
        if down || faults.close_connection {
            return Outcome::Close;
        }
        if let Some(limit) = faults.throttle_per_second {
            if self.second.0 != uptime.as_secs() {
                self.second = (uptime.as_secs(), 0);
            }
            self.second.1 = self.second.1.saturating_add(1);
            if self.second.1 > limit {
                return Outcome::Refuse(match service {
                    Service::S3 => {
                        Refusal::new(503, "SlowDown", "Please reduce your request rate.")
                    }
                    Service::Sts | Service::Rds => Refusal::new(400, "Throttling", "Rate exceeded"),
                });
            }
        }
        if let Some(fail) = &faults.fail
            && fail.next.is_none_or(|next| self.failed < next)
        {
            self.failed += 1;
            return Outcome::Refuse(fail.refusal(service));
        }
        if let Some(refuse) = &faults.refuse_assume_role
            && issues_sessions(operation)
        {
            let refuse = refuse.clone();
            return Outcome::Refuse(Refusal::new(refuse.status, refuse.code, refuse.message));
        }
        match (faults.truncate_body, faults.malformed_body) {
            (true, _) => Outcome::Truncate,
            (false, true) => Outcome::Malform,
            (false, false) => Outcome::Serve,
        }
    }
}

fn issues_sessions(operation: &str) -> bool {
    operation.starts_with("AssumeRole")
        || matches!(operation, "GetSessionToken" | "GetFederationToken")
}

// === impl Failures ===

impl Failures {
    fn refusal(&self, service: Service) -> Refusal {
        let (code, message) = match (self.status, service) {
            (503, _) => ("ServiceUnavailable", "Service is unable to handle request."),
            (_, Service::S3) => {
                ("InternalError", "We encountered an internal error. Please try again.")
            }
            _ => (
                "InternalFailure",
                "The request processing has failed because of an unknown error.",
            ),
        };
        let mut refusal = Refusal::new(self.status, code, message);
        refusal.retry_after_seconds = self.retry_after_seconds;
        refusal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(state: &mut State, millis: u64) -> Outcome {
        state.plan(Service::Sts, "AssumeRole", Duration::from_millis(millis)).outcome
    }

    fn state(faults: Faults, set_at_seconds: u64) -> State {
        let mut state = State::default();
        state.set(faults, Duration::from_secs(set_at_seconds));
        state
    }

    #[test]
    fn throttling_lets_so_many_calls_through_in_each_second() {
        let mut state = state(Faults { throttle_per_second: Some(2), ..Faults::default() }, 0);
        let served: Vec<bool> = [0, 1, 999, 1000, 1001, 1002]
            .map(|millis| matches!(outcome(&mut state, millis), Outcome::Serve))
            .to_vec();
        assert_eq!(served, [true, true, false, true, true, false]);
    }

    #[test]
    fn a_down_time_begins_and_ends_relative_to_when_it_was_set() {
        let down = Some(Down { from_seconds: 5, until_seconds: 7 });
        let mut state = state(Faults { down, ..Faults::default() }, 100);
        for (millis, is_down) in
            [(104_999, false), (105_000, true), (106_999, true), (107_000, false)]
        {
            assert_eq!(matches!(outcome(&mut state, millis), Outcome::Close), is_down, "{millis}");
        }
    }

    #[test]
    fn faults_are_limited_to_the_services_and_operations_told() {
        let only = vec!["rds".to_owned(), "assumerole".to_owned()];
        let mut state = state(Faults { only, close_connection: true, ..Faults::default() }, 0);
        for (service, operation, hit) in [
            (Service::Sts, "AssumeRole", true),
            (Service::Sts, "GetCallerIdentity", false),
            (Service::Rds, "DescribeDBInstances", true),
            (Service::S3, "ListBuckets", false),
        ] {
            let plan = state.plan(service, operation, Duration::ZERO);
            assert_eq!(matches!(plan.outcome, Outcome::Close), hit, "{operation}");
        }
    }

    #[test]
    fn a_fault_that_cannot_be_is_told() {
        let fail = Some(Failures { next: None, status: 200, retry_after_seconds: None });
        assert!(Faults { fail, ..Faults::default() }.check().is_err());
        let down = Some(Down { from_seconds: 2, until_seconds: 1 });
        assert!(Faults { down, ..Faults::default() }.check().is_err());
        assert!(Faults::default().check().is_ok());
    }
}
