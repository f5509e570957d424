//! Failures as Python's exceptions, which `rolekeeper.errors` defines.

use pyo3::{exceptions::PyValueError, prelude::*, types::PyDict};
use rolekeeper::{Error, Failure, FailureKind, Refusal, WallTime};

use crate::{interpreter::interned, moments::epoch_seconds};

const KINDS: [(FailureKind, &str); 5] = [
    (FailureKind::Unavailable, "unavailable"),
    (FailureKind::Denied, "denied"),
    (FailureKind::NeedsPerson, "needs-person"),
    (FailureKind::Misconfigured, "misconfigured"),
    (FailureKind::BadAnswer, "bad-answer"),
];

pub(crate) fn kind_of(name: &str) -> PyResult<FailureKind> {
    let found = KINDS.iter().find(|(_, known)| *known == name);
    found.map(|(kind, _)| *kind).ok_or_else(|| {
        let known = KINDS.map(|(_, name)| name).join(", ");
        PyValueError::new_err(format!("the kind of failure is `{name}`, not one of: {known}"))
    })
}

pub(crate) fn kind_name(kind: FailureKind) -> &'static str {
    KINDS.iter().find(|(known, _)| *known == kind).map_or("unavailable", |(_, name)| name)
}

/// Everything that an exception tells.
pub(crate) struct Told<'a> {
    role: Option<&'a str>,
    message: String,
    failure: &'a Failure,
    valid_until: Option<WallTime>,
    next_try: Option<f64>,
    attempts: u32,
    cause: Option<Py<PyAny>>,
}

// === impl Told ===

impl<'a> Told<'a> {
    pub(crate) fn of_error(error: &'a Error, cause: Option<Py<PyAny>>) -> Self {
        Self {
            role: Some(error.role()),
            message: error.to_string(),
            failure: error.failure(),
            valid_until: error.valid_until(),
            next_try: error.next_try().map(|wait| wait.as_secs_f64()),
            attempts: error.attempts(),
            cause,
        }
    }

    pub(crate) fn of_refusal(
        role: &'a str,
        refusal: &'a Refusal,
        valid_until: Option<WallTime>,
        cause: Option<Py<PyAny>>,
    ) -> Self {
        Self {
            role: Some(role),
            message: format!("no newer session for {role}: {}", refusal.failure),
            failure: &refusal.failure,
            valid_until,
            next_try: refusal.next_try.map(|wait| wait.as_secs_f64()),
            attempts: refusal.attempts,
            cause,
        }
    }

    /// Found before anything was fetched.
    pub(crate) fn of_failure(failure: &'a Failure) -> Self {
        Self {
            role: None,
            message: failure.to_string(),
            failure,
            valid_until: None,
            next_try: None,
            attempts: 0,
            cause: None,
        }
    }

    /// The exception, not raised.
    pub(crate) fn object<'py>(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let Failure { kind, code, hint, .. } = self.failure;
        let fields = PyDict::new(py);
        fields.set_item("kind", kind_name(*kind))?;
        fields.set_item("message", self.message)?;
        fields.set_item("code", code.as_deref())?;
        fields.set_item("hint", hint.as_deref())?;
        fields.set_item("role", self.role)?;
        fields.set_item("retryable", kind.is_transient())?;
        fields.set_item("valid_until", self.valid_until.map(epoch_seconds))?;
        fields.set_item("next_try", self.next_try)?;
        fields.set_item("attempts", self.attempts)?;
        fields.set_item("cause", self.cause)?;
        py.import("rolekeeper.errors")?
            .getattr(interned(py, "from_native"))?
            .call((), Some(&fields))
    }

    pub(crate) fn raise(self, py: Python<'_>) -> PyErr {
        self.object(py).map_or_else(|error| error, PyErr::from_value)
    }
}
