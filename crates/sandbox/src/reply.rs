//! Decides how an answer's bytes leave: whole, or cut off by a fault.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderValue;
use hyper::body::{Body, Frame, SizeHint};

/// An answer's body.
pub(crate) struct Reply {
    data: Option<Bytes>,
    end: End,
}

enum End {
    Whole,
    /// The connection breaks: once what was sent is on its way, which takes one more poll.
    Flush,
    Broken,
}

/// The connection is closed, since a fault says so.
#[derive(Debug)]
pub(crate) struct Closed;

// === impl Reply ===

impl Reply {
    pub(crate) fn whole(data: impl Into<Bytes>) -> Self {
        Self { data: Some(data.into()), end: End::Whole }
    }

    /// Sends `data` and breaks off, whatever length was announced.
    pub(crate) fn cut_off(data: Bytes) -> Self {
        Self { data: Some(data), end: End::Flush }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Closed;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Closed>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        match self.end {
            End::Whole => Poll::Ready(None),
            End::Flush => {
                self.end = End::Broken;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            End::Broken => Poll::Ready(Some(Err(Closed))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && matches!(self.end, End::Whole)
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.end, &self.data) {
            (End::Whole, Some(data)) => SizeHint::with_exact(data.len() as u64),
            (End::Whole, None) => SizeHint::with_exact(0),
            (End::Flush | End::Broken, _) => SizeHint::default(),
        }
    }
}

// === impl Closed ===

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("closed by a fault of the sandbox")
    }
}

impl std::error::Error for Closed {}

/// A header's value of text that the sandbox wrote itself.
pub(crate) fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}
