//! Stores that sessions are shared through, as Python's objects.

use std::{path::PathBuf, sync::Arc};

use pyo3::prelude::*;
use rolekeeper::{
    Failure,
    stores::{self, Sealer, SessionStore, StoreError},
};

use crate::errors::Told;

/// Where sessions are shared with other processes or hosts. Those who hold the same one share its
/// connection too.
#[pyclass(frozen, weakref, module = "rolekeeper._rolekeeper")]
pub(crate) struct Store(Arc<dyn SessionStore>);

#[pymethods]
impl Store {
    /// `place` is `file` or a Redis' address; the keys that sessions are sealed with there are in a
    /// file, or are given as text.
    #[staticmethod]
    #[pyo3(signature = (place, *, key_file = None, key = None))]
    fn open(
        py: Python<'_>,
        place: &str,
        key_file: Option<PathBuf>,
        key: Option<&str>,
    ) -> PyResult<Self> {
        // A passphrase takes its time, and so may a disk.
        let opened = py.detach(|| {
            let keys = match (key_file, key) {
                (Some(path), _) => Some(Sealer::from_file(path)?),
                (None, Some(text)) => Some(Sealer::from_text(text)?),
                (None, None) => None,
            };
            stores::open(place, keys)
        });
        opened.map(Self).map_err(|error| Told::of_failure(&failure_of(error)).raise(py))
    }

    /// Never with a password.
    #[getter]
    fn name(&self) -> String {
        self.0.name()
    }

    fn __repr__(&self) -> String {
        format!("<Store {}>", self.0.name())
    }
}

impl Store {
    pub(crate) fn shared(&self) -> Arc<dyn SessionStore> {
        Arc::clone(&self.0)
    }
}

fn failure_of(error: StoreError) -> Failure {
    let failure = Failure::misconfigured(error.message);
    match error.hint {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}
