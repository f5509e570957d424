//! The state machine that decides what a reader gets and when the source is asked. Everything else
//! is a shell around its verbs.

mod rules;
mod view;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use crate::{
    Elapsed, Failure, FailureKind, Issued, Moment, RefreshPolicy, Refusal, Session, WallTime,
    chance::Chance,
    policy::{REJECTION_PAUSE, Retry, Seen},
};

use rules::unusable;
pub use view::{Counters, Event, Offer, Read, Wake, Wakeup};

/// One session's life: nothing held, fetching, held, refreshed, for as long as a program runs.
///
/// See the crate's documentation for how a shell drives it.
#[derive(Debug)]
pub struct Lifecycle {
    /// Shared: thousands of roles go by one.
    policy: Arc<RefreshPolicy>,
    chance: Chance,
    held: Option<Held>,
    fetching: Option<Attempt>,
    trouble: Option<Trouble>,
    /// Somebody is to have a session though the schedule doesn't ask for one.
    wanted: bool,
    /// Somebody asked for a new session whatever the state.
    forced: bool,
    last_read: Option<Elapsed>,
    last_rejection_fetch: Option<Elapsed>,
    /// The highest that any session held so far has had.
    generation: u64,
    counters: Counters,
    events: VecDeque<Event>,
}

/// The session that is served, and the points of its life.
#[derive(Debug)]
struct Held {
    session: Arc<Session>,
    /// Refreshing begins.
    refresh_at: Moment,
    /// Readers wait for it (on demand).
    mandatory_at: Moment,
    /// It is no longer handed out.
    over_at: Moment,
    /// A service said that it is no good.
    rejected: bool,
    /// Readers wait for the fetch that the rejection brought about.
    awaited: bool,
    told_over: bool,
}

/// The fetch under way.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    number: u64,
    begun: Moment,
}

/// The last fetch failed.
#[derive(Debug)]
struct Trouble {
    failure: Arc<Failure>,
    /// The attempt that failed.
    attempt: u64,
    /// How many in a row.
    in_a_row: u32,
    /// When the source is asked again without anybody's doing.
    retry_at: Option<Elapsed>,
    /// Until when readers with nothing to be served get this error at once.
    kept_until: Elapsed,
}

// === impl Lifecycle ===

impl Lifecycle {
    /// Nothing held yet. In the background the first fetch is due at once, on demand with the first
    /// read.
    ///
    /// `seed` decides the jitter: give each lifecycle its own.
    pub fn new(policy: impl Into<Arc<RefreshPolicy>>, seed: u64) -> Self {
        let policy = policy.into();
        let wanted = policy.is_background();
        Self {
            policy,
            chance: Chance::new(seed),
            held: None,
            fetching: None,
            trouble: None,
            wanted,
            forced: false,
            last_read: None,
            last_rejection_fetch: None,
            generation: 0,
            counters: Counters::default(),
            events: VecDeque::new(),
        }
    }

    /// What a reader gets now. After [`Read::Wait`] the shell calls [`wake`](Self::wake), has the
    /// fetch done if that asks for one, and then asks [`outcome`](Self::outcome).
    pub fn read(&mut self, now: Moment) -> Read {
        self.seen(now);
        let read = self.view(now);
        if matches!(read, Read::Wait { .. }) && self.fetching.is_none() {
            self.wanted = true;
        }
        read
    }

    /// What a reader gets that waited for `attempt`: never a further wait for an attempt that
    /// failed after this reader came, nor for a session that is in its windows from the start.
    pub fn outcome(&mut self, now: Moment, attempt: u64) -> Read {
        if !matches!(self.view(now), Read::Wait { .. }) {
            return self.read(now);
        }
        if let Some(trouble) = self.trouble.as_ref().filter(|trouble| trouble.attempt >= attempt) {
            return Read::Refuse(self.refusal(trouble, now));
        }
        let has_ended = self.counters.attempts >= attempt
            && self.fetching.is_none_or(|fetching| fetching.number > attempt);
        match &self.held {
            Some(held) if has_ended && !held.awaited && !now.reached(held.over_at) => {
                Read::Serve(Arc::clone(&held.session))
            }
            _ => self.read(now),
        }
    }

    /// Tells that somebody was served without asking [`read`](Self::read), so that the session does
    /// not count as idle.
    pub fn seen(&mut self, now: Moment) {
        self.last_read = Some(now.elapsed);
    }

    /// What readers may take without asking, and until when. The shell publishes it after each
    /// verb.
    pub fn offer(&self, now: Moment) -> Option<Offer> {
        let held = self.held.as_ref()?;
        if self.must_ask(held, now) || self.raised(now).is_some() {
            return None;
        }
        let until = if self.policy.is_background() {
            held.over_at
        } else if !now.reached(held.refresh_at) {
            // Configured windows need not lie in their usual order.
            held.refresh_at.earlier(held.mandatory_at).earlier(held.over_at)
        } else if let Some(retry_at) = self.backing_off(now) {
            let retry = Moment { elapsed: retry_at, wall: WallTime::from_unix_nanos(i64::MAX) };
            if self.policy.holds_off() { retry } else { retry.earlier(held.over_at) }
        } else {
            held.mandatory_at.earlier(held.over_at)
        };
        Some(Offer { session: Arc::clone(&held.session), until })
    }

    /// When the shell must call [`wake`](Self::wake) again, or `None` for never. On demand that is
    /// never: reads drive it.
    pub fn wakeup(&self) -> Option<Wakeup> {
        if !self.policy.is_background() {
            return None;
        }
        let mut wakeup = Wakeup::NEVER;
        if self.fetching.is_none() {
            self.next_fetch(&mut wakeup);
            if let Some(idle_at) = self.idle_at() {
                wakeup.at_elapsed(idle_at);
            }
        }
        if let Some(held) = &self.held
            && !held.told_over
        {
            wakeup.at(held.over_at);
        }
        (wakeup != Wakeup::NEVER).then_some(wakeup)
    }

    /// What the shell must do now.
    pub fn wake(&mut self, now: Moment) -> Wake {
        self.tell_if_over(now);
        // Even what nobody ever read becomes idle.
        self.last_read.get_or_insert(now.elapsed);
        if self.fetching.is_some() {
            return Wake::Nothing;
        }
        if !self.forced && self.idle_at().is_some_and(|at| now.elapsed >= at) {
            self.let_go();
            return Wake::Nothing;
        }
        if !self.is_due(now) {
            return Wake::Nothing;
        }
        if self.is_rejected() {
            self.last_rejection_fetch = Some(now.elapsed);
        }
        self.counters.attempts += 1;
        let attempt = self.counters.attempts;
        self.fetching = Some(Attempt { number: attempt, begun: now });
        self.wanted = false;
        self.forced = false;
        Wake::Fetch { attempt }
    }

    /// The source is asked only now: the fetch that [`wake`](Self::wake) asked for had to wait for
    /// its turn among others.
    pub fn asked(&mut self, now: Moment) {
        if let Some(attempt) = &mut self.fetching {
            attempt.begun = now;
        }
    }

    /// The source answered with a session.
    pub fn fetched(&mut self, now: Moment, issued: Issued) {
        let dated = if issued.issued_at.is_some() { self.earliest_if_held_up(now) } else { now };
        let session = Session::place(issued, dated, self.generation.saturating_add(1));
        if let Some(failure) = unusable(&session, now) {
            self.failed(now, failure);
            return;
        }
        self.fetching = None;
        self.counters.fetched += 1;
        let event = if session.is_anothers() { Event::Adopted } else { Event::Fetched };
        self.hold(now, Arc::new(session), Seen::Whole);
        self.tell(event);
    }

    /// The source failed.
    pub fn failed(&mut self, now: Moment, failure: Failure) {
        // What was held up tells nothing of the clocks: it may be of hours ago.
        if let Some(issuer_now) = failure.issuer_now
            && self.earliest_if_held_up(now) == now
        {
            self.reckon(now, issuer_now.ahead_of(now.wall));
        }
        let attempt = self.fetching.take().map_or(self.counters.attempts, |attempt| attempt.number);
        self.counters.failed += 1;
        let remaining = match &self.held {
            Some(held) if !now.reached(held.over_at) => Some(held.session.remaining(now)),
            Some(_) if self.policy.holds_off() => Some(Duration::ZERO),
            _ => None,
        };
        let in_a_row = self.trouble.as_ref().map_or(0, |trouble| trouble.in_a_row) + 1;
        let retry = match failure.kind {
            _ if in_a_row == 1
                && remaining.is_none()
                && self.policy.is_first_failure_free(&failure) =>
            {
                Retry::AT_ONCE
            }
            FailureKind::Unavailable | FailureKind::BadAnswer => self.policy.transient_retry(
                in_a_row,
                remaining,
                failure.retry_after,
                &mut self.chance,
            ),
            FailureKind::Denied | FailureKind::Misconfigured => {
                self.policy.lasting_retry(remaining, &mut self.chance)
            }
            FailureKind::NeedsPerson => self.policy.person_retry(&mut self.chance),
        };
        // In the background a transient failure is retried whether or not anybody is asking; by the
        // SDKs' rule the next call does it, or the end of the hold-off.
        self.wanted =
            self.policy.is_background() && failure.kind.is_transient() && !self.policy.holds_off();
        let trouble = Trouble {
            failure: Arc::new(failure),
            attempt,
            in_a_row,
            retry_at: retry.next_try.map(|wait| now.elapsed.after(wait)),
            kept_until: now.elapsed.after(retry.kept),
        };
        self.tell(Event::Failed(self.refusal(&trouble, now)));
        self.trouble = Some(trouble);
        if let Some(held) = &mut self.held {
            held.awaited = false;
        }
    }

    /// A service said that the session with this access key is no good. Does nothing if that is not
    /// the one that is held.
    pub fn rejected(&mut self, now: Moment, access_key_id: &str) {
        let Some(held) = &mut self.held else { return };
        if held.session.access_key_id() != access_key_id {
            return;
        }
        held.rejected = true;
        self.counters.rejected += 1;
        if self.policy.holds_off() {
            // The SDKs' rule: through the mandatory path, without lifting a running backoff.
            held.refresh_at = held.refresh_at.earlier(now);
            held.mandatory_at = held.mandatory_at.earlier(now);
        } else {
            let earliest = self.last_rejection_fetch.map(|last| last.after(REJECTION_PAUSE));
            match earliest.filter(|earliest| *earliest > now.elapsed) {
                Some(earliest) => held.refresh_at.elapsed = held.refresh_at.elapsed.min(earliest),
                None => {
                    self.last_rejection_fetch = Some(now.elapsed);
                    held.refresh_at = held.refresh_at.earlier(now);
                    held.awaited = true;
                    if let Some(trouble) = &mut self.trouble {
                        trouble.retry_at = Some(now.elapsed);
                        trouble.kept_until = now.elapsed;
                    }
                }
            }
        }
        self.tell(Event::Rejected { access_key_id: access_key_id.to_owned() });
    }

    /// Somebody else (another process, another host, this process before a `fork`) fetched
    /// `session`. Taken if it is valid and ends later than what is held, or replaces a rejected one
    /// or one that has ended.
    pub fn adopt(&mut self, now: Moment, session: Arc<Session>) -> bool {
        let better = match &self.held {
            None => true,
            Some(held) if now.reached(held.over_at) => true,
            Some(held) if held.rejected => held.session.access_key_id() != session.access_key_id(),
            Some(held) => session.end().elapsed > held.session.end().elapsed,
        };
        // Where an ended session is served rather than none, one to begin with is of use.
        let serves_it = self.held.is_none() && self.policy.may_serve_expired();
        if !better || !(session.is_valid(now) || serves_it) {
            return false;
        }
        self.hold(now, session, Seen::Part);
        self.tell(Event::Adopted);
        true
    }

    /// A new session is to be fetched now, whatever the state and whatever the backoff.
    pub fn refresh_now(&mut self) {
        self.forced = self.fetching.is_none();
    }

    /// The oldest event not yet taken.
    pub fn next_event(&mut self) -> Option<Event> {
        let next = self.events.pop_front();
        if next.is_none() {
            // Whoever rests keeps no room for what seldom happens.
            self.events = VecDeque::new();
        }
        next
    }

    /// The session that is held, valid or not.
    pub fn held(&self) -> Option<&Arc<Session>> {
        self.held.as_ref().map(|held| &held.session)
    }

    /// Whether a service has rejected the session that is held.
    pub fn is_rejected(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.rejected)
    }

    /// The attempt under way.
    pub fn fetching(&self) -> Option<u64> {
        self.fetching.map(|attempt| attempt.number)
    }

    /// The last failure, until a fetch succeeds.
    pub fn trouble(&self, now: Moment) -> Option<Refusal> {
        self.trouble.as_ref().map(|trouble| self.refusal(trouble, now))
    }

    /// When refreshing begins, by elapsed time; on demand, when the next reader would begin it.
    pub fn refresh_at(&self) -> Option<Moment> {
        self.held.as_ref().map(|held| held.refresh_at)
    }

    /// How often what has happened.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The policy it runs by.
    pub fn policy(&self) -> &Arc<RefreshPolicy> {
        &self.policy
    }
}
