//! What anyone may know of a session's life.

use std::sync::Arc;

use pyo3::prelude::*;
use rolekeeper::Status as RustStatus;

use crate::{callback::Callback, errors::Told, moments::epoch_seconds};

/// The state at one moment; no secrets.
#[pyclass(frozen, module = "rolekeeper._rolekeeper")]
pub(crate) struct Status {
    status: RustStatus,
    causes: Option<Arc<Callback>>,
}

impl Status {
    pub(crate) fn new(status: RustStatus, causes: Option<Arc<Callback>>) -> Self {
        Self { status, causes }
    }
}

#[pymethods]
impl Status {
    #[getter]
    fn name(&self) -> &str {
        &self.status.name
    }

    #[getter]
    fn access_key(&self) -> Option<&str> {
        self.status.access_key_id.as_deref()
    }

    #[getter]
    fn account_id(&self) -> Option<&str> {
        self.status.account_id.as_deref()
    }

    #[getter]
    fn assumed_role_arn(&self) -> Option<&str> {
        self.status.assumed_role_arn.as_deref()
    }

    #[getter]
    fn expiration(&self) -> Option<f64> {
        self.status.expiration.map(epoch_seconds)
    }

    #[getter]
    fn remaining(&self) -> f64 {
        self.status.remaining.as_secs_f64()
    }

    #[getter]
    fn lifetime(&self) -> f64 {
        self.status.lifetime.as_secs_f64()
    }

    #[getter]
    fn generation(&self) -> u64 {
        self.status.generation
    }

    #[getter]
    fn rejected(&self) -> bool {
        self.status.is_rejected
    }

    #[getter]
    fn next_refresh(&self) -> Option<f64> {
        self.status.next_refresh.map(|wait| wait.as_secs_f64())
    }

    #[getter]
    fn last_error<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(error) = &self.status.last_error else { return Ok(None) };
        let cause = self.causes.as_ref().and_then(|source| source.cause(py, error.failure()));
        Told::of_error(error, cause).object(py).map(Some)
    }

    #[getter]
    fn fetches(&self) -> u64 {
        self.status.counters.attempts
    }

    #[getter]
    fn failures(&self) -> u64 {
        self.status.counters.failed
    }

    #[getter]
    fn closed(&self) -> bool {
        self.status.is_shut_down
    }
}
