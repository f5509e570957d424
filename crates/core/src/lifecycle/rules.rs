//! The rules behind the verbs: who is served, who asks the source, and when.

use std::{sync::Arc, time::Duration};

use crate::{
    END_GUARD, Elapsed, Failure, Moment, Refusal, Session, Skew,
    policy::{REJECTION_PAUSE, Seen, Windows},
};

use super::{Attempt, Event, Held, Lifecycle, Read, Trouble, Wakeup};

/// A newer look at the issuer's clock counts only if it differs by more than the whole seconds and
/// network delays that any two looks differ by.
const SKEW_NOISE: Duration = Duration::from_secs(2);

/// Events that nobody takes are dropped, oldest first: a shell takes them after each verb.
const MOST_EVENTS: usize = 64;

/// However soon idle sessions are let go: a reader's own wish lives until the shell has seen to it.
const LEAST_IDLE: Duration = Duration::from_secs(1);

impl Lifecycle {
    /// What a reader gets, without a trace of its having asked.
    pub(super) fn view(&self, now: Moment) -> Read {
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
    pub(super) fn must_ask(&self, held: &Held, now: Moment) -> bool {
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

    /// Whether what is held is served although it has ended, and the source is not to be asked for
    /// it.
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
    pub(super) fn raised(&self, now: Moment) -> Option<&Trouble> {
        self.trouble.as_ref().filter(|trouble| {
            self.policy.holds_off()
                && !trouble.failure.kind.is_transient()
                && now.elapsed < trouble.kept_until
        })
    }

    /// Until when the source is left alone after a failure, if it is.
    pub(super) fn backing_off(&self, now: Moment) -> Option<Elapsed> {
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
    pub(super) fn is_due(&self, now: Moment) -> bool {
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

    /// Past the end, only what time may mend is tried again without a reader, unless the readers
    /// are still served and would never ask.
    fn retries_by_itself(&self, held: &Held, trouble: &Trouble) -> bool {
        !held.told_over || trouble.failure.kind.is_transient() || self.policy.serves_expired()
    }

    /// When the source is to be asked next: what [`is_due`](Self::is_due) will say, foretold.
    pub(super) fn next_fetch(&self, wakeup: &mut Wakeup) {
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

    pub(super) fn idle_at(&self) -> Option<Elapsed> {
        let idle_after = self.policy.idle_after()?;
        (self.held.is_some() || self.wanted).then_some(())?;
        self.last_read.map(|last| last.after(idle_after.max(LEAST_IDLE)))
    }

    pub(super) fn let_go(&mut self) {
        self.wanted = false;
        if self.held.take().is_some() {
            self.tell(Event::LetGo);
        }
    }

    pub(super) fn tell_if_over(&mut self, now: Moment) {
        let Some(held) = &mut self.held else { return };
        let is_over = now.reached(held.over_at);
        let is_news = is_over && !held.told_over;
        // A wall clock that is stepped ahead and back again brings the session back to life.
        held.told_over = is_over;
        if is_news {
            self.tell(Event::Expired);
        }
    }

    pub(super) fn hold(&mut self, now: Moment, session: Arc<Session>, seen: Seen) {
        let is_first = self.held.is_none();
        let Windows { refresh, mandatory } =
            self.policy.windows(session.lifetime(), seen, &mut self.chance);
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
        if is_first {
            // Nobody can have read it yet, and it is not to count as idle before its time. A
            // refresh is no read.
            self.last_read = self.last_read.max(Some(now.elapsed));
        }
    }

    /// When an answer that comes now was dated: now, or at the fetch's beginning if it took longer
    /// than any fetch may. A machine that slept in the middle of a fetch finds an answer of hours
    /// ago.
    pub(super) fn earliest_if_held_up(&self, now: Moment) -> Moment {
        let Some(Attempt { begun, .. }) = self.fetching else { return now };
        let took = now.elapsed.since(begun.elapsed).max(now.wall.since(begun.wall));
        if took > self.policy.attempt_timeout() { now.before(took) } else { now }
    }

    /// A newer look at the issuer's clock: the wall clock here may have been stepped since.
    pub(super) fn reckon(&mut self, now: Moment, skew: Skew) {
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

    pub(super) fn refusal(&self, trouble: &Trouble, now: Moment) -> Refusal {
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

    pub(super) fn tell(&mut self, event: Event) {
        if self.events.len() == MOST_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }
}

/// Why a session that has just come is no session.
pub(super) fn unusable(session: &Session, now: Moment) -> Option<Failure> {
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
