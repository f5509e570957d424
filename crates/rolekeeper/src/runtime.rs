//! Where refreshers run: in the caller's tokio runtime, or, where there is none, on one small
//! thread of ours.

use std::{
    sync::{Arc, LazyLock, Weak},
    thread,
    time::Duration,
};

use arc_swap::ArcSwapWeak;
use tokio::{runtime::Handle, sync::oneshot};

use crate::fork;

/// Where tasks are spawned; holding it keeps it there.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    handle: Handle,
    _own: Option<Arc<OwnThread>>,
}

/// One thread a process with a runtime of its own.
#[derive(Debug)]
struct OwnThread {
    /// Threads do not survive a `fork`.
    pid: u32,
    handle: Handle,
    /// Dropping it ends the thread.
    _ends: oneshot::Sender<()>,
}

static OWN: LazyLock<ArcSwapWeak<OwnThread>> = LazyLock::new(|| ArcSwapWeak::new(Weak::new()));

/// Enough for TLS and the SDK, whose futures are on the heap.
const STACK_BYTES: usize = 512 * 1024;

impl Home {
    /// The runtime that the caller is in, or a thread of ours.
    pub(crate) fn find() -> std::io::Result<Self> {
        match Handle::try_current() {
            Ok(handle) => Ok(Self { handle, _own: None }),
            Err(_) => Self::own(),
        }
    }

    /// The caller's choice.
    pub(crate) fn of(handle: Handle) -> Self {
        Self { handle, _own: None }
    }

    fn own() -> std::io::Result<Self> {
        let pid = std::process::id();
        loop {
            let found = OWN.load();
            if let Some(own) = found.upgrade().filter(|own| own.pid == pid) {
                return Ok(Self { handle: own.handle.clone(), _own: Some(own) });
            }
            let own = Arc::new(OwnThread::start(pid)?);
            let seen = OWN.compare_and_swap(&*found, Arc::downgrade(&own));
            if Weak::ptr_eq(&seen, &found) {
                return Ok(Self { handle: own.handle.clone(), _own: Some(own) });
            }
        }
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl OwnThread {
    fn start(pid: u32) -> std::io::Result<Self> {
        let runtime = fork::runtime()?;
        let handle = runtime.handle().clone();
        let (ends, ended) = oneshot::channel::<()>();
        thread::Builder::new().name("rolekeeper".into()).stack_size(STACK_BYTES).spawn(
            move || {
                let _working = fork::Work::begin();
                let _ = runtime.block_on(ended);
                // A resolver thread that hangs must not hold up the end.
                runtime.shutdown_timeout(Duration::ZERO);
            },
        )?;
        Ok(Self { pid, handle, _ends: ends })
    }
}
