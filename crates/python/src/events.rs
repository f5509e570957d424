//! What happens to a session, handed to a function of Python's: in order, on a thread that lives as
//! long as there is something to tell.

use std::{
    collections::VecDeque,
    process,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::ArcSwap;
use pyo3::prelude::*;
use rolekeeper::{Event as RustEvent, EventKind};

use crate::{
    callback::Callback,
    errors::Told,
    interpreter::{self, interned},
    moments::epoch_seconds,
};

/// Whom events are told.
pub(crate) struct Observer {
    name: String,
    function: Arc<Py<PyAny>>,
    /// A forked child has a queue of its own: the parent's may have been locked.
    queue: ArcSwap<Queue>,
    causes: Option<Arc<Callback>>,
}

/// What is not told yet.
struct Queue {
    pid: u32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Event>,
    /// Whether a thread is at it, which goes on until nothing waits.
    is_told: bool,
}

/// The events of one observer, for the thread that tells them.
#[pyclass(frozen, module = "rolekeeper._rolekeeper")]
pub(crate) struct Events(Arc<Queue>);

/// One thing that happened.
#[pyclass(frozen, module = "rolekeeper._rolekeeper")]
pub(crate) struct Event {
    event: RustEvent,
    name: String,
    causes: Option<Arc<Callback>>,
}

// === impl Observer ===

impl Observer {
    pub(crate) fn new(
        name: String,
        function: Arc<Py<PyAny>>,
        causes: Option<Arc<Callback>>,
    ) -> Self {
        let queue = ArcSwap::from_pointee(Queue::new());
        Self { name, function, queue, causes }
    }

    /// Never waits for the interpreter.
    pub(crate) fn tell(&self, event: &RustEvent) {
        let (name, causes) = (self.name.clone(), self.causes.clone());
        let queue = self.queue();
        let mut state = queue.lock();
        state.waiting.push_back(Event { event: event.clone(), name, causes });
        if state.is_told {
            return;
        }
        state.is_told = true;
        drop(state);
        let function = Arc::clone(&self.function);
        interpreter::call_apart(move |py| {
            let tell = py.import("rolekeeper._callbacks")?.getattr(interned(py, "tell"))?;
            let arguments =
                (Py::new(py, Events(queue))?, function.clone_ref(py)).into_pyobject(py)?;
            Ok((tell.unbind(), arguments.unbind()))
        });
    }

    fn queue(&self) -> Arc<Queue> {
        let found = self.queue.load_full();
        if found.pid == process::id() {
            return found;
        }
        // Two threads of a child may both come here: the one that is slower takes the other's.
        self.queue.compare_and_swap(&found, Arc::new(Queue::new()));
        std::mem::forget(found);
        self.queue.load_full()
    }
}

// === impl Queue ===

impl Queue {
    fn new() -> Self {
        Self { pid: process::id(), state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Events {
    /// The next one; `None`: that was all, and whoever asked is done.
    fn take(&self) -> Option<Event> {
        let mut state = self.0.lock();
        let next = state.waiting.pop_front();
        state.is_told = next.is_some();
        next
    }
}

// === impl Event ===

#[pymethods]
impl Event {
    #[getter]
    fn kind(&self) -> &'static str {
        match &self.event.kind {
            EventKind::Fetched { .. } => "fetched",
            EventKind::Adopted { .. } => "adopted",
            EventKind::Failed(_) => "failed",
            EventKind::Rejected { .. } => "rejected",
            EventKind::Expired => "expired",
            _ => "let-go",
        }
    }

    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    #[getter]
    fn at(&self) -> f64 {
        epoch_seconds(self.event.at)
    }

    #[getter]
    fn generation(&self) -> u64 {
        self.event.generation
    }

    #[getter]
    fn remaining(&self) -> f64 {
        self.event.remaining.as_secs_f64()
    }

    #[getter]
    fn expiration(&self) -> Option<f64> {
        match &self.event.kind {
            EventKind::Fetched { expiration } | EventKind::Adopted { expiration } => {
                Some(epoch_seconds(*expiration))
            }
            _ => None,
        }
    }

    #[getter]
    fn access_key(&self) -> Option<&str> {
        match &self.event.kind {
            EventKind::Rejected { access_key_id } => Some(access_key_id),
            _ => None,
        }
    }

    #[getter]
    fn error<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let EventKind::Failed(refusal) = &self.event.kind else { return Ok(None) };
        let cause = self.causes.as_ref().and_then(|source| source.cause(py, &refusal.failure));
        let left = self.event.remaining;
        let valid_until = (!left.is_zero()).then(|| self.event.at.after(left));
        Told::of_refusal(&self.name, refusal, valid_until, cause).object(py).map(Some)
    }

    fn __repr__(&self) -> String {
        format!(
            "<Event {} of {}, generation {}, {:.0} s remain>",
            self.kind(),
            self.name,
            self.event.generation,
            self.remaining()
        )
    }
}
