//! The state machine by itself, with time to the nanosecond and a shell that is moved by hand.

use std::time::Duration;

use rolekeeper_core::{
    Credentials, Elapsed, Issued, Lifecycle, Moment, Read, RefreshMode, RefreshPolicy, Wake,
    WallTime,
};

use crate::{
    case::{Behaviour, FaceName},
    face::{Face, Facts, Outcome, failure, key},
    words::Span,
};

/// 2026-01-01, in the truth and by a correct wall clock.
const START: i64 = 1_767_225_600 * NANOS;
const NANOS: i64 = 1_000_000_000;

pub(crate) struct Core {
    life: Lifecycle,
    is_background: bool,
    behaviour: Behaviour,
    /// Nanoseconds since the start.
    truth: i64,
    /// Of those, what the elapsed clock has missed.
    missed: i64,
    wall_ahead: i64,
    calls: u64,
    last_key: String,
    is_asked: bool,
    readers: Vec<Reader>,
}

/// One who waits for an attempt, or has been told.
enum Reader {
    For(u64),
    Told(Outcome),
}

// === impl Core ===

impl Core {
    fn now(&self) -> Moment {
        Moment {
            elapsed: Elapsed::from_nanos(self.truth - self.missed),
            wall: WallTime::from_unix_nanos(START + self.truth + self.wall_ahead),
        }
    }

    fn issuer_now(&self) -> WallTime {
        WallTime::from_unix_nanos(START + self.truth)
    }

    fn outcome(read: &Read) -> Option<Outcome> {
        match read {
            Read::Serve(session) => Some(Outcome::Served(session.access_key_id().to_owned())),
            Read::Refuse(refusal) => Some(Outcome::Refused(refusal.failure.kind)),
            Read::Wait { .. } => None,
        }
    }

    /// What a shell does after each verb.
    fn drive(&mut self) {
        if self.is_background {
            self.fetch_if_due();
        }
        loop {
            let now = self.now();
            let mut is_new = false;
            for reader in &mut self.readers {
                let Reader::For(attempt) = *reader else { continue };
                if self.life.fetching() == Some(attempt) || self.life.counters().attempts < attempt
                {
                    continue;
                }
                let read = self.life.outcome(now, attempt);
                *reader = match (Self::outcome(&read), read) {
                    (Some(outcome), _) => Reader::Told(outcome),
                    (None, Read::Wait { attempt }) => Reader::For(attempt),
                    (None, _) => continue,
                };
                is_new = true;
            }
            if !is_new || !self.fetch_if_due() {
                return;
            }
        }
    }

    fn fetch_if_due(&mut self) -> bool {
        let Wake::Fetch { .. } = self.life.wake(self.now()) else { return false };
        assert!(!self.is_asked, "two fetches at a time");
        self.calls += 1;
        self.is_asked = true;
        self.answer();
        true
    }

    /// What the source says to a call that is under way.
    fn answer(&mut self) {
        if !self.is_asked || matches!(self.behaviour, Behaviour::Hangs) {
            return;
        }
        self.is_asked = false;
        let now = self.now();
        match self.behaviour {
            Behaviour::Hangs => {}
            Behaviour::Session { lives: Span(lives), same_key } => {
                if !same_key || self.last_key.is_empty() {
                    self.last_key = key(self.calls);
                }
                let credentials = Credentials::new(&self.last_key, "the-secret", "the-token");
                let issued = Issued::new(credentials, self.issuer_now().after(lives));
                self.life.fetched(now, issued.with_issued_at(self.issuer_now()));
            }
            Behaviour::Fails { kind, retry_after, tells_time } => {
                let after = retry_after.map(|Span(after)| after);
                let date = tells_time.then(|| self.issuer_now());
                self.life.failed(now, failure(kind.into(), after, date));
            }
        }
    }
}

impl Face for Core {
    const NAME: FaceName = FaceName::Core;
    const INSTANT: Duration = Duration::from_nanos(1);
    const LATE: Duration = Duration::ZERO;
    const IS_REPEATABLE: bool = true;

    fn open(policy: RefreshPolicy, seed: u64, behaviour: Behaviour) -> Self {
        let mut core = Self {
            is_background: policy.mode() == RefreshMode::Background,
            life: Lifecycle::new(policy, seed),
            behaviour,
            truth: 0,
            missed: 0,
            wall_ahead: 0,
            calls: 0,
            last_key: String::new(),
            is_asked: false,
            readers: Vec::new(),
        };
        core.drive();
        core
    }

    fn pass(&mut self, duration: Duration) {
        let mut left = duration;
        loop {
            let wait = self.life.wakeup().map_or(Duration::MAX, |wakeup| wakeup.wait(self.now()));
            let hop = wait.min(left);
            assert!(!wait.is_zero(), "a busy loop");
            self.truth += nanos(hop);
            left -= hop;
            self.drive();
            if left.is_zero() {
                return;
            }
        }
    }

    fn sleep(&mut self, duration: Duration) {
        self.truth += nanos(duration);
        self.drive();
    }

    fn pause(&mut self, duration: Duration) {
        self.truth += nanos(duration);
        self.missed += nanos(duration);
        self.drive();
    }

    fn step_wall(&mut self, seconds: i64) {
        self.wall_ahead += seconds * NANOS;
        self.drive();
    }

    fn source(&mut self, behaviour: Behaviour) {
        self.behaviour = behaviour;
        self.answer();
        self.drive();
    }

    fn reject(&mut self, key: &str) {
        self.life.rejected(self.now(), key);
        self.drive();
    }

    fn read(&mut self) -> Outcome {
        self.come(1);
        match self.readers.pop() {
            Some(Reader::Told(outcome)) => outcome,
            waits => {
                self.readers.extend(waits);
                Outcome::Waits
            }
        }
    }

    fn come(&mut self, readers: u64) {
        for _ in 0..readers {
            let read = self.life.read(self.now());
            let reader = match (Self::outcome(&read), read) {
                (None, Read::Wait { attempt }) => Reader::For(attempt),
                (outcome, _) => Reader::Told(outcome.unwrap_or(Outcome::Waits)),
            };
            let waits = matches!(reader, Reader::For(_));
            self.readers.push(reader);
            if waits {
                self.fetch_if_due();
            }
            self.drive();
        }
    }

    fn waiters(&mut self, is_over: bool) -> Vec<Outcome> {
        let told = |reader: &Reader| match reader {
            Reader::Told(outcome) => outcome.clone(),
            Reader::For(_) => Outcome::Waits,
        };
        let outcomes = self.readers.iter().map(told).collect();
        if is_over {
            self.readers.clear();
        }
        outcomes
    }

    fn facts(&mut self) -> Facts {
        let now = self.now();
        let held = self.life.held();
        let trouble = self.life.trouble(now);
        Facts {
            calls: self.calls,
            most_at_once: 1,
            key: held.map(|session| session.access_key_id().to_owned()),
            remaining: held.map_or(Duration::ZERO, |session| session.remaining(now)),
            next_refresh: self.life.refresh_at().map(|at| now.until(at)),
            last_error: trouble.as_ref().map(|refusal| refusal.failure.kind),
            next_try: trouble.and_then(|refusal| refusal.next_try),
            is_rejected: self.life.is_rejected(),
        }
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).expect("a time of this century")
}
