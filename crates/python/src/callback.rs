//! A function of Python's as the source of sessions, or of MFA codes. It runs on a thread of
//! Python's own that lives for one call, and never twice at a time.

use std::{
    fmt, process,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, ThreadId},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use pyo3::{prelude::*, types::PyTuple};
use rolekeeper::{
    Credentials, Failure, FailureKind, Issued, Source,
    sources::{Fetch, MfaPrompt},
};
use tokio::sync::watch;

use crate::{
    errors,
    interpreter::{self, interned},
    moments::wall_time,
};

/// A function that makes sessions.
pub(crate) struct Callback {
    name: String,
    function: Function<Issued>,
}

/// A function of Python's, and what it comes to in Rust's terms.
struct Function<T> {
    callable: Arc<Py<PyAny>>,
    parse: Parse<T>,
    /// The call that is under way. An attempt that has given it up leaves it here, and the next one
    /// waits for it: a function that hangs is never called a second time meanwhile.
    under_way: ArcSwapOption<Call<T>>,
    last: Arc<Last>,
}

/// What is remembered of the last call.
#[derive(Default)]
struct Last {
    cause: ArcSwapOption<Cause>,
    /// A child that the function forks is not its call.
    thread: ArcSwapOption<(u32, ThreadId)>,
}

type Parse<T> = fn(&Bound<'_, PyAny>) -> Result<T, Failure>;

/// A failure, and the exception that it came from.
struct Cause {
    failure: Failure,
    exception: Py<PyAny>,
    /// As it was when the exception was caught: raising it once more adds to it.
    traceback: Py<PyAny>,
}

struct Call<T> {
    /// The parent's calls are nobody's in a forked child.
    pid: u32,
    answer: watch::Receiver<Option<Result<T, Failure>>>,
}

type Deliver = dyn for<'a, 'py> FnOnce(Result<&'a Bound<'py, PyAny>, Failure>) + Send;

/// One call of a function, to be answered or failed once. Dropped unanswered, it has failed.
#[pyclass(frozen, module = "rolekeeper._rolekeeper")]
pub(crate) struct Request {
    deliver: Mutex<Option<Box<Deliver>>>,
    last: Arc<Last>,
}

// === impl Callback ===

impl Callback {
    pub(crate) fn new(name: String, callable: Py<PyAny>) -> Self {
        Self { name, function: Function::new(callable, issued) }
    }

    /// The exception that `failure` came from, if that was the last one.
    pub(crate) fn cause(&self, py: Python<'_>, failure: &Failure) -> Option<Py<PyAny>> {
        let last = self.function.last.cause.load();
        let cause = last.as_ref().filter(|cause| cause.failure == *failure)?;
        // An exception that takes no traceback is still the one.
        let _ = cause.exception.setattr(py, "__traceback__", &cause.traceback);
        Some(cause.exception.clone_ref(py))
    }

    /// Whether this thread is the one that makes the session: it would wait for itself.
    pub(crate) fn runs_here(&self) -> bool {
        self.function.last.thread.load().as_deref() == Some(&this_thread())
    }
}

impl Source for Callback {
    fn fetch(&self) -> Fetch<'_> {
        Box::pin(self.function.call())
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Callback").field(&self.name).finish()
    }
}

/// Asks `callable` for the code of an MFA device.
pub(crate) fn mfa_prompt(callable: Py<PyAny>) -> MfaPrompt {
    let function = Arc::new(Function::new(callable, code));
    MfaPrompt::new(move |_| {
        let function = Arc::clone(&function);
        async move {
            function.call().await.map_err(|mut failure| {
                // Nobody gave a code: that is no outage.
                if failure.kind.is_transient() {
                    failure.kind = FailureKind::NeedsPerson;
                }
                failure
            })
        }
    })
}

// === impl Function ===

impl<T: Clone + Send + Sync + 'static> Function<T> {
    fn new(callable: Py<PyAny>, parse: Parse<T>) -> Self {
        let (under_way, last) = Default::default();
        Self { callable: Arc::new(callable), parse, under_way, last }
    }

    async fn call(&self) -> Result<T, Failure> {
        let pid = process::id();
        let call = match self.under_way.load_full() {
            Some(call) if call.pid == pid => call,
            _ => {
                let call = Arc::new(Call { pid, answer: self.start() });
                self.under_way.store(Some(Arc::clone(&call)));
                call
            }
        };
        let mut answer = call.answer.clone();
        let outcome = match answer.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone(),
            Err(_) => None,
        };
        self.under_way.store(None);
        outcome.unwrap_or_else(|| {
            Err(Failure::unavailable("the function could not be called, or never came back")
                .with_hint("is the interpreter shutting down, or out of threads?"))
        })
    }

    fn start(&self) -> watch::Receiver<Option<Result<T, Failure>>> {
        let (tell, told) = watch::channel(None);
        let (callable, parse) = (Arc::clone(&self.callable), self.parse);
        let last = Arc::clone(&self.last);
        interpreter::call_apart(move |py| {
            let deliver: Box<Deliver> = Box::new(move |answer| {
                let _ = tell.send(Some(answer.and_then(parse)));
            });
            let request = Request { deliver: Mutex::new(Some(deliver)), last };
            let run = py.import("rolekeeper._callbacks")?.getattr(interned(py, "run"))?;
            let arguments = (Py::new(py, request)?, callable.clone_ref(py)).into_pyobject(py)?;
            Ok((run.unbind(), arguments.unbind()))
        });
        told
    }
}

// === impl Request ===

#[pymethods]
impl Request {
    /// The function is called from here on, on this thread.
    fn begin(&self) {
        self.last.thread.store(Some(Arc::new(this_thread())));
    }

    /// What the function returned.
    fn answer(&self, value: &Bound<'_, PyAny>) {
        self.last.cause.store(None);
        self.deliver(Ok(value));
    }

    /// What it raised, and what that means.
    #[pyo3(signature = (exception, kind, message, code=None, hint=None, retry_after=None))]
    fn fail(
        &self,
        exception: &Bound<'_, PyAny>,
        kind: &str,
        message: String,
        code: Option<String>,
        hint: Option<String>,
        retry_after: Option<f64>,
    ) -> PyResult<()> {
        let mut failure = Failure::new(errors::kind_of(kind)?, message);
        failure.code = code.map(Into::into);
        failure.hint = hint.map(Into::into);
        failure.retry_after = retry_after.and_then(|after| Duration::try_from_secs_f64(after).ok());
        let traceback = exception.getattr(interned(exception.py(), "__traceback__"))?.unbind();
        let exception = exception.clone().unbind();
        let cause = Cause { failure: failure.clone(), exception, traceback };
        self.last.cause.store(Some(Arc::new(cause)));
        self.deliver(Err(failure));
        Ok(())
    }
}

impl Request {
    fn deliver(&self, outcome: Result<&Bound<'_, PyAny>, Failure>) {
        self.last.thread.store(None);
        let deliver = self.deliver.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(deliver) = deliver {
            deliver(outcome);
        }
    }
}

fn this_thread() -> (u32, ThreadId) {
    (process::id(), thread::current().id())
}

// === what a function returned ===

/// `(access_key, secret_key, token, expiration[, account_id[, issued_at[, assumed_role_arn]]])`,
/// times in epoch seconds.
pub(crate) fn issued(answer: &Bound<'_, PyAny>) -> Result<Issued, Failure> {
    let bad = |what: String| Failure::bad_answer(what);
    let Ok(parts) = answer.cast::<PyTuple>() else {
        return Err(bad(format!("the function gave {}, not an answer's tuple", type_name(answer))));
    };
    let text = |at: usize, name: &str| -> Result<Option<String>, Failure> {
        match parts.get_item(at) {
            Ok(part) if !part.is_none() => part
                .extract()
                .map(Some)
                .map_err(|_| bad(format!("the {name} is {}, not a text", type_name(&part)))),
            _ => Ok(None),
        }
    };
    let time = |at: usize, name: &str| -> Result<Option<f64>, Failure> {
        match parts.get_item(at) {
            Ok(part) if !part.is_none() => part
                .extract()
                .map(Some)
                .map_err(|_| bad(format!("the {name} is {}, not a number", type_name(&part)))),
            _ => Ok(None),
        }
    };
    let wanted = |part: Option<String>, name: &str| {
        part.filter(|text| !text.is_empty()).ok_or_else(|| bad(format!("the answer has no {name}")))
    };
    let credentials = Credentials::new(
        wanted(text(0, "access key id")?, "access key id")?,
        wanted(text(1, "secret access key")?, "secret access key")?,
        text(2, "session token")?.unwrap_or_default(),
    );
    let end = time(3, "expiration")?.ok_or_else(|| bad("the answer has no expiration".into()))?;
    let mut issued = Issued::new(credentials, wall_time(end));
    issued.account_id = text(4, "account id")?;
    issued.issued_at = time(5, "time of issue")?.map(wall_time);
    issued.assumed_role_arn = text(6, "assumed role's ARN")?;
    Ok(issued)
}

fn code(answer: &Bound<'_, PyAny>) -> Result<String, Failure> {
    answer.extract().map_err(|_| {
        let found = type_name(answer);
        Failure::needs_person(format!("the MFA function gave {found}, not a text of six digits"))
    })
}

/// Never the value: it may be a secret.
fn type_name(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map_or_else(|_| "something".into(), |name| format!("`{name}`"))
}
