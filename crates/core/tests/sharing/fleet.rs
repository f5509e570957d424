//! A fleet in virtual time: the real lifecycles and the real protocol, one store, one source, and
//! what may happen to each of them.

use std::{
    cmp::Reverse, collections::BTreeMap, collections::BinaryHeap, ops::Range, time::Duration,
};

use rolekeeper_core::{
    Credentials, END_GUARD, Elapsed, Failure, Fence, Issued, Lease, Lifecycle, Moment,
    RefreshPolicy, Sharing, Slot, Step, StoreTrouble, Wake, WallTime,
};

pub(crate) const MS: i64 = 1_000_000;
pub(crate) const SECOND: i64 = 1000 * MS;
/// The year 2026, by the source's clock, when a run begins.
const EPOCH: i64 = 1_790_000_000;
/// How long a participant waits for a store that doesn't answer.
const PATIENCE: i64 = 500 * MS;
const POLL: Duration = Duration::from_millis(100);

/// What is done to whom, and when, in nanoseconds from the beginning.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) participants: usize,
    /// How long a session lives, in seconds.
    pub(crate) life: i64,
    /// When each begins, from here to there.
    pub(crate) starts_within: i64,
    pub(crate) source_takes: i64,
    pub(crate) source_is_down: Vec<Range<i64>>,
    pub(crate) store_is_down: Vec<Range<i64>>,
    /// It loses all it has.
    pub(crate) store_forgets: Vec<i64>,
    /// A participant dies, and another begins in its place.
    pub(crate) deaths: Vec<(i64, usize)>,
    /// A participant is stopped, as by SIGSTOP or by a machine that sleeps.
    pub(crate) stops: Vec<(Range<i64>, usize)>,
    /// Clocks are off by up to so much.
    pub(crate) clocks_off: i64,
    pub(crate) seed: u64,
}

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// When the source was asked, and answered; whether it failed.
    pub(crate) calls: Vec<(i64, i64, bool)>,
    /// Who had no session, and from when to when.
    pub(crate) without: Vec<(usize, Range<i64>)>,
    /// How many have none at the end.
    pub(crate) left_without: usize,
    /// Saves that were refused since another had the lease.
    pub(crate) refused_saves: usize,
}

struct Fleet<'a> {
    plan: &'a Plan,
    now: i64,
    queue: BinaryHeap<Reverse<(i64, u64, usize, u32)>>,
    todo: BTreeMap<u64, Todo>,
    count: u64,
    slot: Slot,
    participants: Vec<Participant>,
    chance: u64,
    keys: u64,
    seen: Seen,
}

struct Participant {
    lifecycle: Lifecycle,
    sharing: Sharing,
    wall_off: i64,
    elapsed_off: i64,
    /// Which of those that have been in this place.
    life: u32,
    fence: Option<Fence>,
    is_on_errand: bool,
    is_fetching: bool,
    without_since: Option<i64>,
}

#[derive(Debug)]
enum Todo {
    Wake,
    Do(Step, /* begun */ i64),
    Renew(Fence),
}

/// Runs it for so many seconds.
pub(crate) fn run(plan: &Plan, secs: i64) -> Seen {
    let mut fleet = Fleet {
        plan,
        now: 0,
        queue: BinaryHeap::new(),
        todo: BTreeMap::new(),
        count: 0,
        slot: Slot::default(),
        participants: Vec::new(),
        chance: plan.seed,
        keys: 0,
        seen: Seen::default(),
    };
    for place in 0..plan.participants {
        let participant = fleet.newcomer(0);
        fleet.participants.push(participant);
        let start = fleet.draw(plan.starts_within);
        fleet.at(start, place, Todo::Wake);
    }
    fleet.run_until(secs * SECOND);
    for place in 0..plan.participants {
        fleet.look_at(place);
        fleet.seen.left_without += usize::from(fleet.participants[place].without_since.is_some());
    }
    fleet.seen
}

impl Fleet<'_> {
    /// From 0 to just below `most`.
    fn draw(&mut self, most: i64) -> i64 {
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        if most <= 0 { 0 } else { (self.chance >> 33).cast_signed() % most }
    }

    fn newcomer(&mut self, life: u32) -> Participant {
        let off = self.plan.clocks_off;
        let wall_off = self.draw(2 * off) - off;
        let elapsed_off = self.draw(1000 * SECOND);
        let seed = self.draw(i64::MAX).cast_unsigned();
        Participant {
            lifecycle: Lifecycle::new(RefreshPolicy::default(), seed),
            sharing: Sharing::new(RefreshPolicy::default(), POLL, seed),
            wall_off,
            elapsed_off,
            life,
            fence: None,
            is_on_errand: false,
            is_fetching: false,
            without_since: Some(self.now),
        }
    }

    fn at(&mut self, when: i64, place: usize, todo: Todo) {
        let stopped =
            self.plan.stops.iter().find(|(range, who)| *who == place && range.contains(&when));
        let when = stopped.map_or(when, |(range, _)| range.end);
        self.count += 1;
        self.todo.insert(self.count, todo);
        self.queue.push(Reverse((when, self.count, place, self.participants[place].life)));
    }

    fn run_until(&mut self, end: i64) {
        let mut deaths = self.plan.deaths.clone();
        let mut losses = self.plan.store_forgets.clone();
        deaths.sort_unstable_by(|a, b| b.cmp(a));
        losses.sort_unstable_by(|a, b| b.cmp(a));
        while let Some(Reverse((when, number, place, life))) = self.queue.pop() {
            if when > end {
                break;
            }
            while let Some((at, who)) = deaths.pop_if(|(at, _)| *at <= when) {
                self.now = at;
                self.die(who);
            }
            if losses.pop_if(|at| *at <= when).is_some() {
                self.slot = Slot::default();
            }
            self.now = when;
            let todo = self.todo.remove(&number);
            if let Some(todo) = todo.filter(|_| self.participants[place].life == life) {
                self.perform(place, todo);
                self.look_at(place);
            }
        }
        self.now = end;
    }

    fn die(&mut self, place: usize) {
        self.note_without(place);
        let life = self.participants[place].life + 1;
        self.participants[place] = self.newcomer(life);
        self.at(self.now, place, Todo::Wake);
    }

    fn clocks(&self, place: usize) -> Moment {
        let participant = &self.participants[place];
        Moment {
            elapsed: Elapsed::from_nanos(self.now + participant.elapsed_off),
            wall: WallTime::from_unix_nanos(EPOCH * SECOND + self.now + participant.wall_off),
        }
    }

    fn perform(&mut self, place: usize, todo: Todo) {
        match todo {
            Todo::Wake => self.wake(place),
            Todo::Do(step, begun) => self.do_step(place, step, begun),
            Todo::Renew(fence) => {
                if self.participants[place].is_fetching {
                    if !self.store_is_down() {
                        self.slot.renew(Elapsed::from_nanos(self.now), fence, Sharing::LEASE);
                    }
                    self.at(self.now + nanos(Sharing::RENEWAL), place, Todo::Renew(fence));
                }
            }
        }
    }

    fn wake(&mut self, place: usize) {
        let now = self.clocks(place);
        let participant = &mut self.participants[place];
        // Somebody reads all the time.
        participant.lifecycle.seen(now);
        if participant.is_on_errand {
            return;
        }
        if matches!(participant.lifecycle.wake(now), Wake::Fetch { .. }) {
            participant.is_on_errand = true;
            let step = participant.sharing.begin(now);
            self.plan_step(place, step);
            return;
        }
        // Rounded up to a millisecond, as timers are.
        let wait = participant.lifecycle.wakeup().map_or(SECOND, |wakeup| nanos(wakeup.wait(now)));
        self.at(self.now + wait.clamp(MS, 3600 * SECOND), place, Todo::Wake);
    }

    /// How long it takes; what comes of it is found when it is done.
    fn plan_step(&mut self, place: usize, step: Step) {
        let answers = MS / 5 + self.draw(3 * MS);
        let takes = match &step {
            Step::Wait(wait) => nanos(*wait),
            Step::Fetch { lease } => {
                self.participants[place].is_fetching = true;
                if let Some(fence) = *lease {
                    self.at(self.now + nanos(Sharing::RENEWAL), place, Todo::Renew(fence));
                }
                self.plan.source_takes / 2 + self.draw(self.plan.source_takes)
            }
            Step::Done(_) => 0,
            _ if self.store_is_down() => PATIENCE,
            _ => answers,
        };
        self.at(self.now + takes, place, Todo::Do(step, self.now));
    }

    fn do_step(&mut self, place: usize, step: Step, begun: i64) {
        let (moment, now) = (self.clocks(place), Elapsed::from_nanos(self.now));
        let is_down = self.store_is_down();
        let next = match step {
            Step::Load => {
                let found = self
                    .slot
                    .load(now)
                    .map(|(issued, age)| issued.clone().with_arrived(moment.before(age)));
                let found = if is_down { Err(StoreTrouble) } else { Ok(found) };
                self.participants[place].sharing.loaded(moment, found)
            }
            Step::Lease => {
                let lease = if is_down {
                    Err(StoreTrouble)
                } else {
                    Ok(self.slot.lease(now, Sharing::LEASE))
                };
                if let Ok(Lease::Granted(fence)) = lease {
                    self.participants[place].fence = Some(fence);
                }
                self.participants[place].sharing.leased(moment, lease)
            }
            Step::Wait(_) => self.participants[place].sharing.waited(),
            Step::Fetch { .. } => {
                self.participants[place].is_fetching = false;
                let outcome = self.ask_source(begun);
                self.participants[place].sharing.fetched(moment, outcome)
            }
            Step::Save { fence, issued } => {
                if !is_down {
                    self.seen.refused_saves +=
                        usize::from(!self.slot.save(now, fence, issued.clone()));
                    self.participants[place].fence = None;
                }
                self.participants[place].sharing.saved(moment, issued)
            }
            Step::Cool { fence, failure, pause } => {
                if !is_down {
                    self.slot.cool(now, fence, failure.clone(), pause);
                    self.participants[place].fence = None;
                }
                self.participants[place].sharing.cooled(moment, failure)
            }
            Step::Done(outcome) => {
                let participant = &mut self.participants[place];
                if let Some(fence) = participant.fence.take().filter(|_| !is_down) {
                    self.slot.release(fence);
                }
                participant.is_on_errand = false;
                match outcome {
                    Ok(issued) => participant.lifecycle.fetched(moment, issued),
                    Err(failure) => participant.lifecycle.failed(moment, failure),
                }
                self.wake(place);
                return;
            }
        };
        self.plan_step(place, next);
    }

    fn ask_source(&mut self, begun: i64) -> Result<Issued, Failure> {
        let fails = self.plan.source_is_down.iter().any(|range| range.contains(&self.now));
        self.seen.calls.push((begun, self.now, fails));
        if fails {
            return Err(Failure::unavailable("the source is down"));
        }
        self.keys += 1;
        // Whole seconds, as AWS tells them.
        let date = EPOCH + self.now / SECOND;
        let credentials = Credentials::new(format!("ASIA{}", self.keys), "secret", "token");
        let end = WallTime::from_unix_secs(date + self.plan.life);
        Ok(Issued::new(credentials, end).with_issued_at(WallTime::from_unix_secs(date)))
    }

    fn store_is_down(&self) -> bool {
        self.plan.store_is_down.iter().any(|range| range.contains(&self.now))
    }

    /// What its readers get now is a session that truly lives, if they get one.
    fn look_at(&mut self, place: usize) {
        let now = self.clocks(place);
        let offer = self.participants[place].lifecycle.offer(now);
        match offer.filter(|offer| !now.reached(offer.until)) {
            Some(offer) => {
                let end = offer.session.issuer_expiration().as_unix_nanos() - EPOCH * SECOND;
                assert!(end > self.now, "participant {place} serves a dead session");
                self.note_without(place);
            }
            None => {
                self.participants[place].without_since.get_or_insert(self.now);
            }
        }
    }

    fn note_without(&mut self, place: usize) {
        if let Some(since) = self.participants[place].without_since.take() {
            self.seen.without.push((place, since..self.now));
        }
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

impl Seen {
    /// The most calls that were under way at the same time.
    pub(crate) fn most_at_once(&self) -> usize {
        let mut edges: Vec<(i64, i32)> =
            self.calls.iter().flat_map(|(begin, end, _)| [(*begin, 1), (*end, -1)]).collect();
        // An end goes before a beginning at the same instant.
        edges.sort_unstable();
        let mut at_once = 0;
        edges
            .iter()
            .map(|(_, step)| {
                at_once += step;
                at_once
            })
            .max()
            .unwrap_or(0)
            .unsigned_abs() as usize
    }

    /// Calls that brought a session.
    pub(crate) fn sessions(&self) -> usize {
        self.calls.iter().filter(|(_, _, failed)| !failed).count()
    }

    /// The longest that anybody had no session, in nanoseconds.
    pub(crate) fn longest_without(&self) -> i64 {
        self.without.iter().map(|(_, range)| range.end - range.start).max().unwrap_or(0)
    }
}

/// A hundred that begin at once, with sessions of an hour.
fn hundred() -> Plan {
    Plan { participants: 100, life: 3600, source_takes: 100 * MS, seed: 1, ..Plan::default() }
}

const DAY: i64 = 86_400;

fn once(range: Range<i64>) -> Vec<Range<i64>> {
    vec![range]
}

#[test]
fn a_hundred_that_begin_at_once_make_one_call() {
    let seen = run(&hundred(), 60);
    assert_eq!(seen.calls.len(), 1);
    // The source's own time, a look or two, and no more.
    assert!(seen.longest_without() < 150 * MS + 200 * MS, "{}", seen.longest_without());
}

#[test]
fn over_a_day_there_is_one_call_for_each_session_and_nobody_is_without_one() {
    let plan = Plan { clocks_off: 1200 * SECOND, ..hundred() };
    let seen = run(&plan, DAY);
    assert_eq!(seen.most_at_once(), 1);
    // The first of a hundred refreshes at 45 % of a life.
    assert!((48..=54).contains(&seen.calls.len()), "{} calls", seen.calls.len());
    assert_eq!(seen.without.len(), 100, "only at the beginning");
}

#[test]
fn an_outage_of_the_source_costs_the_fleet_a_call_a_second_at_most() {
    let down = 600 * SECOND..1200 * SECOND;
    let plan = Plan { source_is_down: vec![0..30 * SECOND, down], life: 900, ..hundred() };
    let seen = run(&plan, 3600);
    let failed = seen.calls.len() - seen.sessions();
    assert!(failed <= 30 + 600, "{failed} calls failed");
    assert_eq!(seen.most_at_once(), 1);
}

#[test]
fn whoever_dies_with_the_lease_is_replaced_when_it_ends() {
    // All who begin die while the first of them asks the source, the others a second later.
    let deaths = (0..100).map(|place| (60 * MS, place)).take(50);
    let plan = Plan { deaths: deaths.collect(), source_takes: 2 * SECOND, ..hundred() };
    let seen = run(&plan, 60);
    assert!(seen.calls.len() <= 2);
    let lease = nanos(Sharing::LEASE);
    assert!(seen.longest_without() < lease + 3 * SECOND + 200 * MS, "{}", seen.longest_without());
}

#[test]
fn without_the_store_each_goes_on_alone() {
    let plan = Plan { store_is_down: once(0..DAY * SECOND), ..hundred() };
    let seen = run(&plan, 600);
    assert_eq!(seen.calls.len(), 100);
    assert!(seen.longest_without() < PATIENCE + 150 * MS);
}

#[test]
fn a_store_that_comes_back_is_shared_again() {
    let plan = Plan { store_is_down: once(0..DAY / 2 * SECOND), ..hundred() };
    let alone = run(&plan, DAY / 2).calls.len();
    let both = run(&plan, DAY).calls.len();
    assert!(both - alone < 150, "{alone} calls, then {}", both - alone);
    assert!(alone > 1200);
}

#[test]
fn who_was_stopped_with_the_lease_does_not_save_over_the_next() {
    // It is stopped while it asks, for longer than a lease.
    let first = run(&hundred(), 1);
    let (begin, end, _) = first.calls[0];
    let stops = (0..100).map(|place| ((begin + end) / 2..20 * SECOND, place)).take(99);
    let plan = Plan { stops: stops.collect(), ..hundred() };
    let seen = run(&plan, 60);
    assert_eq!(seen.sessions(), 2);
    assert_eq!(seen.refused_saves, 1);
}

#[test]
fn a_store_that_forgets_costs_one_call() {
    let plan = Plan { store_forgets: vec![100 * SECOND], ..hundred() };
    let before = run(&hundred(), DAY).calls.len();
    let after = run(&plan, DAY).calls.len();
    assert!(after <= before + 1, "{after} calls instead of {before}");
}

/// Whether a session may be handed out is told by [`END_GUARD`], also of one from a store.
#[test]
fn clocks_that_are_off_change_nothing() {
    assert!(END_GUARD >= Duration::from_secs(1));
    for seed in 0..20 {
        let plan =
            Plan { clocks_off: 86_400 * SECOND, life: 900, seed, participants: 10, ..hundred() };
        let seen = run(&plan, DAY / 4);
        assert_eq!(seen.most_at_once(), 1);
        assert_eq!(seen.without.len(), 10);
    }
}
