//! What a store does for one session, in memory: the store of one process, and what every other
//! store is measured by.

use std::time::Duration;

use crate::{Elapsed, Failure, Issued};

use super::{Fence, Lease};

/// A session's place in a store.
#[derive(Debug, Default)]
pub struct Slot {
    saved: Option<(Issued, Elapsed)>,
    /// The highest fence that was granted.
    granted: u64,
    lease: Option<Elapsed>,
    cooling: Option<(Failure, Elapsed)>,
}

// === impl Slot ===

impl Slot {
    /// What was saved last, and how long ago.
    pub fn load(&self, now: Elapsed) -> Option<(&Issued, Duration)> {
        self.saved.as_ref().map(|(issued, at)| (issued, now.since(*at)))
    }

    /// Grants a lease for `limit`, unless another has one or the source is left alone.
    pub fn lease(&mut self, now: Elapsed, limit: Duration) -> Lease {
        if let Some(end) = self.lease.filter(|end| now < *end) {
            return Lease::Taken { left: Some(end.since(now)) };
        }
        if let Some((failure, end)) = self.cooling.as_ref().filter(|(_, end)| now < *end) {
            return Lease::Cooling { failure: failure.clone(), left: end.since(now) };
        }
        self.granted += 1;
        self.lease = Some(now.after(limit));
        self.cooling = None;
        Lease::Granted(Fence(self.granted))
    }

    /// The lease of `fence` goes on for `limit`; `false` if somebody has had one since.
    pub fn renew(&mut self, now: Elapsed, fence: Fence, limit: Duration) -> bool {
        let is_last = self.is_last(fence);
        if is_last {
            self.lease = Some(now.after(limit));
        }
        is_last
    }

    /// Saves and ends the lease; `false`, and nothing happens, if somebody has had one since. A
    /// session counts from when it arrived, if it says so, else from now.
    pub fn save(&mut self, now: Elapsed, fence: Fence, issued: Issued) -> bool {
        let is_last = self.is_last(fence);
        if is_last {
            let arrived = issued.arrived.as_ref().map_or(now, |arrived| arrived.elapsed);
            self.saved = Some((issued, arrived));
            self.lease = None;
        }
        is_last
    }

    /// For `pause`, nobody is granted a lease; `false`, and nothing happens, if somebody has had one
    /// since.
    pub fn cool(&mut self, now: Elapsed, fence: Fence, failure: Failure, pause: Duration) -> bool {
        let is_last = self.is_last(fence);
        if is_last {
            self.cooling = Some((failure, now.after(pause)));
            self.lease = None;
        }
        is_last
    }

    /// Ends the lease.
    pub fn release(&mut self, fence: Fence) {
        if self.is_last(fence) {
            self.lease = None;
        }
    }

    fn is_last(&self, fence: Fence) -> bool {
        self.granted == fence.0
    }
}
