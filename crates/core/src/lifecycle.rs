//! The state machine that decides what a reader gets and when the source is asked. Everything else
//! is a shell around its verbs.

mod view;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use crate::{
    END_GUARD, Elapsed, Failure, FailureKind, Issued, Moment, RefreshPolicy, Refusal, Session,
    Skew, WallTime,
    chance::Chance,
    policy::{REJECTION_PAUSE, Windows},
};

pub use view::{Counters, Event, Offer, Read, Wake, Wakeup};

/// A newer look at the issuer's clock counts only if it differs by more than the whole seconds and
/// network delays that any two looks differ by.
const SKEW_NOISE: Duration = Duration::from_secs(2);

/// Events that nobody takes are dropped, oldest first: a shell takes them after each verb.
const MOST_EVENTS: usize = 64;

/// However soon idle sessions are let go: a reader's own wish lives until the shell has seen to it.
const LEAST_IDLE: Duration = Duration::from_secs(1);

/// One session's life: nothing held, fetching, held, refreshed, for as long as a program runs.
///
/// See the crate's documentation for how a shell drives it.
#[derive(Debug)]
pub struct Lifecycle {
    policy: RefreshPolicy,
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
    /// Nothing held yet. In the background the first fetch is due at once, on demand with the first read.
    ///
    /// `seed` decides the jitter: give each lifecycle its own.
    pub fn new(policy: RefreshPolicy, seed: u64) -> Self {
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

    /// What a reader gets now. After [`Read::Wait`] the shell calls [`wake`](Self::wake), has the fetch
    /// done if that asks for one, and then asks [`outcome`](Self::outcome).
    pub fn read(&mut self, now: Moment) -> Read {
        self.seen(now);
        let read = self.view(now);
        if matches!(read, Read::Wait { .. }) && self.fetching.is_none() {
            self.wanted = true;
        }
        read
    }

    /// What a reader gets that waited for `attempt`: never a further wait for an attempt that failed
    /// after this reader came, nor for a session that is in its windows from the start.
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

    /// Tells that somebody was served without asking [`read`](Self::read), so that the session does not
    /// count as idle.
    pub fn seen(&mut self, now: Moment) {
        self.last_read = Some(now.elapsed);
    }

    /// What readers may take without asking, and until when. The shell publishes it after each verb.
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

    /// When the shell must call [`wake`](Self::wake) again, or `None` for never. On demand that is never:
    /// reads drive it.
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

    /// The source answered with a session.
    pub fn fetched(&mut self, now: Moment, issued: Issued) {
        let dated =
            if issued.issued_at.is_some() { self.earliest_if_held_up(now) } else { now };
        let session = Session::place(issued, dated, self.generation.saturating_add(1));
        if let Some(failure) = unusable(&session, now) {
            self.failed(now, failure);
            return;
        }
        self.fetching = None;
        self.counters.fetched += 1;
        self.hold(now, Arc::new(session));
        self.tell(Event::Fetched);
    }

    /// The source failed.
    pub fn failed(&mut self, now: Moment, failure: Failure) {
        if let Some(issuer_now) = failure.issuer_now {
            let dated = self.earliest_if_held_up(now);
            self.reckon(now, issuer_now.ahead_of(dated.wall));
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
        // In the background a transient failure is retried whether or not anybody is asking; by the SDKs'
        // rule the next call does it, or the end of the hold-off.
        self.wanted = self.policy.is_background()
            && failure.kind.is_transient()
            && !self.policy.holds_off();
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

    /// A service said that the session with this access key is no good. Does nothing if that is not the
    /// one that is held.
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

    /// Somebody else (another process, another host, this process before a `fork`) fetched `session`.
    /// Taken if it is valid and ends later than what is held, or replaces a rejected one or one that
    /// has ended.
    pub fn adopt(&mut self, now: Moment, session: Arc<Session>) -> bool {
        let better = match &self.held {
            None => true,
            Some(held) if now.reached(held.over_at) => true,
            Some(held) if held.rejected => held.session.access_key_id() != session.access_key_id(),
            Some(held) => session.end().elapsed > held.session.end().elapsed,
        };
        if !better || !session.is_valid(now) {
            return false;
        }
        self.hold(now, session);
        self.tell(Event::Adopted);
        true
    }

    /// A new session is to be fetched now, whatever the state and whatever the backoff.
    pub fn refresh_now(&mut self) {
        self.forced = self.fetching.is_none();
    }

    /// The oldest event not yet taken.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
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
    pub fn policy(&self) -> &RefreshPolicy {
        &self.policy
    }
}

/// The rules behind the verbs.
impl Lifecycle {
    /// What a reader gets, without a trace of its having asked.
    fn view(&self, now: Moment) -> Read {
        if let Some(trouble) = self.raised(now) {
            return Read::Refuse(self.refusal(trouble, now));
        }
        if let Some(held) = &self.held
            && !self.must_ask(held, now)
        {
            return Read::Serve(Arc::clone(&held.session));
        }
        match (&self.fetching, &self.trouble) {
            (Some(attempt), _) => Read::Wait { attempt: attempt.number },
            (None, Some(trouble)) if now.elapsed < trouble.kept_until => {
                Read::Refuse(self.refusal(trouble, now))
            }
            _ => Read::Wait { attempt: self.counters.attempts + 1 },
        }
    }

    /// Whether a reader may not simply be given what is held: somebody has to ask the source first.
    fn must_ask(&self, held: &Held, now: Moment) -> bool {
        let backing_off = self.backing_off(now).is_some();
        if held.awaited {
            return true;
        }
        if now.reached(held.over_at) {
            return !self.serves_past_end(now);
        }
        if self.policy.is_background() || backing_off {
            return false;
        }
        if now.reached(held.mandatory_at) {
            return true;
        }
        // One reader refreshes and gets the new one, while the others get the old one at once.
        now.reached(held.refresh_at) && self.fetching.is_none()
    }

    /// Whether what is held is served although it has ended, and the source is not to be asked for it.
    fn serves_past_end(&self, now: Moment) -> bool {
        let Some(trouble) = &self.trouble else { return false };
        if self.policy.holds_off() {
            return trouble.failure.kind.is_transient() && self.backing_off(now).is_some();
        }
        let source_is_asked = self.fetching.is_some()
            || match trouble.retry_at {
                // Without a refresher it is a reader who must ask.
                Some(retry_at) => self.policy.is_background() || now.elapsed < retry_at,
                None => now.elapsed < trouble.kept_until,
            };
        self.policy.serves_expired() && source_is_asked
    }

    /// The SDKs' rule: what only a change can mend is raised even while a session is valid.
    fn raised(&self, now: Moment) -> Option<&Trouble> {
        self.trouble.as_ref().filter(|trouble| {
            self.policy.holds_off()
                && !trouble.failure.kind.is_transient()
                && now.elapsed < trouble.kept_until
        })
    }

    /// Until when the source is left alone after a failure, if it is.
    fn backing_off(&self, now: Moment) -> Option<Elapsed> {
        let trouble = self.trouble.as_ref()?;
        // With no time set, a valid session is served to its end and then a reader asks.
        let retry_at = match trouble.retry_at {
            Some(retry_at) => retry_at,
            None if self.policy.holds_off() => return None,
            None => Elapsed::from_nanos(i64::MAX),
        };
        (now.elapsed < retry_at).then_some(retry_at)
    }

    /// Whether the source is to be asked now.
    fn is_due(&self, now: Moment) -> bool {
        let readers = self.forced || (self.wanted && !self.error_is_kept(now));
        readers || (self.policy.is_background() && self.schedule_is_due(now))
    }

    fn error_is_kept(&self, now: Moment) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| now.elapsed < trouble.kept_until)
    }

    fn schedule_is_due(&self, now: Moment) -> bool {
        self.held.as_ref().is_some_and(|held| match &self.trouble {
            None => now.reached(held.refresh_at),
            Some(trouble) => {
                self.retries_by_itself(held, trouble)
                    && trouble.retry_at.is_some_and(|at| now.elapsed >= at)
            }
        })
    }

    /// Past the end, only what time may mend is tried again without a reader, unless the readers are
    /// still served and would never ask.
    fn retries_by_itself(&self, held: &Held, trouble: &Trouble) -> bool {
        !held.told_over || trouble.failure.kind.is_transient() || self.policy.serves_expired()
    }

    /// When the source is to be asked next: what [`is_due`](Self::is_due) will say, foretold.
    fn next_fetch(&self, wakeup: &mut Wakeup) {
        let start = Elapsed::from_nanos(i64::MIN);
        if self.forced {
            wakeup.at_elapsed(start);
        }
        if self.wanted {
            wakeup.at_elapsed(self.trouble.as_ref().map_or(start, |trouble| trouble.kept_until));
        }
        let Some(held) = &self.held else { return };
        match &self.trouble {
            None => wakeup.at(held.refresh_at),
            Some(trouble) if self.retries_by_itself(held, trouble) => {
                if let Some(retry_at) = trouble.retry_at {
                    wakeup.at_elapsed(retry_at);
                }
            }
            Some(_) => {}
        }
    }

    fn idle_at(&self) -> Option<Elapsed> {
        let idle_after = self.policy.idle_after()?;
        (self.held.is_some() || self.wanted).then_some(())?;
        self.last_read.map(|last| last.after(idle_after.max(LEAST_IDLE)))
    }

    fn let_go(&mut self) {
        self.wanted = false;
        if self.held.take().is_some() {
            self.tell(Event::LetGo);
        }
    }

    fn tell_if_over(&mut self, now: Moment) {
        let Some(held) = &mut self.held else { return };
        let is_over = now.reached(held.over_at);
        let is_news = is_over && !held.told_over;
        // A wall clock that is stepped ahead and back again brings the session back to life.
        held.told_over = is_over;
        if is_news {
            self.tell(Event::Expired);
        }
    }

    fn hold(&mut self, now: Moment, session: Arc<Session>) {
        let Windows { refresh, mandatory } =
            self.policy.windows(session.lifetime(), &mut self.chance);
        let end = session.end();
        self.generation = self.generation.max(session.generation());
        // A source that answers a rejection with the same session again has nothing better yet.
        let rejected = self.held.as_ref().is_some_and(|held| {
            held.rejected && held.session.access_key_id() == session.access_key_id()
        });
        let mut refresh_at = end.before(refresh);
        if rejected {
            refresh_at.elapsed = refresh_at.elapsed.min(now.elapsed.after(REJECTION_PAUSE));
        }
        self.held = Some(Held {
            session,
            refresh_at,
            mandatory_at: end.before(mandatory),
            over_at: end.before(END_GUARD),
            rejected,
            awaited: false,
            told_over: false,
        });
        self.trouble = None;
        self.wanted = false;
        // Nobody has read it yet, and it is not to count as idle before its time.
        self.last_read = self.last_read.max(Some(now.elapsed));
    }

    /// When an answer that comes now was dated: now, or at the fetch's beginning if it took longer than any
    /// fetch may. A machine that slept in the middle of a fetch finds an answer of hours ago.
    fn earliest_if_held_up(&self, now: Moment) -> Moment {
        let Some(Attempt { begun, .. }) = self.fetching else { return now };
        let took = now.elapsed.since(begun.elapsed).max(now.wall.since(begun.wall));
        if took > self.policy.attempt_timeout() { now.before(took) } else { now }
    }

    /// A newer look at the issuer's clock: the wall clock here may have been stepped since.
    fn reckon(&mut self, now: Moment, skew: Skew) {
        let Some(held) = &mut self.held else { return };
        if skew.apart(held.session.skew()) <= SKEW_NOISE {
            return;
        }
        let session = held.session.reckoned(skew);
        let end = session.end().wall;
        let old_end = held.session.end().wall;
        for point in [&mut held.refresh_at, &mut held.mandatory_at, &mut held.over_at] {
            point.wall = end.before(old_end.since(point.wall));
        }
        held.told_over &= now.reached(held.over_at);
        held.session = Arc::new(session);
    }

    fn refusal(&self, trouble: &Trouble, now: Moment) -> Refusal {
        // With nothing to serve, what time alone can't mend is left to the next reader.
        let is_planned = trouble.failure.kind.is_transient()
            || self.held.as_ref().is_some_and(|held| {
                !now.reached(held.over_at) || self.retries_by_itself(held, trouble)
            });
        let retry_at = trouble.retry_at.filter(|_| is_planned);
        Refusal {
            failure: Arc::clone(&trouble.failure),
            attempts: trouble.in_a_row,
            next_try: retry_at.map(|at| at.since(now.elapsed)),
        }
    }

    fn tell(&mut self, event: Event) {
        if self.events.len() == MOST_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }
}

/// Why a session that has just come is no session.
fn unusable(session: &Session, now: Moment) -> Option<Failure> {
    let credentials = session.credentials();
    let missing = [
        ("AccessKeyId", credentials.access_key_id.is_empty()),
        ("SecretAccessKey", credentials.secret_access_key.is_empty()),
    ];
    if let Some((name, _)) = missing.iter().find(|(_, empty)| *empty) {
        return Some(Failure::bad_answer(format!("the source's answer has no {name}")));
    }
    (!session.is_valid(now)).then(|| {
        Failure::bad_answer(format!(
            "the source's answer had expired on arrival (Expiration {})",
            session.issuer_expiration()
        ))
        .with_hint("check the source's clock and this machine's")
    })
}
