//! *When* to refresh a session: the pure heart of rolekeeper.
//!
//! There is no clock, thread, lock or I/O in this crate. Time is an argument ([`Moment`]),
//! randomness is a seed, and [`Lifecycle`] is a state machine with a handful of verbs. The
//! asynchronous shell, the on-demand shell, other languages and the simulations all drive this same
//! machine, so one set of tests speaks for all of them, and a year of refreshing runs in
//! milliseconds.
//!
//! ```
//! use rolekeeper_core::{Credentials, Issued, Lifecycle, Moment, Read, RefreshPolicy, Wake, WallTime};
//! use std::time::Duration;
//!
//! let mut lifecycle = Lifecycle::new(RefreshPolicy::default(), 42);
//! let now = Moment::default();
//!
//! // Nothing held yet: the shell is told to fetch, and hands over what the source answered.
//! assert!(matches!(lifecycle.wake(now), Wake::Fetch { attempt: 1 }));
//! let credentials = Credentials::new("ASIAEXAMPLE", "secret", "token");
//! lifecycle.fetched(now, Issued::new(credentials, WallTime::from_unix_secs(3600)));
//!
//! // For half an hour there is nothing to do, and every reader is served.
//! assert!(matches!(lifecycle.read(now), Read::Serve(session) if session.generation() == 1));
//! let wait = lifecycle.wakeup().expect("a refresh is planned").wait(now);
//! assert!(wait > Duration::from_secs(25 * 60) && wait < Duration::from_secs(35 * 60));
//! ```

mod chance;
mod failure;
mod lifecycle;
mod moment;
mod policy;
mod secret;
mod session;
mod sharing;

pub use failure::{Failure, FailureKind, Refusal};
pub use lifecycle::{Counters, Event, Lifecycle, Offer, Read, Wake, Wakeup};
pub use moment::{Elapsed, Moment, Skew, WallTime};
pub use policy::{RefreshMode, RefreshPolicy};
pub use secret::Secret;
pub use session::{Credentials, END_GUARD, Issued, Session};
pub use sharing::{Fence, Lease, Sharing, Slot, Step, StoreTrouble};
