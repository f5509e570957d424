//! What a case is run against: anything that readers get sessions from.

use std::time::Duration;

use rolekeeper_core::{Failure, FailureKind, RefreshPolicy, WallTime};

use crate::case::{Behaviour, FaceName};

/// One lifecycle with a source, clocks and readers, moved by a case.
pub(crate) trait Face: Sized {
    const NAME: FaceName;
    /// The shortest time that its clock tells apart.
    const INSTANT: Duration;
    /// How much time may go by without being told to.
    const LATE: Duration;
    /// Whether a run of it is the same for the same seed.
    const IS_REPEATABLE: bool;

    fn open(policy: RefreshPolicy, seed: u64, source: Behaviour) -> Self;

    /// Time passes, and what falls due is done.
    fn pass(&mut self, duration: Duration);
    /// The machine sleeps: both clocks go on, and nothing is done meanwhile.
    fn sleep(&mut self, duration: Duration);
    /// A virtual machine is paused: its elapsed clock misses it, its wall clock is set right after.
    fn pause(&mut self, duration: Duration);
    /// Somebody sets the wall clock.
    fn step_wall(&mut self, seconds: i64);

    fn source(&mut self, behaviour: Behaviour);
    fn reject(&mut self, key: &str);

    /// A reader comes. Whoever can't be served at once stays, and is one of those who wait.
    fn read(&mut self) -> Outcome;
    /// So many readers come who will have to wait, and a fetch is under way after that.
    fn come(&mut self, readers: u64);
    /// What those who wait have come to; if it `is_over`, all of them have, and they leave.
    fn waiters(&mut self, is_over: bool) -> Vec<Outcome>;

    fn facts(&mut self) -> Facts;

    /// Whether the machine was so slow since it was last asked that nothing can be said.
    fn was_held_up(&mut self) -> bool {
        false
    }

    /// Whether what is not so yet may still come about; a short rest if it may.
    fn may_still_come(&self, _looks: u32) -> bool {
        false
    }
}

/// What a reader got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Served(String),
    Refused(FailureKind),
    Waits,
}

/// What can be known from outside.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// How often the source has been asked.
    pub(crate) calls: u64,
    /// How often at the same time.
    pub(crate) most_at_once: u64,
    /// The key of the session that is held, valid or not.
    pub(crate) key: Option<String>,
    pub(crate) remaining: Duration,
    /// When it is refreshed.
    pub(crate) next_refresh: Option<Duration>,
    pub(crate) last_error: Option<FailureKind>,
    pub(crate) next_try: Option<Duration>,
    pub(crate) is_rejected: bool,
}

/// The key of what the source's `call` brings.
pub(crate) fn key(call: u64) -> String {
    format!("K{call}")
}

/// As the source says it.
pub(crate) fn failure(
    kind: FailureKind,
    retry_after: Option<Duration>,
    issuer_now: Option<WallTime>,
) -> Failure {
    let mut failure = Failure::new(kind, "as the case says");
    failure.retry_after = retry_after;
    failure.issuer_now = issuer_now;
    failure
}
