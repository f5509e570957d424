//! A simulated shell: virtual time, a source that behaves as told, readers, and a watch over each
//! verb.

use std::{sync::Arc, time::Duration};

use rolekeeper_core::{
    Credentials, Event, Failure, FailureKind, Issued, Lifecycle, Moment, Offer, Read, RefreshMode,
    RefreshPolicy, Session, Wake,
};

use crate::scene::{Clocks, SECOND, TICK, nanos, secs};

/// What is done to the world.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// The shell runs for this long.
    Pass(Duration),
    /// The machine sleeps: both clocks count it, and the shell does not run.
    Sleep(Duration),
    /// A virtual machine is paused: the elapsed clock misses it.
    Pause(Duration),
    /// Somebody sets the wall clock, by this many seconds.
    StepWall(i64),
    /// The source behaves like this from here on.
    Source(Source),
    Read,
    /// To the last instant of what is offered, a read, one instant more, and a read.
    ReadAtTheEdge,
    RefreshNow,
    RejectHeld,
    RejectOld,
    /// Another process has fetched a session that lives this long.
    Adopt(Duration),
    /// The shell wakes though nothing is due.
    WakeForNothing,
}

#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) latency: Duration,
    /// Between the `Date` and the arrival.
    pub(crate) transit: Duration,
    pub(crate) answer: Answer,
}

#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Session(Duration),
    SameKey(Duration),
    NoKey,
    Fails { kind: FailureKind, retry_after: Option<Duration>, with_date: bool },
}

#[derive(Debug)]
struct Flight {
    attempt: u64,
    begun: Moment,
    dated_at: i64,
    answers_at: i64,
    answer: Answer,
}

/// How the last fetch ended.
#[derive(Clone, Copy, Debug)]
enum Ended {
    Well,
    Badly { kind: FailureKind, retry_after: Duration, was_held: bool, is_first: bool },
}

/// What may bring a fetch about ahead of the schedule; cleared by each fetch.
#[derive(Debug, Default)]
struct Causes {
    rejected: bool,
    /// `refresh_now`, a clock step, an adopted session, one let go.
    other: bool,
    readers: u32,
}

pub(crate) struct Shell {
    pub(crate) clocks: Clocks,
    pub(crate) life: Lifecycle,
    pub(crate) source: Source,
    /// The true time of each fetch's begin.
    pub(crate) begun: Vec<i64>,
    flight: Option<Flight>,
    waiting: Vec<u64>,
    offer: Option<Offer>,
    keys: u32,
    last_end: Option<(i64, Ended)>,
    causes: Causes,
    rejection_fetch: Option<i64>,
    /// What a `Date` was older by than it seemed: no clock can know.
    slack: Duration,
    /// The wall clock's error when the held session's end was last reckoned.
    reckoned_at: i64,
    is_on_demand: bool,
    holds_off: bool,
    /// Its windows are bounded by shares of a session's life.
    is_bounded: bool,
}

impl Shell {
    pub(crate) fn new(policy: RefreshPolicy, seed: u64, clocks: Clocks) -> Self {
        let no_matter =
            |policy: RefreshPolicy| policy.with_mode(RefreshMode::OnDemand).with_idle_after(SECOND);
        let no_windows =
            |policy| no_matter(policy).with_advisory_window(SECOND).with_mandatory_window(SECOND);
        let holds_off = no_windows(policy.clone()) == no_windows(RefreshPolicy::sdk_standard());
        let is_bounded = policy.mode() == RefreshMode::Background
            || no_matter(policy.clone()) == no_matter(RefreshPolicy::on_demand());
        let answer = Answer::Session(secs(3600));
        Self {
            clocks,
            is_on_demand: policy.mode() == RefreshMode::OnDemand,
            life: Lifecycle::new(policy, seed),
            source: Source { latency: Duration::ZERO, transit: Duration::ZERO, answer },
            begun: Vec::new(),
            flight: None,
            waiting: Vec::new(),
            offer: None,
            keys: 0,
            last_end: None,
            causes: Causes::default(),
            rejection_fetch: None,
            slack: Duration::ZERO,
            reckoned_at: 0,
            holds_off,
            is_bounded,
        }
    }

    pub(crate) fn now(&self) -> Moment {
        self.clocks.moment()
    }

    pub(crate) fn holds_off(&self) -> bool {
        self.holds_off
    }

    pub(crate) fn act(&mut self, op: &Op) {
        match op {
            Op::Pass(span) => self.run_for(*span),
            Op::Sleep(span) => self.clocks.pass(*span),
            Op::Pause(span) => self.clocks.pause(*span),
            Op::StepWall(by) => {
                self.clocks.step_wall(*by);
                self.causes.other = true;
            }
            Op::Source(source) => self.source = source.clone(),
            Op::Read => self.read(),
            Op::ReadAtTheEdge => self.read_at_the_edge(),
            Op::RefreshNow => {
                self.life.refresh_now();
                self.causes.other = true;
                // On demand it is the caller that has it done.
                self.wake();
            }
            Op::RejectHeld => {
                if let Some(held) = self.life.held() {
                    let key = held.access_key_id().to_owned();
                    self.life.rejected(self.now(), &key);
                    self.causes.rejected = true;
                }
            }
            Op::RejectOld => self.life.rejected(self.now(), "an old key"),
            Op::Adopt(span) => {
                self.keys += 1;
                let issued = self.clocks.issue(&format!("ELSEWHERE{}", self.keys), *span);
                let session = Arc::new(Session::place(issued, self.now(), 1));
                if self.life.adopt(self.now(), session) {
                    self.causes.other = true;
                    self.reckoned_at = self.clocks.wall_ahead;
                }
            }
            Op::WakeForNothing => {}
        }
        self.settle();
    }

    /// What a shell does after each verb, each wake-up, each step of a clock.
    fn settle(&mut self) {
        loop {
            self.land();
            if !self.is_on_demand {
                self.wake();
            }
            // A source without latency has answered already.
            if !self.has_answered() {
                break;
            }
        }
        self.follow();
    }

    fn has_answered(&self) -> bool {
        self.flight.as_ref().is_some_and(|flight| flight.answers_at <= self.clocks.truth)
    }

    fn follow(&mut self) {
        self.offer = self.life.offer(self.now());
        if let Some(offer) = &self.offer {
            self.is_no_dead_session(&offer.session);
        }
        while let Some(event) = self.life.next_event() {
            self.causes.other |= matches!(event, Event::LetGo);
        }
        let counters = self.life.counters();
        let under_way = u64::from(self.life.fetching().is_some());
        assert_eq!(counters.attempts, counters.fetched + counters.failed + under_way);
        assert_eq!(self.flight.is_some(), self.life.fetching().is_some());
    }

    pub(crate) fn run_for(&mut self, span: Duration) {
        let end = self.clocks.truth + nanos(span);
        loop {
            self.settle();
            let left = Duration::from_nanos((end - self.clocks.truth).unsigned_abs());
            if left.is_zero() {
                return;
            }
            let mut wait = left;
            if let Some(flight) = &self.flight {
                let answer_in = flight.answers_at - self.clocks.truth;
                wait = wait.min(Duration::from_nanos(answer_in.unsigned_abs()));
            }
            if let Some(wakeup) = self.life.wakeup() {
                wait = wait.min(wakeup.wait(self.now()));
            }
            assert!(!wait.is_zero(), "a busy loop: {:?}", self.life);
            self.clocks.pass(wait);
        }
    }

    /// In the background by itself, on demand for the reader that is about to wait.
    fn wake(&mut self) {
        let now = self.now();
        let was_due = self.life.wakeup().is_some_and(|wakeup| wakeup.is_due(now));
        let held = self.held_key();
        let result = self.life.wake(now);
        match result {
            Wake::Fetch { attempt } => {
                assert!(self.flight.is_none(), "two fetches at a time");
                assert!(
                    was_due || self.is_on_demand || self.causes.other,
                    "a fetch that no wake-up foretold: {:?}",
                    self.life
                );
                self.is_within_the_schedule();
                self.begin(attempt);
            }
            Wake::Nothing => {
                let let_go = held.is_some() && self.life.held().is_none();
                assert!(
                    !was_due || self.life.wakeup().is_none_or(|wakeup| !wakeup.is_due(now)),
                    "a wake-up for nothing, again and again"
                );
                if !let_go {
                    assert_eq!(self.held_key(), held);
                }
            }
        }
        if let Some(wakeup) = self.life.wakeup() {
            assert!(!wakeup.wait(now).is_zero(), "a busy loop: {:?}", self.life);
        }
    }

    fn held_key(&self) -> Option<String> {
        self.life.held().map(|held| held.access_key_id().to_owned())
    }

    fn begin(&mut self, attempt: u64) {
        self.begun.push(self.clocks.truth);
        if self.life.is_rejected() {
            self.rejection_fetch = Some(self.clocks.truth);
        }
        self.causes = Causes::default();
        let answers_at = self.clocks.truth + nanos(self.source.latency);
        let transit = self.source.transit.min(self.source.latency);
        self.flight = Some(Flight {
            attempt,
            begun: self.now(),
            dated_at: answers_at - nanos(transit),
            answers_at,
            answer: self.source.answer.clone(),
        });
    }

    /// The answer has come, if it is time.
    fn land(&mut self) {
        if !self.has_answered() {
            return;
        }
        let flight = self.flight.take().expect("just looked at");
        let now = self.now();
        let took = now.elapsed.since(flight.begun.elapsed).max(now.wall.since(flight.begun.wall));
        let transit = Duration::from_nanos((self.clocks.truth - flight.dated_at).unsigned_abs());
        if took <= self.life.policy().attempt_timeout() {
            self.slack = self.slack.max(transit);
        }
        // Such an answer is counted from its fetch's begin, and may be due for its refresh at once.
        self.causes.other |= took > self.life.policy().attempt_timeout();
        let then = Clocks { truth: flight.dated_at, ..self.clocks };
        let old = self.held_key();
        self.keys += 1;
        let failed = self.life.counters().failed;
        let is_first = self.life.trouble(now).is_none();
        let mut given = (FailureKind::BadAnswer, Duration::ZERO);
        match flight.answer {
            Answer::Session(life) => {
                self.life.fetched(now, then.issue(&format!("ASIA{}", self.keys), life));
            }
            Answer::SameKey(life) => {
                let key = old.clone().unwrap_or_else(|| "ASIA".into());
                self.life.fetched(now, then.issue(&key, life));
            }
            Answer::NoKey => {
                let credentials = Credentials::new("", "the-secret", "the-token");
                self.life.fetched(now, Issued::new(credentials, now.wall.after(secs(3600))));
            }
            Answer::Fails { kind, retry_after, with_date } => {
                given = (kind, retry_after.unwrap_or_default());
                let mut failure = Failure::new(kind, "no");
                failure.retry_after = retry_after;
                if with_date {
                    failure = failure.with_issuer_now(then.date());
                    let off = self.life.held().map(|held| held.end().wall);
                    self.life.failed(now, failure);
                    if off != self.life.held().map(|held| held.end().wall) {
                        self.reckoned_at = self.clocks.wall_ahead;
                    }
                } else {
                    self.life.failed(now, failure);
                }
            }
        }
        let has_failed = self.life.counters().failed > failed;
        if has_failed {
            assert_eq!(self.held_key(), old, "a failure takes no session away");
        } else {
            self.reckoned_at = self.clocks.wall_ahead;
        }
        let was_held = if self.holds_off { old.is_some() } else { self.is_live_by_the_machine() };
        let ended = if has_failed {
            Ended::Badly { kind: given.0, retry_after: given.1.min(secs(300)), was_held, is_first }
        } else {
            Ended::Well
        };
        self.last_end = Some((self.clocks.truth, ended));
        self.causes.readers = 0;
        self.tell_those_who_waited(flight.attempt);
    }

    fn tell_those_who_waited(&mut self, attempt: u64) {
        for waited_for in std::mem::take(&mut self.waiting) {
            assert!(
                waited_for <= attempt,
                "nobody waits for a later attempt than the one under way"
            );
            let read = self.life.outcome(self.now(), waited_for);
            assert!(!matches!(read, Read::Wait { attempt: next } if next <= attempt));
            self.judge(&read);
            // A session that was let go, or had ended meanwhile: the shell waits on.
            if let Read::Wait { attempt: next } = read {
                assert!(self.life.trouble(self.now()).is_none(), "an error is not waited over");
                self.waiting.push(next);
            }
        }
        if self.is_on_demand && !self.waiting.is_empty() {
            self.wake();
        }
    }

    pub(crate) fn read(&mut self) {
        self.causes.readers += 1;
        // A reader finds the shell awake: it has landed what has come.
        let now = self.now();
        let lent = self.offer.take().filter(|offer| !now.reached(offer.until));
        let read = self.life.read(now);
        if let Some(lent) = lent {
            self.is_no_dead_session(&lent.session);
            match &read {
                Read::Serve(session) => assert!(
                    Arc::ptr_eq(session, &lent.session),
                    "a lock-free reader gets another session than a locked one"
                ),
                other => panic!("a lock-free reader is served, a locked one: {other:?}"),
            }
        }
        self.judge(&read);
        if let Read::Wait { attempt } = read {
            self.waiting.push(attempt);
            self.wake();
            let fetching =
                self.life.fetching().expect("a reader that waits has a fetch to wait for");
            assert_eq!(fetching, attempt, "the fetch that the reader waits for");
            self.land();
        }
        self.follow();
    }

    fn read_at_the_edge(&mut self) {
        let Some(offer) = &self.offer else { return self.read() };
        let left = self.now().until(offer.until);
        if left > secs(86_400) {
            return self.read();
        }
        // The shell runs until then; what it then offers is read in its last instant, if it still
        // ends there.
        self.run_for(left.saturating_sub(TICK));
        self.read();
        self.clocks.pass(TICK);
        // Nothing has woken the shell at this instant yet.
        self.read();
    }

    /// What a reader is given, judged by the true time.
    fn judge(&self, read: &Read) {
        let is_live = self.is_surely_live();
        match read {
            Read::Serve(session) => self.is_no_dead_session(session),
            Read::Wait { .. } if is_live && !self.is_on_demand => {
                assert!(self.life.is_rejected(), "a reader waits though a session lives");
            }
            Read::Refuse(refusal) if is_live => {
                let by_rule = self.holds_off && !refusal.failure.kind.is_transient();
                assert!(by_rule, "a live session is thrown away: {:?}", self.life);
            }
            _ => {}
        }
    }

    fn is_no_dead_session(&self, session: &Session) {
        let end = session.issuer_expiration().after(self.slack);
        let failed = self.life.trouble(self.now()).is_some();
        assert!(
            self.clocks.issuer() < end || (self.holds_off && failed),
            "an expired session is served: {:?} past its end",
            self.clocks.issuer().since(session.issuer_expiration())
        );
    }

    /// By the true time, and by what the machine's clocks can know: they believe a step forward,
    /// which looks like a pause, until the issuer's clock is seen again.
    fn is_surely_live(&self) -> bool {
        self.life.held().is_some_and(|held| {
            held.issuer_expiration().since(self.clocks.issuer()) > rolekeeper_core::END_GUARD
                && self.clocks.wall_ahead <= self.reckoned_at
                && held.lifetime() > secs(2)
                && !self.is_held_up(held)
        })
    }

    /// An answer that took longer than any may is counted from its fetch's begin, to be on the safe
    /// side.
    fn is_held_up(&self, held: &Session) -> bool {
        let seen_end = held.end().elapsed;
        let true_left = held.issuer_expiration().since(self.clocks.issuer());
        self.now().elapsed.after(true_left) > seen_end
            || self.now().wall.after(true_left) > held.end().wall
    }

    fn is_live_by_the_machine(&self) -> bool {
        self.life.held().is_some_and(|held| held.is_valid(self.now()))
    }

    /// The bound on attempts: between two there is a pause that depends on how the first ended and
    /// on nothing that readers do, or one cause of its own (each `refresh_now`, step, adoption or
    /// session let go brings about one at most; rejections one in ten seconds).
    fn is_within_the_schedule(&mut self) {
        let now = self.clocks.truth;
        let Some((ended_at, ended)) = self.last_end else { return };
        let pause = Duration::from_nanos((now - ended_at).unsigned_abs());
        let readers = self.causes.readers > 0;
        let as_planned = match ended {
            // Sessions live for 3 s at least, and are kept for a quarter of that, but for the SDKs'
            // windows and configured ones.
            Ended::Well if !self.is_bounded => readers,
            Ended::Well => pause >= SECOND || !self.is_live_by_the_machine(),
            Ended::Badly { kind, was_held, .. } if self.holds_off && kind.is_transient() => {
                if was_held {
                    pause >= secs(300)
                } else {
                    readers
                }
            }
            Ended::Badly { .. } if self.holds_off && self.is_on_demand => {
                readers && pause >= SECOND
            }
            Ended::Badly { kind, retry_after, was_held, is_first } => match kind {
                // On demand the first is not kept.
                FailureKind::Unavailable | FailureKind::BadAnswer
                    if is_first && !was_held && self.is_on_demand && retry_after.is_zero() =>
                {
                    readers
                }
                FailureKind::Unavailable | FailureKind::BadAnswer => {
                    pause >= retry_after.max(Duration::from_millis(100))
                }
                FailureKind::NeedsPerson => readers && pause >= secs(5),
                _ if was_held => pause >= SECOND,
                _ => readers && pause >= secs(5),
            },
        };
        if as_planned || self.causes.other {
            return;
        }
        assert!(self.causes.rejected, "{pause:?} after {ended:?} without a cause: {:?}", self.life);
        if let Some(last) = self.rejection_fetch.filter(|_| !self.holds_off) {
            assert!(now - last >= nanos(secs(10)), "rejections cause two fetches within 10 s");
        }
    }
}
