//! Waiting for a future on a plain thread, with a deadline and without a runtime.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use rolekeeper_core::Elapsed;

use crate::clock::Clock;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The future's result, or `None` when `deadline` has come first.
pub(crate) fn block_until<T>(
    clock: &Clock,
    deadline: Elapsed,
    future: impl Future<Output = T>,
) -> Option<T> {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return Some(value);
        }
        let left = deadline.since(clock.now().elapsed);
        if left.is_zero() {
            return None;
        }
        // A simulated clock moves without waking anybody; so never for long.
        thread::park_timeout(left.min(Duration::from_millis(500)));
    }
}
