//! The clocks of a simulated world, and a stage for one lifecycle in it.

use std::{sync::Arc, time::Duration};

use rolekeeper_core::{
    Credentials, Elapsed, Event, Failure, Issued, Lifecycle, Moment, Read, RefreshPolicy, Refusal,
    Session, Wake, WallTime,
};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const TICK: Duration = Duration::from_nanos(1);

const NANOS: i64 = 1_000_000_000;
/// 2026-11-22, in the truth and by a correct wall clock.
const EPOCH: i64 = 1_795_305_600 * NANOS;
/// A machine that has been up for a day.
const UPTIME: i64 = 86_400 * NANOS;

pub(crate) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(crate) fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).expect("short enough")
}

/// The true time, and what three clocks make of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clocks {
    /// Nanoseconds since the world began.
    pub(crate) truth: i64,
    /// Of those, how many the machine's elapsed clock missed: the pauses of a virtual machine.
    pub(crate) missed: i64,
    /// How far the machine's wall clock is ahead of the truth.
    pub(crate) wall_ahead: i64,
    /// How far the issuer's clock is.
    pub(crate) issuer_ahead: i64,
}

impl Clocks {
    pub(crate) fn pass(&mut self, duration: Duration) {
        self.truth += nanos(duration);
    }

    /// Time passes that the elapsed clock does not see.
    pub(crate) fn pause(&mut self, duration: Duration) {
        self.pass(duration);
        self.missed += nanos(duration);
    }

    pub(crate) fn step_wall(&mut self, secs: i64) {
        self.wall_ahead += secs * NANOS;
    }

    pub(crate) fn moment(&self) -> Moment {
        Moment {
            elapsed: Elapsed::from_nanos(UPTIME + self.truth - self.missed),
            wall: WallTime::from_unix_nanos(EPOCH + self.truth + self.wall_ahead),
        }
    }

    /// The issuer's clock, to the nanosecond.
    pub(crate) fn issuer(&self) -> WallTime {
        WallTime::from_unix_nanos(EPOCH + self.truth + self.issuer_ahead)
    }

    /// As it stands in a `Date` header: whole seconds.
    pub(crate) fn date(&self) -> WallTime {
        WallTime::from_unix_secs(self.issuer().as_unix_secs())
    }

    /// What the true issuer makes now; its `Expiration` is in whole seconds too.
    pub(crate) fn issue(&self, key: &str, life: Duration) -> Issued {
        let expiration = WallTime::from_unix_secs(self.date().after(life).as_unix_secs());
        Issued::new(Credentials::new(key, "the-secret", "the-token"), expiration)
            .with_issued_at(self.date())
    }
}

/// One lifecycle, its world, and a shell that is moved by hand.
pub(crate) struct Scene {
    pub(crate) clocks: Clocks,
    pub(crate) life: Lifecycle,
    keys: u32,
}

impl Scene {
    pub(crate) fn new(policy: RefreshPolicy) -> Self {
        Self::seeded(policy, 7)
    }

    pub(crate) fn seeded(policy: RefreshPolicy, seed: u64) -> Self {
        Self { clocks: Clocks::default(), life: Lifecycle::new(policy, seed), keys: 0 }
    }

    /// Holds a session that lives for `life` and came just now.
    pub(crate) fn holding(policy: RefreshPolicy, life: Duration) -> Self {
        let mut scene = Self::new(policy);
        scene.ask();
        scene.succeed(life);
        scene
    }

    pub(crate) fn now(&self) -> Moment {
        self.clocks.moment()
    }

    pub(crate) fn pass(&mut self, duration: Duration) -> &mut Self {
        self.clocks.pass(duration);
        self
    }

    /// To where the held session has just this much left.
    pub(crate) fn pass_to_remaining(&mut self, left: Duration) -> &mut Self {
        let remaining = self.remaining();
        self.pass(remaining.checked_sub(left).expect("not passed yet"))
    }

    pub(crate) fn remaining(&self) -> Duration {
        self.life.held().expect("a session").remaining(self.now())
    }

    pub(crate) fn read(&mut self) -> Read {
        self.life.read(self.now())
    }

    pub(crate) fn wake(&mut self) -> Wake {
        self.life.wake(self.now())
    }

    /// A reader finds nothing it may simply take, and has a fetch begun.
    #[track_caller]
    pub(crate) fn ask(&mut self) -> u64 {
        let attempt = self.waits();
        assert_eq!(self.begin(), attempt, "the reader waits for the fetch that is begun");
        attempt
    }

    #[track_caller]
    pub(crate) fn begin(&mut self) -> u64 {
        match self.wake() {
            Wake::Fetch { attempt } => attempt,
            Wake::Nothing => panic!("no fetch is due: {:?}", self.life),
        }
    }

    #[track_caller]
    pub(crate) fn rests(&mut self) {
        assert_eq!(self.wake(), Wake::Nothing, "{:?}", self.life);
    }

    /// A shell that acts on wake-ups alone runs for `span`: how many fetches are due if each fails
    /// so?
    pub(crate) fn fails_alone(&mut self, span: Duration, failure: &Failure) -> Vec<Duration> {
        let start = self.clocks.truth;
        let mut begun = Vec::new();
        loop {
            if let Wake::Fetch { .. } = self.wake() {
                let at = Duration::from_nanos((self.clocks.truth - start).unsigned_abs());
                begun.push(at);
                assert!(begun.len() < 100_000, "a hot loop");
                self.fail(failure.clone());
                continue;
            }
            let gone = Duration::from_nanos((self.clocks.truth - start).unsigned_abs());
            let wait = self.life.wakeup().map_or(Duration::MAX, |wakeup| wakeup.wait(self.now()));
            assert!(!wait.is_zero(), "a busy loop");
            if gone.saturating_add(wait) > span {
                self.pass(span - gone);
                return begun;
            }
            self.pass(wait);
        }
    }

    /// Sleeps until the next wake-up.
    #[track_caller]
    pub(crate) fn pass_to_wakeup(&mut self) -> Duration {
        let wait = self.life.wakeup().expect("something is planned").wait(self.now());
        self.pass(wait);
        wait
    }

    pub(crate) fn succeed(&mut self, life: Duration) {
        self.keys += 1;
        let key = format!("ASIA{}", self.keys);
        self.succeed_with(&key, life);
    }

    pub(crate) fn succeed_with(&mut self, key: &str, life: Duration) {
        self.life.fetched(self.now(), self.clocks.issue(key, life));
    }

    pub(crate) fn fail(&mut self, failure: Failure) {
        self.life.failed(self.now(), failure);
    }

    pub(crate) fn reject(&mut self, key: &str) {
        self.life.rejected(self.now(), key);
    }

    pub(crate) fn reject_held(&mut self) {
        let key = self.key();
        self.reject(&key);
    }

    pub(crate) fn key(&self) -> String {
        self.life.held().expect("a session").access_key_id().to_owned()
    }

    /// A session that another process has fetched just now.
    pub(crate) fn elsewhere(&self, key: &str, life: Duration) -> Arc<Session> {
        Arc::new(Session::place(self.clocks.issue(key, life), self.now(), 1))
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.life.next_event()).collect()
    }

    /// The reader is served this key at once, also without asking, if `offer` holds for a moment.
    #[track_caller]
    pub(crate) fn serves(&mut self, key: &str) {
        match self.read() {
            Read::Serve(session) => assert_eq!(session.access_key_id(), key),
            other => panic!("not served {key}: {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn waits(&mut self) -> u64 {
        match self.read() {
            Read::Wait { attempt } => attempt,
            other => panic!("does not wait: {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn refuses(&mut self) -> Refusal {
        match self.read() {
            Read::Refuse(refusal) => refusal,
            other => panic!("not refused: {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn offers(&self, key: &str) {
        let offer = self.life.offer(self.now()).expect("an offer");
        assert_eq!(offer.session.access_key_id(), key);
        assert!(!self.now().reached(offer.until), "the offer holds");
    }
}

pub(crate) fn throttled() -> Failure {
    Failure::unavailable("rate exceeded").with_code("Throttling")
}

pub(crate) fn denied() -> Failure {
    Failure::denied("not authorized").with_code("AccessDenied")
}
