//! What happens in a world, to whom and when: all of it follows from the seed.

use std::time::Duration;

use rolekeeper::{RefreshMode, RefreshPolicy};

use crate::{
    dice::Dice,
    machine::{SECOND, nanos},
};

pub(crate) struct Plan {
    pub(crate) roles: Vec<RolePlan>,
    pub(crate) processes: Vec<ProcessPlan>,
    /// `None`: each process is for itself.
    pub(crate) store: Option<StorePlan>,
    /// How far the issuer's clock is ahead of a right one.
    pub(crate) issuer_ahead: i64,
    /// Nothing goes wrong any more from here on.
    pub(crate) calm: i64,
    /// How much later the next try may come, since another has left its failure in the store.
    pub(crate) left_by_others: i64,
    pub(crate) end: i64,
    /// Until when anything is planned, in seconds.
    pub(crate) span: i64,
}

pub(crate) struct RolePlan {
    pub(crate) life: Duration,
    pub(crate) spells: Vec<Spell<Weather>>,
}

/// For a while, in nanoseconds since the world began, something is so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spell<T> {
    from: i64,
    to: i64,
    what: T,
}

/// How a source behaves, where it is not well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    Down,
    Hangs,
    Slow,
    /// With a Retry-After of so many seconds.
    Throttled(Option<u64>),
    Denied,
    NeedsPerson,
    Misconfigured,
    ExpiredOnArrival,
    NoKey,
    Garbage,
}

pub(crate) struct StorePlan {
    /// In milliseconds, one way; 0: it answers at once.
    pub(crate) latency: i64,
    pub(crate) spells: Vec<Spell<StoreWeather>>,
    /// When it loses all it has.
    pub(crate) forgets: Vec<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreWeather {
    Fails,
    Hangs,
    Slow,
    /// It does what it is asked for, and the answer is lost.
    LosesAnswers,
}

pub(crate) struct ProcessPlan {
    pub(crate) policy: RefreshPolicy,
    pub(crate) distrusted: Distrusted,
    pub(crate) wall_ahead: i64,
    pub(crate) born: i64,
    /// In their order.
    pub(crate) fates: Vec<(i64, Fate)>,
    /// How often each of its readers reads, in milliseconds.
    pub(crate) readers: Vec<i64>,
}

/// Each of the two clocks covers for the other; nothing covers for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Distrusted {
    Wall,
    Elapsed,
}

/// What befalls a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its machine sleeps.
    Sleep(Duration),
    /// It is stopped, and goes on.
    Stop(Duration),
    /// Its machine's wall clock is set, by so many seconds.
    StepWall(i64),
    /// Its machine is paused, for so many seconds.
    Pause(i64),
    /// It dies, and another begins in its place so much later.
    Kill(Duration),
    /// It lets its keyring go, and begins another one.
    Close,
}

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// What is under way when all is well again is over after this: an attempt's own time, and a lease's.
pub(crate) const SETTLES: i64 = 15 * SECOND;

/// The longest wait of the exponential backoff (ENGINE.md).
const BACKOFF_CAP: i64 = 30 * SECOND;

/// What a person mends is tried again after this long at the latest (ENGINE.md: 60 s ± 10 %).
const LONGEST_PAUSE: i64 = 66;

/// Retry-After is honoured for as long as this.
const RETRY_AFTER_CAP: i64 = 300;

// === impl Plan ===

impl Plan {
    pub(crate) fn of(dice: &mut Dice) -> Self {
        let life = match dice.between(0, 10) {
            0 => dice.between(20, 120),
            1..5 => 900,
            5..8 => HOUR,
            8 => dice.between(900, 2 * HOUR),
            _ => 12 * HOUR,
        };
        // Until something has been refreshed, once or several times.
        let span = life * dice.between(60, 220) / 100 * SECOND;
        let roles = dice.between(1, 3);
        let roles: Vec<_> = (0..roles).map(|_| RolePlan::of(dice, life, span)).collect();
        let processes = dice.between(1, 4);
        let shares = dice.percent(70);
        let mut processes: Vec<_> = (0..processes).map(|_| ProcessPlan::of(dice, span)).collect();
        if dice.percent(10) {
            all_sleep(dice, span, &mut processes);
        }
        let last = processes.iter().map(ProcessPlan::is_through).max();
        let calm = last.unwrap_or(0).max(span) + SECOND;
        let pauses = roles.iter().flat_map(|role| &role.spells).map(|spell| spell.what.pause());
        let pause = (pauses.max().unwrap_or(0) * SECOND).max(BACKOFF_CAP);
        let left_by_others = if shares { pause } else { 0 };
        // With room for what is under way before and after it.
        let end = calm + pause + left_by_others + 3 * SETTLES;
        Self {
            roles,
            processes,
            store: shares.then(|| StorePlan::of(dice, span)),
            issuer_ahead: off(dice),
            calm,
            left_by_others,
            end,
            span: span / SECOND,
        }
    }
}

/// The lid of the one laptop that all of them run on, for hours to days.
fn all_sleep(dice: &mut Dice, span: i64, processes: &mut [ProcessPlan]) {
    let at = dice.between(0, span);
    let sleep = Fate::Sleep(dice.secs(HOUR, 4 * DAY));
    for process in processes {
        process.fates.retain(|(other, _)| *other < at);
        process.fates.push((at.max(process.born), sleep));
    }
}

/// How far a clock is off: right, some seconds, or hours.
fn off(dice: &mut Dice) -> i64 {
    match dice.between(0, 4) {
        0 => 0,
        1 => dice.between(-90 * SECOND, 90 * SECOND),
        _ => dice.between(-2 * HOUR * SECOND, 2 * HOUR * SECOND),
    }
}

// === impl RolePlan ===

impl RolePlan {
    fn of(dice: &mut Dice, life: i64, span: i64) -> Self {
        let spells = (0..dice.between(0, 4)).map(|_| {
            let what = match dice.between(0, 12) {
                0..3 => Weather::Down,
                3 => Weather::Hangs,
                4 => Weather::Slow,
                5 => Weather::Throttled(None),
                6 => {
                    let most = if dice.percent(80) { 40 } else { 900 };
                    Weather::Throttled(Some(dice.between(1, most).unsigned_abs()))
                }
                7 => Weather::Denied,
                8 => *dice.pick(&[Weather::NeedsPerson, Weather::Misconfigured]),
                9 => Weather::ExpiredOnArrival,
                10 => Weather::NoKey,
                _ => Weather::Garbage,
            };
            Spell::of(dice, span, what)
        });
        Self { life: Duration::from_secs(life.unsigned_abs()), spells: spells.collect() }
    }
}

// === impl Spell ===

impl<T: Copy> Spell<T> {
    fn of(dice: &mut Dice, span: i64, what: T) -> Self {
        // The very first fetch, or whichever comes.
        let from = if dice.percent(20) { 0 } else { dice.between(0, span) };
        let most = if dice.percent(85) { 120 * SECOND } else { span / 3 };
        let to = (from + dice.between(SECOND, most.max(2 * SECOND))).min(span);
        Self { from, to, what }
    }

    /// What is so at that time, if anything.
    pub(crate) fn at(spells: &[Self], truth: i64) -> Option<T> {
        spells.iter().find(|spell| (spell.from..spell.to).contains(&truth)).map(|spell| spell.what)
    }
}

// === impl Weather ===

impl Weather {
    /// For how long, in seconds, a source is left alone after it.
    fn pause(self) -> i64 {
        match self {
            Self::Throttled(Some(after)) => {
                i64::try_from(after).unwrap_or(i64::MAX).clamp(LONGEST_PAUSE, RETRY_AFTER_CAP)
            }
            _ => LONGEST_PAUSE,
        }
    }
}

// === impl StorePlan ===

impl StorePlan {
    fn of(dice: &mut Dice, span: i64) -> Self {
        let spells = (0..dice.between(0, 4)).map(|_| {
            let what = *dice.pick(&[
                StoreWeather::Fails,
                StoreWeather::Hangs,
                StoreWeather::Slow,
                StoreWeather::LosesAnswers,
            ]);
            Spell::of(dice, span, what)
        });
        let spells = spells.collect();
        let forgets = (0..dice.between(0, 3)).map(|_| dice.between(0, span)).collect();
        let latency = if dice.percent(40) { 0 } else { dice.between(1, 30) };
        Self { latency, spells, forgets }
    }
}

// === impl ProcessPlan ===

impl ProcessPlan {
    fn of(dice: &mut Dice, span: i64) -> Self {
        let distrusted = *dice.pick(&[Distrusted::Wall, Distrusted::Elapsed]);
        let born = if dice.percent(60) { 0 } else { dice.between(0, span / 2) };
        let mut fates: Vec<_> = (0..dice.between(0, 4))
            .map(|_| (dice.between(born, span), Fate::of(dice, distrusted, span / SECOND)))
            .collect();
        fates.sort_unstable_by_key(|(at, _)| *at);
        // Which reads at most this often: a world is to be small, since there are many.
        let pause = |dice: &mut Dice| span / SECOND * 1000 / dice.between(2, 20);
        let readers = (0..dice.between(1, 4)).map(|_| pause(dice).max(100)).collect();
        let deadline = match dice.between(0, 3) {
            0 => dice.millis(50, 5000),
            _ => Duration::from_secs(30),
        };
        let policy = match dice.between(0, 10) {
            0..2 => RefreshPolicy::on_demand(),
            2 => RefreshPolicy::default().with_idle_after(dice.secs(5, 2 * HOUR)),
            _ => RefreshPolicy::default(),
        };
        let policy = policy.with_read_deadline(deadline);
        Self { policy, distrusted, wall_ahead: off(dice), born, fates, readers }
    }

    /// When all that befalls it has done so: one thing may come in the middle of another.
    fn is_through(&self) -> i64 {
        self.fates.iter().fold(0, |through, (at, fate)| through.max(*at) + fate.takes())
    }

    pub(crate) fn is_on_demand(&self) -> bool {
        self.policy.mode() == RefreshMode::OnDemand
    }
}

// === impl Fate ===

impl Fate {
    /// `span` is what the world lasts, in seconds: what lasts far longer fills it with nothing else.
    pub(crate) fn of(dice: &mut Dice, distrusted: Distrusted, span: i64) -> Self {
        // Some are over before anybody could notice, some last for hours.
        let most = (*dice.pick(&[5, 100, HOUR, 6 * HOUR])).min(2 * span);
        match dice.between(0, 10) {
            0..3 => Self::Sleep(dice.secs(1, most)),
            3..5 => Self::Stop(dice.millis(10, 1000 * most.min(300))),
            5 => Self::Kill(dice.millis(0, 20_000)),
            6 => Self::Close,
            _ if distrusted == Distrusted::Wall => Self::StepWall(dice.between(-most, most)),
            _ => Self::Pause(dice.between(1, most)),
        }
    }

    /// By how much truth goes on meanwhile, as far as it is foreseen.
    pub(crate) fn takes(self) -> i64 {
        match self {
            Self::Sleep(span) | Self::Stop(span) | Self::Kill(span) => nanos(span),
            Self::Pause(seconds) => seconds * SECOND,
            Self::StepWall(_) | Self::Close => 0,
        }
    }
}
