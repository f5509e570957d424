//! What a participant is told to do, and what it tells.

use std::time::Duration;

use crate::{Failure, Issued};

/// What the shell of a [`Sharing`](super::Sharing) must do next.
#[derive(Debug)]
pub enum Step {
    /// Look what the store has, then [`loaded`](super::Sharing::loaded).
    Load,
    /// Ask the store for the lease, for [`LEASE`](super::Sharing::LEASE), then
    /// [`leased`](super::Sharing::leased).
    Lease,
    /// Until the store tells of a change, or so long; then [`waited`](super::Sharing::waited).
    Wait(Duration),
    /// Ask the source, then [`fetched`](super::Sharing::fetched). Meanwhile renew the lease, if there
    /// is one, every [`RENEWAL`](super::Sharing::RENEWAL).
    Fetch {
        /// What was granted.
        lease: Option<Fence>,
    },
    /// Put the session into the store, unless somebody has had the lease since; then
    /// [`saved`](super::Sharing::saved). That ends the lease.
    Save {
        /// What was granted.
        fence: Fence,
        /// What the source answered.
        issued: Issued,
    },
    /// For so long, nobody is granted the lease, and all are told this failure; then
    /// [`cooled`](super::Sharing::cooled).
    Cool {
        /// What was granted.
        fence: Fence,
        /// What the source answered.
        failure: Failure,
        /// How long.
        pause: Duration,
    },
    /// The errand is over: for the lifecycle. A lease that was neither saved nor cooled under is to
    /// be given back, as it is when an errand is dropped in the middle.
    Done(Result<Issued, Failure>),
}

/// A lease's number: each that a store grants for a session is higher than the one before, so that
/// a holder that was stopped for long can't save over the session of the one after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence(pub u64);

/// What a store answers to whoever asks for a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lease {
    /// It is yours.
    Granted(Fence),
    /// Another has it.
    Taken {
        /// When it ends unless it is renewed, where the store knows.
        left: Option<Duration>,
    },
    /// Whoever had it found the source failing a moment ago.
    Cooling {
        /// What the source answered.
        failure: Failure,
        /// How long nobody asks it.
        left: Duration,
    },
}

/// The store could not be asked, in time or at all. Why is for the log: the participant goes on
/// alone whatever it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreTrouble;
