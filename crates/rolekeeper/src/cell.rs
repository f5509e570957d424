//! The cell: holds the newest session for everyone who reads. Taking it is a pointer load and one
//! look at the clock; nothing a writer does makes a reader wait.

use std::{fmt, ops::Deref};

use rolekeeper_core::{Moment, Offer, Session};

use super::sync::{Arc, AtomicBool, Guard, Ordering, Slot};

/// One slot with the newest [`Offer`].
pub(crate) struct Cell {
    /// A pointer that is never null, so that what a reader takes, or none, fits into two registers;
    /// the way through memory shows in `cargo xtask bench`.
    offer: Slot<Option<Offer>>,
    /// Set by readers, taken by the refresher, where idle sessions are let go; `None` where they
    /// are not.
    touched: Option<AtomicBool>,
}

/// A session lent to a reader, who may keep it as long as it likes: the cell goes on without it.
pub struct Current(Guard<Arc<Option<Offer>>>);

// === impl Cell ===

impl Cell {
    /// Empty. `tells_reads`: whether [`take_touched`](Self::take_touched) is of use to anyone.
    pub(crate) fn new(tells_reads: bool) -> Self {
        Self {
            offer: Slot::from_pointee(None),
            touched: tells_reads.then(|| AtomicBool::new(false)),
        }
    }

    /// What is offered until now; `glance` is asked for the time only if there is something.
    #[inline]
    pub(crate) fn take(&self, glance: impl FnOnce() -> Moment) -> Option<Current> {
        let offer = self.offer.load();
        match &**offer {
            Some(held) if !glance().reached(held.until) => {}
            _ => return put_back(offer),
        }
        // Readers share this flag: it is written once for each time it was taken.
        if let Some(touched) = &self.touched
            && !touched.load(Ordering::Relaxed)
        {
            touched.store(true, Ordering::Relaxed);
        }
        Some(Current(offer))
    }

    /// Readers get this from here on; what they hold stays theirs.
    pub(crate) fn publish(&self, offer: Option<Offer>) {
        self.offer.store(Arc::new(offer));
    }

    /// What is in the cell, past its time or not.
    pub(crate) fn peek(&self) -> Option<Arc<Session>> {
        (**self.offer.load()).as_ref().map(|offer| Arc::clone(&offer.session))
    }

    /// Whether anybody has read since the last call.
    pub(crate) fn take_touched(&self) -> bool {
        self.touched.as_ref().is_some_and(|touched| touched.swap(false, Ordering::Relaxed))
    }
}

/// Apart, because giving a pointer back is more code than taking it, and all of that is inlined
/// into readers.
#[cold]
fn put_back(_: Guard<Arc<Option<Offer>>>) -> Option<Current> {
    None
}

// === impl Current ===

impl Current {
    /// A session that came another way than out of the cell.
    pub(crate) fn of(session: Arc<Session>) -> Self {
        let until = session.end();
        Self(Guard::from_inner(Arc::new(Some(Offer { session, until }))))
    }

    /// The session, to share and keep.
    pub fn share(&self) -> Arc<Session> {
        Arc::clone(self.shared())
    }

    #[inline]
    fn shared(&self) -> &Arc<Session> {
        match &**self.0 {
            Some(offer) => &offer.session,
            None => unreachable!("take() and of() make it of an offer only"),
        }
    }
}

impl Deref for Current {
    type Target = Session;

    #[inline]
    fn deref(&self) -> &Session {
        self.shared()
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared().fmt(f)
    }
}
