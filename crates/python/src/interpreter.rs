//! How threads of Rust and the Python interpreter get along: who may enter it, how long a wait
//! holds a thread up, and that nobody of ours is inside when the interpreter ends.
//!
//! CPython up to 3.13 kills a thread that asks for the interpreter after its end has begun, with
//! whatever Rust stands on that thread's stack. So at exit, [`close`] lets nobody of ours in any
//! more and waits until those inside are out; and functions of Python's run on threads of Python's
//! own, which have no Rust on their stack.
//!
//! CPython up to 3.11 also leaves a forked child hanging whose parent had a thread that was just
//! becoming known to the interpreter, which takes a lock before the thread has its turn. So a thread
//! of ours enters as part of its [`Work`], which a fork waits for: whoever forks waits with the
//! interpreter released, and could not fork either while somebody else keeps it.

use std::{
    future::Future,
    process,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread, ThreadId},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use pyo3::{
    prelude::*,
    types::{PyString, PyTuple},
};
use rolekeeper::fork::{self, Work};

static IS_CLOSING: AtomicBool = AtomicBool::new(false);
static INSIDE: AtomicUsize = AtomicUsize::new(0);

/// The thread that ends the interpreter.
static CLOSER: ArcSwapOption<ThreadId> = ArcSwapOption::const_empty();

/// How often a waiting thread looks whether it is to stop: `Ctrl-C` is heard this soon.
const BEAT: Duration = Duration::from_millis(50);

/// How long the interpreter's end waits for those inside, who leave within a [`BEAT`] unless they
/// are in the middle of somebody else's code.
const CLOSING_BEATS: u32 = 40;

/// How long a fork waits for threads of ours, which rest most of the time: reading the root
/// certificates, once a process, takes them longest, on a busy machine a second. What is not done
/// by then stands still, as does somebody's clock that waits for this very fork.
const FORK_PATIENCE: Duration = Duration::from_secs(5);

/// A stack for a loop that hands a function over.
const STACK_BYTES: usize = 128 * 1024;

/// Somebody whom the interpreter's end has to wait for.
struct Inside;

impl Inside {
    /// `None` once the interpreter's end has begun.
    fn enter() -> Option<Self> {
        INSIDE.fetch_add(1, Ordering::SeqCst);
        let inside = Self;
        (!IS_CLOSING.load(Ordering::SeqCst)).then_some(inside)
    }

    /// One more, since somebody is inside already.
    fn another(&self) -> Self {
        INSIDE.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        // A forked child forgets its parent's threads in the middle of things.
        let fewer = |count: usize| count.checked_sub(1);
        let _ = INSIDE.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer);
    }
}

/// A thread of Python's that was started and does not run yet. The interpreter's end waits for it:
/// CPython 3.10 frees what such a thread starts with, and the thread then dies of it, with the
/// whole process.
#[pyclass(frozen, module = "rolekeeper._rolekeeper")]
pub(crate) struct Starting(Mutex<Option<Inside>>);

#[pymethods]
impl Starting {
    /// It runs.
    fn done(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// Runs `work` in the interpreter, for threads of ours that are at [`Work`]; `None` once its end has
/// begun.
pub(crate) fn attach<R>(work: impl FnOnce(Python<'_>) -> R) -> Option<R> {
    let _inside = Inside::enter()?;
    Python::try_attach(work)
}

/// Has a function called on a thread of Python's own, from any thread: `which` says the function and
/// its arguments. If that can't be had, the arguments are dropped.
pub(crate) fn call_apart(
    which: impl FnOnce(Python<'_>) -> PyResult<(Py<PyAny>, Py<PyTuple>)> + Send + 'static,
) {
    // The interpreter may be held by somebody for long: that is no reason to hold up a refresher.
    let handed_over = thread::Builder::new()
        .name("rolekeeper-python".into())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let _working = Work::begin();
            let inside = Inside::enter()?;
            Python::try_attach(|py| {
                let started = which(py).and_then(|call| start_thread(py, &inside, call));
                if let Err(error) = started {
                    error.write_unraisable(py, None);
                }
            })
        });
    // Whoever waits for the call notices that it was dropped.
    drop(handed_over);
}

/// Has a thread of Python's own call a function. Whoever is inside stays there until it runs.
fn start_thread(
    py: Python<'_>,
    inside: &Inside,
    (function, arguments): (Py<PyAny>, Py<PyTuple>),
) -> PyResult<()> {
    let starting = Starting(Mutex::new(Some(inside.another())));
    let start = py.import("rolekeeper._callbacks")?.getattr(interned(py, "start"))?;
    py.import("_thread")?
        .call_method1(interned(py, "start_new_thread"), (start, (starting, function, arguments)))?;
    Ok(())
}

/// Waits for `future` with the interpreter released. `Ctrl-C` and the interpreter's end are heard
/// meanwhile; dropping the future then must cancel nothing.
pub(crate) fn wait<T: Send>(py: Python<'_>, future: impl Future<Output = T> + Send) -> PyResult<T> {
    // Until this thread has the interpreter again.
    let _inside = stay(py)?;
    let is_main = is_main_thread(py)?;
    py.detach(|| {
        let may_stay = || is_main || !IS_CLOSING.load(Ordering::SeqCst);
        let pid = process::id();
        // On the heap, to be forgotten there.
        let mut future = Box::pin(future);
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        let outcome = loop {
            let working = Work::begin();
            if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
                break Ok(value);
            }
            drop(working);
            if !may_stay() {
                break Err(shutting_down());
            }
            thread::park_timeout(BEAT);
            // Signals are handled by the main thread alone, which the interpreter waits for.
            let heard = if is_main { Python::attach(|py| py.check_signals()) } else { Ok(()) };
            if process::id() != pid {
                // Dropping what the parent waited for could need a lock of the parent's.
                std::mem::forget(future);
                heard?;
                return Err(pyo3::exceptions::PyRuntimeError::new_err(
                    "a signal handler forked while its thread waited for a session: the child has \
                     to ask again",
                ));
            }
            if let Err(raised) = heard {
                break Err(raised);
            }
        };
        // What it held may be the last of its kind, and have locks to pass on its way out.
        let _working = Work::begin();
        drop(future);
        outcome
    })
}

/// Holds up the interpreter's end for what runs functions of Python's with Rust on its stack.
pub(crate) fn stay(_: Python<'_>) -> PyResult<impl Sized> {
    match Inside::enter() {
        // Natively: to ask Python could already be the end of this thread.
        None if CLOSER.load_full().as_deref() != Some(&thread::current().id()) => {
            Err(shutting_down())
        }
        inside => Ok(inside),
    }
}

/// Ends the thread that gets it, which is a daemon, without a word: just as the interpreter does.
fn shutting_down() -> PyErr {
    let why = "the interpreter is shutting down: nothing more is fetched";
    pyo3::exceptions::PySystemExit::new_err(why)
}

/// Runs an asynchronous chore to its end on a thread and runtime of its own, and waits for it.
pub(crate) fn run<T, F>(py: Python<'_>, work: impl FnOnce() -> F + Send + 'static) -> PyResult<T>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    // Here, since making a runtime reads the environment, which nobody of Python's writes while this
    // thread has the interpreter.
    let runtime = fork::runtime()?;
    let (tell, told) = tokio::sync::oneshot::channel();
    thread::Builder::new().name("rolekeeper-chore".into()).spawn(move || {
        let _working = Work::begin();
        // Nobody listens any more after `Ctrl-C`.
        let _ = tell.send(runtime.block_on(work()));
    })?;
    let outcome = wait(py, told)?;
    let lost = |_| pyo3::exceptions::PyRuntimeError::new_err("the chore's thread has ended");
    outcome.map_err(lost)
}

/// The interpreter's end begins: nobody of ours enters any more, those inside leave.
#[pyfunction]
pub(crate) fn close(py: Python<'_>) {
    CLOSER.store(Some(Arc::new(thread::current().id())));
    IS_CLOSING.store(true, Ordering::SeqCst);
    py.detach(|| {
        for _ in 0..CLOSING_BEATS {
            if INSIDE.load(Ordering::SeqCst) == 0 {
                return;
            }
            thread::sleep(BEAT);
        }
    });
}

/// Before a fork: waits until threads of ours are at rest, with the interpreter released, since they
/// may need it to get there.
#[pyfunction]
pub(crate) fn before_fork(py: Python<'_>) {
    py.detach(|| fork::hold_still(FORK_PATIENCE));
}

#[pyfunction]
pub(crate) fn forked_parent() {
    fork::forked_parent();
}

/// In a forked child: whoever was inside is the parent's.
#[pyfunction]
pub(crate) fn forked_child() {
    INSIDE.store(0, Ordering::SeqCst);
    fork::forked_child();
}

/// What stands in statics here belongs to one interpreter. From 3.12 on, Python refuses the module to
/// others by itself.
pub(crate) fn refuse_others(py: Python<'_>) -> PyResult<()> {
    if py.version_info() >= (3, 12) {
        return Ok(());
    }
    // A Python that was built without it has no other interpreters, but for those of C programs.
    let Ok(interpreters) = py.import("_xxsubinterpreters") else { return Ok(()) };
    let id = |which| interpreters.call_method0(which);
    if id("get_current")?.eq(id("get_main")?)? {
        return Ok(());
    }
    Err(pyo3::exceptions::PyImportError::new_err(
        "rolekeeper does not work in sub-interpreters: import it in the main interpreter (with \
         mod_wsgi: WSGIApplicationGroup %{GLOBAL})",
    ))
}

fn is_main_thread(py: Python<'_>) -> PyResult<bool> {
    let threading = py.import("threading")?;
    let main =
        threading.call_method0(interned(py, "main_thread"))?.getattr(interned(py, "ident"))?;
    threading.call_method0(interned(py, "get_ident"))?.eq(main)
}

/// The name of an attribute, always the same object. Python remembers look-ups by the object, up to
/// some thousands: new ones each time would all be kept there, and push out those of others.
pub(crate) fn interned<'py>(py: Python<'py>, text: &str) -> Bound<'py, PyString> {
    PyString::intern(py, text)
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
