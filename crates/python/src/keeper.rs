//! The object that Python reads credentials from. Reading a valid session is native all the way:
//! no lock, no wait, no Python code.

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use pyo3::{exceptions::PyRuntimeError, prelude::*};
use rolekeeper::{
    Clock, Current, Error, Issued, RefreshMode, RefreshPolicy, RefreshableCredentials, Session,
    stores::SessionStore,
};

use crate::{
    callback::{self, Callback},
    clock,
    errors::Told,
    events::Observer,
    interpreter::{self, interned},
    moments::duration,
    source::{Base, Source, issued_again},
    status::Status,
    store::Store,
};

/// Keeps one session fresh, from the time that it is opened. Python's classes derive from it and
/// give it its hooks: `_start()`, which opens it at the first read, and `_freeze(…)`, which makes
/// the object that reads return.
#[pyclass(subclass, frozen, module = "rolekeeper._rolekeeper")]
pub(crate) struct Keeper {
    open: ArcSwapOption<Open>,
}

struct Open {
    recipe: Recipe,
    credentials: RefreshableCredentials,
    /// The newest session in Python's form.
    frozen: ArcSwapOption<Frozen>,
}

/// How it was opened, to open it so again.
#[derive(Clone)]
struct Recipe {
    source: Arc<Source>,
    /// A test's function in place of the source.
    stand_in: Option<Arc<Callback>>,
    policy: RefreshPolicy,
    clock: Clock,
    observer: Option<Arc<Py<PyAny>>>,
    store: Option<Arc<dyn SessionStore>>,
    /// As it was set for readers on demand.
    mandatory_window: Option<Duration>,
}

struct Frozen {
    session: Arc<Session>,
    object: Py<PyAny>,
}

/// What asking natively for a new session comes to.
type Outcome = Result<Current, Error>;

// === impl Keeper ===

#[pymethods]
impl Keeper {
    /// Whatever arguments are for the classes that derive from it.
    #[new]
    #[pyo3(signature = (*_arguments, **_named))]
    fn new(_arguments: &Bound<'_, PyAny>, _named: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        // Early, and not on a thread of ours: a fork leaves a module that another thread is
        // importing half imported, and locked.
        _arguments.py().import("rolekeeper._callbacks")?;
        Ok(Self { open: ArcSwapOption::empty() })
    }

    #[pyo3(signature = (
        source, *, mode, policy = "default", advisory_timeout = None, mandatory_timeout = None,
        attempt_timeout = 30.0, read_deadline = 30.0, clock = None,
        initial = None, observer = None, store = None, reopen = false,
    ))]
    #[expect(clippy::too_many_arguments, reason = "they are named where it is called")]
    fn _open(
        &self,
        py: Python<'_>,
        source: &Bound<'_, Source>,
        mode: &str,
        policy: &str,
        advisory_timeout: Option<f64>,
        mandatory_timeout: Option<f64>,
        attempt_timeout: f64,
        read_deadline: f64,
        clock: Option<Bound<'_, PyAny>>,
        initial: Option<Bound<'_, PyAny>>,
        observer: Option<Py<PyAny>>,
        store: Option<&Bound<'_, Store>>,
        reopen: bool,
    ) -> PyResult<()> {
        if self.is_open() && !reopen {
            return Ok(());
        }
        let mode = match mode {
            "background" => RefreshMode::Background,
            "on-demand" => RefreshMode::OnDemand,
            other => return Err(unknown("mode", other, "background, on-demand")),
        };
        let mandatory_window =
            mandatory_timeout.map(|window| duration("mandatory_timeout", window)).transpose()?;
        let mut policy = match policy {
            "default" if mode == RefreshMode::OnDemand => RefreshPolicy::on_demand(),
            "default" => RefreshPolicy::default(),
            "sdk-standard" => RefreshPolicy::sdk_standard().with_mode(mode),
            other => return Err(unknown("policy", other, "default, sdk-standard")),
        }
        .with_attempt_timeout(duration("attempt_timeout", attempt_timeout)?)
        .with_read_deadline(duration("read_deadline", read_deadline)?);
        if let Some(window) = advisory_timeout {
            policy = policy.with_advisory_window(duration("advisory_timeout", window)?);
        }
        if let Some(window) = mandatory_window {
            policy = policy.with_mandatory_window(window);
        }
        let initial = initial.map(|answer| callback::issued(&answer)).transpose();
        let initial = initial.map_err(|why| Told::of_failure(&why).raise(py))?;
        let recipe = Recipe {
            source: Arc::new(source.get().clone()),
            stand_in: None,
            policy,
            clock: clock::clock_of(clock),
            observer: observer.map(Arc::new),
            store: store.map(|store| store.get().shared()),
            mandatory_window: mandatory_window.filter(|_| mode == RefreshMode::OnDemand),
        };
        let open = Some(Arc::new(recipe.open(initial)));
        if reopen {
            self.open.store(open);
        } else {
            // Another thread may have been faster, while a clock of Python's was asked.
            let found = self.open.load_full().filter(|open| open.is_shut_down());
            self.open.compare_and_swap(&found, open);
        }
        Ok(())
    }

    #[getter(_is_open)]
    fn is_open(&self) -> bool {
        self.open.load().as_ref().is_some_and(|open| !open.is_shut_down())
    }

    /// The newest credentials. Never waits while a session is valid; else it waits for the one
    /// fetch that all readers wait for, or raises why there is none.
    fn get_frozen_credentials(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        match Self::ready(slf)? {
            Some(frozen) => Ok(frozen),
            None => {
                let _inside = interpreter::stay(slf.py())?;
                slf.call_method0(interned(slf.py(), "_about_to_ask"))?;
                Self::wait_for(slf, ask_for_one)
            }
        }
    }

    /// The newest credentials; `None` where a read would have to wait, fetch or raise.
    #[pyo3(name = "_ready")]
    fn ready(slf: &Bound<'_, Self>) -> PyResult<Option<Py<PyAny>>> {
        let open = slf.get().open.load();
        match open.as_ref().and_then(|open| Some((open, open.credentials.ready()?))) {
            Some((open, current)) => open.freeze(slf, &current).map(Some),
            None => Ok(None),
        }
    }

    /// A hook: this reader's thread is about to wait.
    fn _about_to_ask(&self) {}

    /// Begins the fetch that a read would begin now, for a reader that then waits in its own way.
    fn _ask_ahead(slf: &Bound<'_, Self>) -> PyResult<()> {
        slf.call_method0(interned(slf.py(), "_about_to_ask"))?;
        let open = Self::opened(slf)?;
        let read = pin!(open.credentials.get());
        // One look begins it; giving up cancels nothing.
        let _ = read.poll(&mut Context::from_waker(Waker::noop()));
        Ok(())
    }

    /// What is held and valid, whatever a read would do about it.
    fn _held(slf: &Bound<'_, Self>) -> PyResult<Option<Py<PyAny>>> {
        let open = slf.get().open.load_full();
        match open.as_ref().and_then(|open| Some((open, open.credentials.current()?))) {
            Some((open, current)) => open.freeze(slf, &current).map(Some),
            None => Ok(None),
        }
    }

    /// Fetches now and waits for it.
    fn _refresh_now(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        Self::wait_for(slf, |credentials| async move { credentials.refresh_now().await })
    }

    /// A service refused the session with this access key: the next read gets a newer one.
    fn rejected(&self, access_key_id: &str) {
        if let Some(open) = self.open.load().as_ref() {
            open.credentials.rejected(access_key_id);
        }
    }

    fn _status(&self) -> Option<Status> {
        let open = self.open.load_full()?;
        Some(Status::new(open.credentials.status(), open.recipe.callback()))
    }

    /// Stops refreshing and forgets the session; reads raise from now on.
    fn _close(&self) {
        if let Some(open) = self.open.load().as_ref() {
            open.credentials.shutdown();
            open.frozen.store(None);
        }
    }

    /// The sessions that it keeps, for a role that is assumed with them.
    fn _as_base(&self) -> PyResult<Base> {
        let open = self.open.load();
        let open = open.as_ref().ok_or_else(|| {
            PyRuntimeError::new_err("these credentials are not open yet: read from them once")
        })?;
        Ok(Base::of(open.credentials.clone()))
    }

    /// For tests: what is held counts as over, and a pause after failures ends.
    fn _expire(&self) {
        if let Some(open) = self.open.load_full() {
            self.open.store(Some(Arc::new(open.recipe.clone().open(None))));
        }
    }

    /// For tests: `fetch` makes the sessions from now on, `None`: the source again. What is held
    /// stays, and a pause after failures ends.
    #[pyo3(signature = (fetch))]
    fn _override(&self, fetch: Option<Py<PyAny>>) {
        let Some(open) = self.open.load_full() else { return };
        let name = open.credentials.name();
        let stand_in = fetch.map(|fetch| Arc::new(Callback::new(name.to_owned(), fetch)));
        let recipe = Recipe { stand_in, ..open.recipe.clone() };
        let held = open.credentials.current().map(|current| issued_again(&current));
        self.open.store(Some(Arc::new(recipe.open(held))));
    }
}

async fn ask_for_one(credentials: RefreshableCredentials) -> Outcome {
    credentials.get().await
}

impl Keeper {
    fn wait_for<F>(
        slf: &Bound<'_, Self>,
        ask: impl Fn(RefreshableCredentials) -> F,
    ) -> PyResult<Py<PyAny>>
    where
        F: Future<Output = Outcome> + Send,
    {
        let py = slf.py();
        let _inside = interpreter::stay(py)?;
        loop {
            let open = Self::opened(slf)?;
            if open.recipe.callback().is_some_and(|callback| callback.runs_here()) {
                return Err(PyRuntimeError::new_err(
                    "the function that makes the session reads from that very session, and would \
                     wait for itself: let it use other credentials",
                ));
            }
            let failures = open.failures();
            match interpreter::wait(py, ask(open.credentials.clone()))? {
                Ok(current) => {
                    return match open.mandatory_failure(&current, failures) {
                        Some(error) => Err(open.raise(slf, &error)),
                        None => open.freeze(slf, &current),
                    };
                }
                // It was opened anew meanwhile, by somebody who changed a window.
                Err(_) if slf.get().is_other(&open) => {}
                Err(error) => return Err(open.raise(slf, &error)),
            }
        }
    }

    fn opened(slf: &Bound<'_, Self>) -> PyResult<Arc<Open>> {
        if slf.get().open.load().is_none() {
            slf.call_method0(interned(slf.py(), "_start"))?;
        }
        let open = slf.get().open.load_full();
        open.ok_or_else(|| PyRuntimeError::new_err("_start() did not open the credentials"))
    }

    fn is_other(&self, than: &Arc<Open>) -> bool {
        self.open.load().as_ref().is_some_and(|open| !Arc::ptr_eq(open, than))
    }
}

// === impl Recipe ===

impl Recipe {
    fn open(self, initial: Option<Issued>) -> Open {
        let builder = match &self.stand_in {
            Some(stand_in) => RefreshableCredentials::builder(Arc::clone(stand_in)),
            None => RefreshableCredentials::builder(self.source.shared()),
        };
        let mut builder = builder.policy(self.policy.clone()).clock(self.clock.clone());
        if let Some(issued) = initial {
            builder = builder.session(issued);
        }
        if let Some(store) = &self.store {
            builder = builder.store(Arc::clone(store));
        }
        if let Some(function) = &self.observer {
            let observer =
                Observer::new(self.source.label(), Arc::clone(function), self.callback());
            builder = builder.observer(move |event| observer.tell(event));
        }
        Open { credentials: builder.build(), frozen: ArcSwapOption::empty(), recipe: self }
    }

    /// The function of Python's that makes the sessions, if it is one.
    fn callback(&self) -> Option<Arc<Callback>> {
        self.stand_in.clone().or_else(|| self.source.callback())
    }
}

// === impl Open ===

impl Open {
    /// The session as Python has it, made once.
    fn freeze(&self, keeper: &Bound<'_, Keeper>, current: &Current) -> PyResult<Py<PyAny>> {
        let py = keeper.py();
        if let Some(frozen) = &*self.frozen.load()
            && std::ptr::eq(&*frozen.session, &**current)
        {
            return Ok(frozen.object.clone_ref(py));
        }
        let _inside = interpreter::stay(py)?;
        let credentials = current.credentials();
        let token = credentials.session_token.expose();
        let parts = (
            current.access_key_id(),
            credentials.secret_access_key.expose(),
            (!token.is_empty()).then_some(token),
            current.account_id(),
        );
        let object = keeper.call_method1(interned(py, "_freeze"), parts)?.unbind();
        let made = Frozen { session: current.share(), object: object.clone_ref(py) };
        self.frozen.store(Some(Arc::new(made)));
        Ok(object)
    }

    fn failures(&self) -> u64 {
        self.credentials.status().counters.failed
    }

    /// botocore's rule, where a mandatory window was set: on demand, whoever has waited in it for a
    /// fetch that failed is told so. Those who come later are served what is still valid.
    fn mandatory_failure(&self, current: &Current, failures_before: u64) -> Option<Error> {
        let window = self.recipe.mandatory_window?;
        let status = self.credentials.status();
        let has_failed = status.counters.failed > failures_before;
        let is_old = status.remaining <= window && status.generation == current.generation();
        status.last_error.filter(|_| has_failed && is_old)
    }

    fn is_shut_down(&self) -> bool {
        self.credentials.status().is_shut_down
    }

    /// Where the class wants it so, the exception of the function that failed, else ours.
    fn raise(&self, keeper: &Bound<'_, Keeper>, error: &Error) -> PyErr {
        let py = keeper.py();
        let _inside = match interpreter::stay(py) {
            Ok(inside) => inside,
            Err(shutting_down) => return shutting_down,
        };
        let callback = self.recipe.callback();
        let cause = callback.and_then(|callback| callback.cause(py, error.failure()));
        let wants_cause = keeper
            .getattr(interned(py, "_raise_cause"))
            .and_then(|wanted| wanted.is_truthy())
            .unwrap_or(false);
        match cause {
            Some(cause) if wants_cause => PyErr::from_value(cause.into_bound(py)),
            cause => Told::of_error(error, cause).raise(py),
        }
    }
}

fn unknown(what: &str, given: &str, known: &str) -> PyErr {
    pyo3::exceptions::PyValueError::new_err(format!("{what} is `{given}`, not one of: {known}"))
}
