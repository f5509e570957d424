//! The numbers that refreshing runs by, each with its reason, and the presets that choose among
//! them.

use std::time::Duration;

use crate::{Failure, chance::Chance};

const MINUTE: Duration = Duration::from_secs(60);

/// Sessions of up to this life are "short" to the SDKs: it is the shortest that STS gives, plus
/// change.
const SHORT_LIFE: Duration = Duration::from_secs(20 * 60);
/// Sessions from this life on are "long" to the SDKs.
const LONG_LIFE: Duration = Duration::from_secs(90 * 60);

/// A background refresh comes this much before the widest window of the SDKs that read from us, so
/// that a few failed attempts still stay outside it.
const MARGIN: Duration = Duration::from_secs(5 * 60);
/// A new session is kept for a quarter of its life at least, or short ones would be fetched without
/// end.
const LATEST_SHARE: f64 = 0.75;
/// On demand, a mandatory window that was chosen leaves half of a life to be read without waiting.
const MANDATORY_SHARE: f64 = 0.5;
/// Refresh points are spread by this share of the life, so that a fleet doesn't ask in step.
const SPREAD: f64 = 0.05;
/// However short a session, this much time passes between two successful fetches.
const LEAST_PAUSE: Duration = Duration::from_secs(1);

/// Before this much is left, everyone waits for one fetch (on demand).
const MANDATORY: Duration = MINUTE;

/// The first wait of the exponential backoff.
const BACKOFF_BASE: Duration = Duration::from_secs(1);
/// The longest wait of the exponential backoff.
const BACKOFF_CAP: Duration = Duration::from_secs(30);
/// At least so many attempts more fit before the session ends.
const ATTEMPTS_BEFORE_END: u32 = 5;
/// An unlucky draw of full jitter, or a session in its last moments, doesn't make a hot loop.
const BACKOFF_FLOOR: Duration = Duration::from_millis(100);
/// A server that asks to be left alone for longer than this is asked again all the same.
pub(crate) const RETRY_AFTER_CAP: Duration = Duration::from_secs(5 * 60);
/// A refusal that only a changed policy mends is tried again this often, ± [`DENIED_SPREAD`].
const DENIED_PAUSE: Duration = MINUTE;
const DENIED_SPREAD: Duration = Duration::from_secs(6);
/// With little of a session left, more often: a third of what remains, so that whoever mends the
/// policy in a session's last minutes, or in the middle of a short one, is in time.
const DENIED_SHARE: u32 = 3;
const DENIED_LEAST_PAUSE: Duration = Duration::from_secs(1);

/// With nothing valid, an error is given to all readers for this long before the source is asked
/// again.
const ERROR_KEPT: Duration = Duration::from_secs(5);
/// The SDKs' rule keeps it for a random time from this to [`ERROR_KEPT`].
const ERROR_KEPT_LEAST: Duration = Duration::from_secs(1);
/// The SDKs' rule: after a failed refresh the source is left alone for a random time of 5 to 10
/// minutes.
const HOLD_OFF: (Duration, Duration) = (Duration::from_secs(300), Duration::from_secs(600));

/// Rejections bring about at most one fetch in this time: a service that rejects everything must
/// not turn into a storm on STS.
pub(crate) const REJECTION_PAUSE: Duration = Duration::from_secs(10);

/// Who refreshes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefreshMode {
    /// A refresher of its own, so that no reader ever does the work. The default.
    Background,
    /// Readers, and nobody between their calls: for functions-as-a-service, short scripts and
    /// forked workers, which are frozen between calls or must have no thread.
    OnDemand,
}

/// What happens after a failed refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AfterFailure {
    /// Exponential backoff with full jitter; an expired session is never served.
    Backoff,
    /// The SDKs' rule: serve what is cached, even past its end, and leave the source alone for
    /// minutes.
    HoldOff,
}

/// When to refresh, retry, serve or refuse.
///
/// ```
/// use rolekeeper_core::RefreshPolicy;
/// use std::time::Duration;
///
/// let policy = RefreshPolicy::default().with_idle_after(Duration::from_secs(3600));
/// assert_eq!(policy.idle_after(), Some(Duration::from_secs(3600)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshPolicy {
    mode: RefreshMode,
    after_failure: AfterFailure,
    advisory: Option<Duration>,
    mandatory: Option<Duration>,
    serve_expired: bool,
    idle_after: Option<Duration>,
    attempt_timeout: Duration,
    read_deadline: Duration,
}

/// How much of a session's life is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// All of it: it was fetched here.
    Whole,
    /// Only what was left when it was taken over.
    Part,
}

/// The points of one session's life, as remaining time; fixed when it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Windows {
    /// Refreshing begins.
    pub(crate) refresh: Duration,
    /// Readers wait for it.
    pub(crate) mandatory: Duration,
}

/// When to ask again after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retry {
    /// Until the source is asked without anybody's doing; `None`: not before a reader asks.
    pub(crate) next_try: Option<Duration>,
    /// How long readers with nothing to be served get this same error.
    pub(crate) kept: Duration,
}

// === impl Retry ===

impl Retry {
    /// The next reader asks again.
    pub(crate) const AT_ONCE: Self = Self { next_try: None, kept: Duration::ZERO };
}

// === impl RefreshPolicy ===

impl Default for RefreshPolicy {
    /// In the background, as early as the SDKs that read from us need it.
    fn default() -> Self {
        Self {
            mode: RefreshMode::Background,
            after_failure: AfterFailure::Backoff,
            advisory: None,
            mandatory: None,
            serve_expired: false,
            idle_after: None,
            attempt_timeout: Duration::from_secs(10),
            read_deadline: Duration::from_secs(30),
        }
    }
}

impl RefreshPolicy {
    /// Driven by reads alone, otherwise by the default's rules.
    pub fn on_demand() -> Self {
        Self { mode: RefreshMode::OnDemand, ..Self::default() }
    }

    /// On demand, by the rules that the AWS SDKs converge on in 2026: advisory window of 5, 15 or
    /// 60 minutes by lifetime, mandatory window of 1 minute; a failed refresh serves the cached
    /// session
    /// *even past its end* and leaves the source alone for 300 to 600 s.
    pub fn sdk_standard() -> Self {
        Self { after_failure: AfterFailure::HoldOff, ..Self::on_demand() }
    }

    /// Who refreshes.
    pub fn mode(&self) -> RefreshMode {
        self.mode
    }

    /// The same numbers with another one refreshing.
    #[must_use]
    pub fn with_mode(mut self, mode: RefreshMode) -> Self {
        self.mode = mode;
        self
    }

    /// The window, as remaining time, in which the programs that read from us would ask again on
    /// each call, whatever the session's life: it replaces the table. On demand refreshing begins
    /// with it; in the background it begins 5 minutes earlier, and at half the session's life at
    /// the latest. Of a session fetched here it takes up three quarters of the life at most, but not
    /// by the SDKs' rules. Default: by the table.
    #[must_use]
    pub fn with_advisory_window(mut self, window: Duration) -> Self {
        self.advisory = Some(window);
        self
    }

    /// On demand: from this much remaining on, every reader waits for the one fetch. Default: 1
    /// minute. Of a session fetched here it takes up half of the life at most, but not by the SDKs'
    /// rules.
    #[must_use]
    pub fn with_mandatory_window(mut self, window: Duration) -> Self {
        self.mandatory = Some(window);
        self
    }

    /// Serve an expired session rather than none while the source fails. Default: never.
    #[must_use]
    pub fn with_serve_expired(mut self, serve: bool) -> Self {
        self.serve_expired = serve;
        self
    }

    /// Let go of a session that nobody has read for this long; it is fetched again when asked for.
    /// Readers leave only a flag behind, which is looked at once in this time: a session goes
    /// between one and two of these times after its last reader. Default: never.
    #[must_use]
    pub fn with_idle_after(mut self, idle: Duration) -> Self {
        self.idle_after = Some(idle);
        self
    }

    /// When a session counts as idle.
    pub fn idle_after(&self) -> Option<Duration> {
        self.idle_after
    }

    /// How long one fetch may take. Default: 10 s.
    #[must_use]
    pub fn with_attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// How long one fetch may take.
    pub fn attempt_timeout(&self) -> Duration {
        self.attempt_timeout
    }

    /// How long a reader waits where nothing is valid and a fetch is under way. Default: 30 s.
    #[must_use]
    pub fn with_read_deadline(mut self, deadline: Duration) -> Self {
        self.read_deadline = deadline;
        self
    }

    /// How long a reader waits where nothing is valid.
    pub fn read_deadline(&self) -> Duration {
        self.read_deadline
    }

    pub(crate) fn is_background(&self) -> bool {
        self.mode == RefreshMode::Background
    }

    /// Whether a failure leaves the source alone for minutes and serves what is cached meanwhile.
    pub(crate) fn holds_off(&self) -> bool {
        self.after_failure == AfterFailure::HoldOff
    }

    /// Whether an ended session may be served in any case at all.
    pub(crate) fn may_serve_expired(&self) -> bool {
        self.serve_expired || self.holds_off()
    }

    /// On demand with nothing to serve, a first failure that time may mend is not kept, unless the
    /// service asked for a pause: the reader may have mended its cause, and calls again. From the
    /// second in a row on there is a pause, so that an outage costs one call more.
    pub(crate) fn is_first_failure_free(&self, failure: &Failure) -> bool {
        let is_free = failure.kind.is_transient() && failure.retry_after.is_none();
        is_free && !self.is_background() && !self.may_serve_expired()
    }

    pub(crate) fn serves_expired(&self) -> bool {
        self.serve_expired
    }

    /// The points of a session that lives for `life`.
    pub(crate) fn windows(&self, life: Duration, seen: Seen, chance: &mut Chance) -> Windows {
        match self.mode {
            RefreshMode::Background => {
                let refresh = self.background_refresh_point(life, chance);
                Windows { refresh, mandatory: Duration::ZERO }
            }
            RefreshMode::OnDemand => self.on_demand_windows(life, seen),
        }
    }

    fn background_refresh_point(&self, life: Duration, chance: &mut Chance) -> Duration {
        let window = self.advisory.unwrap_or_else(|| widest_client_window(life));
        let point = (life / 2).max(window.saturating_add(MARGIN)).min(life.mul_f64(LATEST_SHARE));
        let spread = life.mul_f64(SPREAD);
        let point = chance.between(point.saturating_sub(spread), point + spread);
        point.min(life.saturating_sub(LEAST_PAUSE))
    }

    fn on_demand_windows(&self, life: Duration, seen: Seen) -> Windows {
        let (advisory, mandatory) = (
            self.advisory.unwrap_or(sdk_advisory_window(life)),
            self.mandatory.unwrap_or(MANDATORY),
        );
        // Sessions shorter than STS gives (a container hands on its last minutes, a sandbox) would
        // be in their window from the start and be fetched at each read; the SDKs' own rule has it
        // so. A window that was chosen is left as wide as it may be, and as it is where the life
        // that it is measured by is not known.
        let bounded = |window: Duration, chosen: bool, most: f64, usual: u32| match (chosen, seen) {
            _ if self.holds_off() => window,
            (false, _) => window.min(life / usual),
            (true, Seen::Whole) => window.min(life.mul_f64(most)),
            (true, Seen::Part) => window,
        };
        Windows {
            refresh: bounded(advisory, self.advisory.is_some(), LATEST_SHARE, 2),
            mandatory: bounded(mandatory, self.mandatory.is_some(), MANDATORY_SHARE, 4),
        }
    }

    /// The wait after the `attempts`-th failure in a row that time may mend, with `remaining` of a
    /// session still held, if any.
    pub(crate) fn transient_retry(
        &self,
        attempts: u32,
        remaining: Option<Duration>,
        retry_after: Option<Duration>,
        chance: &mut Chance,
    ) -> Retry {
        if self.holds_off() {
            return match remaining {
                Some(_) => {
                    let wait = chance.between(HOLD_OFF.0, HOLD_OFF.1);
                    Retry { next_try: Some(wait), kept: Duration::ZERO }
                }
                None => Retry { next_try: None, kept: Duration::ZERO },
            };
        }
        let cap = match remaining {
            Some(left) if !left.is_zero() => {
                (left / (ATTEMPTS_BEFORE_END + 1)).clamp(BACKOFF_FLOOR, BACKOFF_CAP)
            }
            _ => BACKOFF_CAP,
        };
        let doublings = attempts.saturating_sub(1).min(16);
        let most = BACKOFF_BASE.saturating_mul(1 << doublings).min(cap);
        let asked = retry_after.unwrap_or_default().min(RETRY_AFTER_CAP);
        let wait = chance.between(Duration::ZERO, most).max(BACKOFF_FLOOR).max(asked);
        Retry { next_try: Some(wait), kept: wait }
    }

    /// The wait after a failure that somebody has to mend by changing something.
    pub(crate) fn lasting_retry(&self, remaining: Option<Duration>, chance: &mut Chance) -> Retry {
        // The SDKs' rule has no retries but the readers' own; a refresher has a schedule.
        if self.holds_off() && !self.is_background() {
            return Retry { next_try: None, kept: chance.between(ERROR_KEPT_LEAST, ERROR_KEPT) };
        }
        let pause = chance.between(DENIED_PAUSE - DENIED_SPREAD, DENIED_PAUSE + DENIED_SPREAD);
        let share = remaining.map_or(pause, |left| (left / DENIED_SHARE).max(DENIED_LEAST_PAUSE));
        let pause = pause.min(share);
        // Not longer than the pause: a session that is still valid is not to be refused for an old
        // error.
        Retry { next_try: Some(pause), kept: ERROR_KEPT.min(pause) }
    }

    /// After a failure that needs a person: never again by itself.
    pub(crate) fn person_retry(&self, chance: &mut Chance) -> Retry {
        Retry { next_try: None, ..self.lasting_retry(None, chance) }
    }
}

/// The widest window in which the SDKs that read from us would ask again on each call.
fn widest_client_window(life: Duration) -> Duration {
    if life <= SHORT_LIFE {
        5 * MINUTE
    } else if life < LONG_LIFE {
        20 * MINUTE
    } else {
        60 * MINUTE
    }
}

/// The advisory window of the rules that the SDKs converge on.
fn sdk_advisory_window(life: Duration) -> Duration {
    if life <= SHORT_LIFE {
        5 * MINUTE
    } else if life < LONG_LIFE {
        15 * MINUTE
    } else {
        60 * MINUTE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn the_background_refresh_point_follows_the_table_within_its_spread() {
        let policy = RefreshPolicy::default();
        // (life, remaining at the refresh point before the spread)
        for (life, point) in [
            (10.0, 7.5),
            (900.0, 600.0),
            (1200.0, 600.0),
            (1201.0, 900.75),
            (3600.0, 1800.0),
            (5399.0, 2699.5),
            (5400.0, 3900.0),
            (43_200.0, 21_600.0),
        ] {
            for seed in 0..200 {
                let life = Duration::from_secs_f64(life);
                let seen =
                    policy.windows(life, Seen::Whole, &mut Chance::new(seed)).refresh.as_secs_f64();
                let spread = life.as_secs_f64() * SPREAD;
                assert!((seen - point).abs() <= spread + 1e-6, "life {life:?}: {seen} not {point}");
            }
        }
    }

    #[test]
    fn the_sdk_windows_follow_their_boundaries() {
        let policy = RefreshPolicy::sdk_standard();
        for (life, window) in [
            (secs(900), secs(300)),
            (secs(20 * 60), secs(300)),
            (secs(20 * 60 + 30), secs(900)),
            (secs(90 * 60 - 1), secs(900)),
            (secs(90 * 60), secs(3600)),
            (secs(43_200), secs(3600)),
        ] {
            let windows = policy.windows(life, Seen::Whole, &mut Chance::new(1));
            assert_eq!(windows, Windows { refresh: window, mandatory: secs(60) }, "life {life:?}");
        }
    }

    #[test]
    fn a_configured_window_replaces_the_table() {
        let policy = RefreshPolicy::sdk_standard()
            .with_advisory_window(secs(900))
            .with_mandatory_window(secs(600));
        let windows = policy.windows(secs(43_200), Seen::Whole, &mut Chance::new(1));
        assert_eq!(windows, Windows { refresh: secs(900), mandatory: secs(600) });
    }

    #[test]
    fn five_attempts_more_always_fit_before_the_end() {
        let policy = RefreshPolicy::default();
        for seed in 0..500 {
            let mut chance = Chance::new(seed);
            let mut left = secs(60);
            for attempts in 10..15 {
                let wait = policy.transient_retry(attempts, Some(left), None, &mut chance);
                left = left.saturating_sub(wait.next_try.expect("transient"));
                assert!(left > Duration::ZERO, "seed {seed}");
            }
        }
    }

    #[test]
    fn retry_after_is_honoured_up_to_its_cap() {
        let policy = RefreshPolicy::default();
        let wait = |asked| {
            policy.transient_retry(1, None, Some(secs(asked)), &mut Chance::new(1)).next_try
        };
        assert_eq!(wait(120), Some(secs(120)));
        assert_eq!(wait(86_400), Some(RETRY_AFTER_CAP));
    }
}
