//! How threads of Rust and the Python interpreter get along: who may enter it, how long a wait
//! holds a thread up, and that nobody of ours is inside when the interpreter ends.
//!
//! CPython up to 3.13 kills a thread that asks for the interpreter after its end has begun, with
//! whatever Rust stands on that thread's stack. So at exit, [`close`] lets nobody of ours in any
//! more and waits until those inside are out; and functions of Python's run on threads of Python's
//! own, which have no Rust on their stack.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use pyo3::{prelude::*, types::PyTuple};

static IS_CLOSING: AtomicBool = AtomicBool::new(false);
static INSIDE: AtomicUsize = AtomicUsize::new(0);

/// How often a waiting thread looks whether it is to stop: `Ctrl-C` is heard this soon.
const BEAT: Duration = Duration::from_millis(50);

/// How long the interpreter's end waits for those inside, who leave within a [`BEAT`] unless they
/// are in the middle of somebody else's code.
const CLOSING_BEATS: u32 = 40;

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
}

impl Drop for Inside {
    fn drop(&mut self) {
        // A forked child forgets its parent's threads in the middle of things.
        let fewer = |count: usize| count.checked_sub(1);
        let _ = INSIDE.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer);
    }
}

/// Runs `work` in the interpreter, for threads of ours; `None` once its end has begun.
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
            attach(|py| {
                let started = which(py)
                    .and_then(|call| py.import("_thread")?.call_method1("start_new_thread", call));
                if let Err(error) = started {
                    error.write_unraisable(py, None);
                }
            })
        });
    // Whoever waits for the call notices that it was dropped.
    drop(handed_over);
}

/// Waits for `future` with the interpreter released. `Ctrl-C` and the interpreter's end are heard
/// meanwhile; dropping the future then must cancel nothing.
pub(crate) fn wait<T: Send>(py: Python<'_>, future: impl Future<Output = T> + Send) -> PyResult<T> {
    let is_main = is_main_thread(py)?;
    py.detach(|| {
        let inside = Inside::enter();
        let may_stay = || is_main || (inside.is_some() && !IS_CLOSING.load(Ordering::SeqCst));
        let mut future = pin!(future);
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
                return Ok(value);
            }
            if !may_stay() {
                return Err(pyo3::exceptions::PyRuntimeError::new_err(
                    "the interpreter is shutting down: nothing more is fetched",
                ));
            }
            thread::park_timeout(BEAT);
            if is_main {
                // Signals are handled by the main thread alone, which the interpreter waits for.
                Python::attach(|py| py.check_signals())?;
            }
        }
    })
}

/// Runs an asynchronous chore to its end on a thread and runtime of its own, and waits for it.
pub(crate) fn run<T, F>(py: Python<'_>, work: impl FnOnce() -> F + Send + 'static) -> PyResult<T>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let (tell, told) = tokio::sync::oneshot::channel();
    thread::Builder::new().name("rolekeeper-chore".into()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        // Nobody listens any more after `Ctrl-C`.
        let _ = tell.send(runtime.map(|runtime| runtime.block_on(work())));
    })?;
    let outcome = wait(py, told)?;
    let lost = |_| pyo3::exceptions::PyRuntimeError::new_err("the chore's thread has ended");
    Ok(outcome.map_err(lost)??)
}

/// The interpreter's end begins: nobody of ours enters any more, those inside leave.
#[pyfunction]
pub(crate) fn close(py: Python<'_>) {
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

/// In a forked child: whoever was inside is the parent's.
#[pyfunction]
pub(crate) fn forget_threads() {
    INSIDE.store(0, Ordering::SeqCst);
}

fn is_main_thread(py: Python<'_>) -> PyResult<bool> {
    let threading = py.import("threading")?;
    let main = threading.call_method0("main_thread")?.getattr("ident")?;
    threading.call_method0("get_ident")?.eq(main)
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
