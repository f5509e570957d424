//! How often a source may be asked, whatever readers do: ENGINE.md's schedule as formulas, and the
//! watch over each call of one role in one process.

use std::time::Duration;

use rolekeeper::{Elapsed, FailureKind};

use crate::machine::{SECOND, nanos};

/// The calls of one role in one process.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    pub(crate) running: u32,
    pub(crate) number: u64,
    /// The last thing that a schedule begins with.
    last: Option<(Elapsed, Outcome)>,
    /// When the last call ended.
    last_end: Option<Elapsed>,
    /// Something since the last call lets the next one come ahead of its time: `refresh_now`, a step
    /// or a sleep, a session that was taken over, let go, or has ended.
    excused: bool,
    /// A service has rejected the session since the last call.
    rejected: bool,
    /// What is wrong with a call of this very instant, if nothing of this instant excuses it.
    early: Option<String>,
    /// Calls that a rejection brought about, and the first of them.
    for_rejections: u32,
    first_rejected: Option<Elapsed>,
    /// The longest that any answer was under way: so much longer than it lives may a session seem to.
    pub(crate) transit: i64,
    streak: Option<Streak>,
    /// From when to when its machine did not run as it should, the last time; in true time.
    disturbed: Option<(i64, i64)>,
}

/// How long an attempt may have gone on before it asked its source, and after.
pub(crate) const ERRAND: i64 = 12 * SECOND;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    /// A session of this life came, and counts from `asked` on at the earliest.
    Session { asked: Elapsed, life: Duration, is_on_demand: bool },
    Failure {
        kind: FailureKind,
        retry_after: Duration,
        next_try: Option<Duration>,
        /// On demand, a first failure with nothing held is not kept.
        is_free: bool,
    },
}

/// Failures in a row.
#[derive(Clone, Copy, Debug)]
struct Streak {
    since: Elapsed,
    calls: u32,
    excused: u32,
}

/// Nothing makes a hot loop: the floor of the backoff.
const FLOOR: Duration = Duration::from_millis(100);
/// Retry-After is honoured up to this.
const RETRY_AFTER_CAP: Duration = Duration::from_secs(300);
/// With nothing held, an error that only a change mends is kept this long.
const ERROR_KEPT: Duration = Duration::from_secs(5);
/// A refusal that a change mends is tried again every 60 s ± 10 %, or sooner as a session's end comes
/// near, but never sooner than this.
const DENIED_LEAST: Duration = Duration::from_secs(1);
/// Rejections bring about at most one fetch in this time.
const REJECTION_PAUSE: Duration = Duration::from_secs(10);
/// Timers round up to milliseconds, and never down: this is for fractions in shares of lives.
const ROUNDING: Duration = Duration::from_millis(2);

impl Calls {
    /// A call begins; what is wrong with that, if anything is.
    pub(crate) fn begin(&mut self, now: Elapsed, is_on_demand: bool) -> Option<String> {
        self.running += 1;
        self.number += 1;
        if self.running > 1 {
            return Some(format!("{} fetches at a time for one session", self.running));
        }
        let excused = std::mem::take(&mut self.excused);
        // On demand, a first failure with nothing held is not kept, and may be of this very instant.
        let is_free = is_on_demand && self.last.is_none();
        self.early = self.comes_too_early(now).filter(|_| !excused && !is_free);
        if self.early.is_some() && std::mem::take(&mut self.rejected) {
            return self.is_for_a_rejection(now);
        }
        let streak = self.streak.get_or_insert(Streak { since: now, calls: 0, excused: 0 });
        streak.calls += 1;
        streak.excused += u32::from(excused);
        let most = most_attempts(now.since(streak.since)) + streak.excused;
        if streak.calls > most {
            return Some(format!("{} attempts in a row, and {most} at most", streak.calls));
        }
        None
    }

    /// The next call may come ahead of its time, or the one of this instant might.
    pub(crate) fn excuse(&mut self) {
        self.excused |= self.early.take().is_none();
    }

    /// The machine slept, was paused or stopped, or its clock was set.
    pub(crate) fn disturb(&mut self, from: i64, to: i64) {
        self.excuse();
        let still = self.disturbed.filter(|(_, end)| from - end < ERRAND);
        // A clock that is set forward on top of a sleep adds to it.
        let begin = still.map_or(from, |(begin, end)| begin - (end - from).max(0));
        self.disturbed = Some((begin, to));
    }

    /// By how much too early a session may be counted from that comes now. An answer that took longer
    /// than any may is counted from when its attempt began.
    pub(crate) fn held_up(&self, truth: i64) -> Option<i64> {
        let (begin, end) = self.disturbed?;
        (truth - end < ERRAND).then_some(truth - begin + ERRAND)
    }

    /// So it is after a rejection, but not at any time.
    pub(crate) fn was_rejected(&mut self, now: Elapsed) -> Option<String> {
        self.rejected = self.early.is_none();
        if self.rejected { None } else { self.is_for_a_rejection(now) }
    }

    fn is_for_a_rejection(&mut self, now: Elapsed) -> Option<String> {
        self.early = None;
        self.for_rejections += 1;
        let span = now.since(*self.first_rejected.get_or_insert(now));
        let most = most_for_rejections(span);
        let many = self.for_rejections;
        (many > most).then(|| format!("{many} fetches for rejections, {most} at most in {span:?}"))
    }

    /// What is wrong with the call of this instant, now that all of it is known.
    pub(crate) fn judge(&mut self) -> Option<String> {
        self.early.take()
    }

    fn comes_too_early(&self, now: Elapsed) -> Option<String> {
        let least = |from: Elapsed, pause: Duration| {
            let waited = now.since(from);
            let is_early = waited + ROUNDING < pause;
            is_early.then(|| format!("a fetch after {waited:?}, and not {pause:?}"))
        };
        match self.last {
            Some((_, Outcome::Session { asked, life, is_on_demand })) => {
                least(asked, least_rest(life, is_on_demand))
            }
            Some((_, Outcome::Failure { is_free: true, .. })) => None,
            Some((at, Outcome::Failure { kind, retry_after, next_try, .. })) => {
                least(at, least_pause(kind, retry_after, next_try))
            }
            None => self.last_end.and_then(|at| least(at, FLOOR)),
        }
    }

    pub(crate) fn end(&mut self, now: Elapsed) {
        self.running -= 1;
        self.last_end = Some(now);
        self.last = None;
    }

    pub(crate) fn came_to(&mut self, now: Elapsed, outcome: Outcome) {
        if let Outcome::Session { .. } = outcome {
            self.streak = None;
        }
        self.last = Some((now, outcome));
    }
}

/// How long a session rests before it is refreshed. In the background the refresh point lies where at
/// most 0.75·L remain, ± 5 % of L: a fifth of a life has gone by at least. On demand the window is at
/// most half of a life. However short that is, a second goes by.
fn least_rest(life: Duration, is_on_demand: bool) -> Duration {
    let share = if is_on_demand { 0.5 } else { 0.2 };
    life.mul_f64(share)
}

/// How long the source is left alone after a failure.
fn least_pause(kind: FailureKind, retry_after: Duration, promised: Option<Duration>) -> Duration {
    let least = match kind {
        FailureKind::Unavailable | FailureKind::BadAnswer => {
            FLOOR.max(retry_after.min(RETRY_AFTER_CAP))
        }
        FailureKind::Denied | FailureKind::Misconfigured if promised.is_some() => DENIED_LEAST,
        _ => ERROR_KEPT,
    };
    // What readers are told about the next try is no less than what is done.
    least.max(promised.unwrap_or_default())
}

/// How many calls rejections may bring about in that time: one in ten seconds, and the first of them may
/// have been on its way to the source, past a store, for about as long.
fn most_for_rejections(span: Duration) -> u32 {
    2 + u32::try_from(span.as_secs() / REJECTION_PAUSE.as_secs()).unwrap_or(u32::MAX / 2)
}

/// How many attempts in a row may fail in that time.
///
/// With full jitter the n-th wait is uniform up to `min(2ⁿ⁻¹, 30)` s: on average 15 s once the cap is
/// reached. Half of that is so unlikely over many waits, and sixteen more over few, that it never
/// happens in a million worlds. What a person mends is asked for every 5 s, if readers do. And as the
/// end of a session comes near, the cap shrinks to a sixth of what is left: a twelfth of it goes by
/// with each attempt, so that from the last three minutes (where that begins) down to the floor of
/// 0.1 s there are about 12·ln(180 s / 0.6 s) ≈ 68, and some 20 more at the floor.
fn most_attempts(span: Duration) -> u32 {
    const UNLUCKY: u32 = 16;
    const NEAR_THE_END: u32 = 110;
    let by_time = nanos(span) / (5 * SECOND);
    UNLUCKY + NEAR_THE_END + u32::try_from(by_time).unwrap_or(u32::MAX / 2)
}
