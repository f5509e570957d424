//! Futures around others, in no more room than those take: there is a refresher for each of
//! thousands of roles, and most of what it weighs is what it waits for.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use rolekeeper_core::Failure;

pin_project! {
    /// The first future's result, or `None` if the second ends before it.
    pub(crate) struct Race<A, B> {
        #[pin]
        first: A,
        #[pin]
        second: B,
    }
}

/// Runs both until one of them ends; the first goes before the second if both do.
pub(crate) fn race<A: Future, B: Future>(first: A, second: B) -> Race<A, B> {
    Race { first, second }
}

impl<A: Future, B: Future> Future for Race<A, B> {
    type Output = Option<A::Output>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let both = self.project();
        match both.first.poll(context) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending => both.second.poll(context).map(|_| None),
        }
    }
}

pin_project! {
    /// A panic in the source is the source's failure, not ours.
    pub(crate) struct Caught<F> {
        #[pin]
        work: F,
    }
}

/// Turns a panic into a failure.
pub(crate) fn caught<T, F: Future<Output = Result<T, Failure>>>(work: F) -> Caught<F> {
    Caught { work }
}

impl<T, F: Future<Output = Result<T, Failure>>> Future for Caught<F> {
    type Output = Result<T, Failure>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let work = self.project().work;
        // The payload is the source's own text and could hold anything: it is not told.
        catch_unwind(AssertUnwindSafe(|| work.poll(context)))
            .unwrap_or_else(|_| Poll::Ready(Err(Failure::bad_answer("the source panicked"))))
    }
}
