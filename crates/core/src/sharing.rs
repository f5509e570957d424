//! One session for many processes and hosts: who asks the source, who waits for whom, and what
//! happens when whoever asks dies, or the store is slow, lies or is gone.
//!
//! A store keeps one record for each session that is wanted, and gives out one lease on asking the
//! source for it. [`Sharing`] is one participant. A shell begins an *errand* with each fetch that a
//! [`Lifecycle`](crate::Lifecycle) asks for, does each [`Step`] that it is told, and tells what came
//! of it:
//!
//! ```text
//! Load ──► fresh: Done
//!   │
//! Lease ──► granted: Load again ──► Fetch ──► Save ──► Done
//!   ├─────► another's: Wait ──► Load …
//!   └─────► it failed a moment ago: Done, with that failure
//! ```
//!
//! Nothing that a store does stops a participant: with little or nothing of a session left, it goes on
//! alone after the first trouble. With much left, the errand fails, and the next one tries the store
//! again.

mod slot;
mod step;

use std::{sync::Arc, time::Duration};

use crate::{
    Elapsed, Failure, FailureKind, Issued, Moment, RefreshPolicy, Session, WallTime,
    chance::Chance,
    policy::{RETRY_AFTER_CAP, Seen},
};

pub use slot::Slot;
pub use step::{Fence, Lease, Step, StoreTrouble};

/// A lease that its holder doesn't renew ends after this: how long the others wait for one that has
/// died. It is renewed [three times](Sharing::RENEWAL) in this time, so that one lost renewal does no
/// harm.
const LEASE: Duration = Duration::from_secs(3);

/// How long a fleet leaves its source alone after a failure, unless the source asks for longer. Who
/// has mended what was wrong, and tries again, is not to be told of it any more.
const COOLING: Duration = Duration::from_secs(1);

/// Without the store, the source is asked when so much is left of what was left at the refresh point:
/// by chance, from here to there, so that a fleet doesn't ask in step. (Of an hour: 10 to 20 of its
/// last 30 minutes.)
const ALONE_BELOW: [f64; 2] = [1.0 / 3.0, 2.0 / 3.0];

/// A store holds one session. A few that are refused in a row while nothing can be stored: more are
/// not all its.
const REFUSED_KEPT: usize = 4;

/// One participant: it knows which session it was given last.
#[derive(Debug)]
pub struct Sharing {
    policy: Arc<RefreshPolicy>,
    chance: Chance,
    /// How often a store is looked at that somebody else is to save in.
    poll: Duration,
    taken: Option<Taken>,
    /// The access keys of what was taken and then refused, the newest last.
    refused: Vec<String>,
    /// When this errand began.
    begun: Moment,
    /// The lease that it was granted.
    held: Option<Fence>,
    /// Valid, but past its refresh point: better than none, should the source fail.
    spare: Option<Issued>,
}

/// The session that the last errand has brought.
#[derive(Debug)]
struct Taken {
    access_key_id: String,
    expiration: WallTime,
    /// When it ends by our own clock.
    end: Elapsed,
    /// Without the store, the source is asked when less than this is left.
    alone_below: Duration,
}

/// What a stored session is to a participant.
enum Find {
    /// What it wants.
    Fresh,
    /// Valid, and soon to be replaced.
    Spare,
    /// Nothing new, or nothing at all.
    Nothing,
}

// === impl Sharing ===

impl Sharing {
    /// How long a lease is asked for.
    pub const LEASE: Duration = LEASE;

    /// How often a holder renews its lease while the source is asked.
    pub const RENEWAL: Duration = Duration::from_secs(1);

    /// Nothing taken yet. `poll` is how often it is worth looking into a store of this kind while
    /// somebody else fetches; `seed` spreads that, so that those who wait don't look in step.
    pub fn new(policy: impl Into<Arc<RefreshPolicy>>, poll: Duration, seed: u64) -> Self {
        Self {
            policy: policy.into(),
            chance: Chance::new(seed),
            poll,
            taken: None,
            refused: Vec::new(),
            begun: Moment::default(),
            held: None,
            spare: None,
        }
    }

    /// The first step of an errand. One that was not seen through is forgotten; its lease ends by
    /// itself.
    pub fn begin(&mut self, now: Moment) -> Step {
        self.begun = now;
        self.held = None;
        self.spare = None;
        Step::Load
    }

    /// What the store has.
    pub fn loaded(&mut self, now: Moment, found: Result<Option<Issued>, StoreTrouble>) -> Step {
        let stored = match found {
            Ok(stored) => stored,
            Err(StoreTrouble) => return self.go_on_without_store(now),
        };
        match stored.map(|stored| (self.judge(now, &stored), stored)) {
            Some((Find::Fresh, stored)) => self.take(now, stored),
            Some((Find::Spare, stored)) => {
                self.spare = Some(stored);
                self.fetch_or_lease()
            }
            Some((Find::Nothing, _)) | None => self.fetch_or_lease(),
        }
    }

    /// What came of asking for the lease.
    pub fn leased(&mut self, now: Moment, lease: Result<Lease, StoreTrouble>) -> Step {
        match lease {
            Ok(Lease::Granted(fence)) => {
                self.held = Some(fence);
                // Another may have saved since we looked.
                Step::Load
            }
            Ok(Lease::Taken { left: None }) if self.has_waited_long(now) => self.go_alone(),
            Ok(Lease::Taken { left }) => {
                let wait = self.chance.between(self.poll / 2, self.poll);
                Step::Wait(left.map_or(wait, |left| wait.min(left)))
            }
            Ok(Lease::Cooling { failure, left }) => {
                // What the source said of time, it said when another asked it.
                let failure = Failure { issuer_now: None, ..failure.with_retry_after(left) };
                self.end_with(now, failure)
            }
            Err(StoreTrouble) => self.go_on_without_store(now),
        }
    }

    /// The store told of a change, or the wait is over.
    pub fn waited(&mut self) -> Step {
        Step::Load
    }

    /// What the source answered.
    pub fn fetched(&mut self, now: Moment, outcome: Result<Issued, Failure>) -> Step {
        match (outcome, self.held) {
            (Ok(issued), Some(fence)) => Step::Save { fence, issued },
            (Ok(issued), None) => self.take(now, issued),
            (Err(failure), Some(fence)) if is_of_the_source(&failure) => {
                let asked = failure.retry_after.unwrap_or_default();
                let pause = asked.clamp(COOLING, RETRY_AFTER_CAP);
                Step::Cool { fence, failure, pause }
            }
            (Err(failure), _) => self.end_with(now, failure),
        }
    }

    /// The session is stored, or not: it is ours either way.
    pub fn saved(&mut self, now: Moment, issued: Issued) -> Step {
        self.take(now, issued)
    }

    /// The failure is stored, or not.
    pub fn cooled(&mut self, now: Moment, failure: Failure) -> Step {
        self.end_with(now, failure)
    }

    /// A service has refused the session with this access key: it is not to be taken again.
    pub fn refused(&mut self, access_key_id: &str) {
        let is_taken = self.taken.as_ref().is_some_and(|it| it.access_key_id == access_key_id);
        if is_taken && !self.was_refused(access_key_id) {
            if self.refused.len() == REFUSED_KEPT {
                self.refused.remove(0);
            }
            self.refused.push(access_key_id.to_owned());
        }
    }

    fn was_refused(&self, access_key_id: &str) -> bool {
        self.refused.iter().any(|refused| refused == access_key_id)
    }

    /// A holder of whom no end is known may hang for ever: the last quarter of an attempt's time is
    /// for asking the source oneself.
    fn has_waited_long(&self, now: Moment) -> bool {
        now.elapsed.since(self.begun.elapsed) >= self.policy.attempt_timeout() / 4 * 3
    }

    /// A store that fails over is back within seconds or minutes. Whoever still has much of a session
    /// waits for it, or else all whose refresh is due would ask the source at once.
    fn go_on_without_store(&mut self, now: Moment) -> Step {
        let has_much = |taken: &Taken| {
            !self.was_refused(&taken.access_key_id)
                && taken.end.since(now.elapsed) > taken.alone_below
        };
        if !self.taken.as_ref().is_some_and(has_much) {
            return self.go_alone();
        }
        self.end_with(
            now,
            Failure::unavailable("the store of sessions can't be used, and the session lives on"),
        )
    }

    fn go_alone(&mut self) -> Step {
        // What lease there was ends by itself.
        self.held = None;
        Step::Fetch { lease: None }
    }

    fn fetch_or_lease(&self) -> Step {
        match self.held {
            Some(fence) => Step::Fetch { lease: Some(fence) },
            None => Step::Lease,
        }
    }

    fn judge(&mut self, now: Moment, stored: &Issued) -> Find {
        let session = placed(stored, now);
        let is_news = self.taken.as_ref().is_none_or(|taken| {
            // The session that was refused may end later than the one that replaces it.
            taken.access_key_id != session.access_key_id()
                && (self.was_refused(&taken.access_key_id) || stored.expiration > taken.expiration)
        });
        // What came after one that was refused may have been no good, or not have been stored.
        if !is_news || self.was_refused(session.access_key_id()) || !session.is_valid(now) {
            return Find::Nothing;
        }
        let windows = self.policy.windows(session.lifetime(), Seen::Whole, &mut self.chance);
        if session.remaining(now) > windows.refresh { Find::Fresh } else { Find::Spare }
    }

    /// A valid session is served on, rather than an error; its next refresh is due at once, and
    /// finds nothing new in the store.
    fn end_with(&mut self, now: Moment, failure: Failure) -> Step {
        match self.spare.take() {
            // It may have ended while the source was asked.
            Some(spare) if placed(&spare, now).is_valid(now) => self.take(now, spare),
            _ => Step::Done(Err(failure)),
        }
    }

    fn take(&mut self, now: Moment, issued: Issued) -> Step {
        let session = placed(&issued, now);
        let refresh =
            self.policy.windows(session.lifetime(), Seen::Whole, &mut self.chance).refresh;
        let [least, most] = ALONE_BELOW.map(|share| refresh.mul_f64(share));
        self.taken = Some(Taken {
            access_key_id: issued.credentials.access_key_id.clone(),
            expiration: issued.expiration,
            end: session.end().elapsed,
            alone_below: self.chance.between(least, most),
        });
        Step::Done(Ok(issued))
    }
}

fn placed(stored: &Issued, now: Moment) -> Session {
    Session::place(stored.clone(), now, 0)
}

/// Whether others would be told the same. That nobody was there to type a code, or that a setting is
/// wrong, may be so in this process alone.
fn is_of_the_source(failure: &Failure) -> bool {
    match failure.kind {
        FailureKind::Unavailable | FailureKind::Denied | FailureKind::BadAnswer => true,
        FailureKind::NeedsPerson | FailureKind::Misconfigured => false,
    }
}
