//! A world from its beginning to its end: whoever is furthest behind goes next.

use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook},
    sync::{Arc, Once},
    time::Duration,
};

use rolekeeper::{FailureKind, Keyring};
use tokio::task::JoinHandle;

use crate::{
    dice::Dice,
    machine::{Machine, SECOND, nanos},
    plan::{Fate, Plan, SETTLES},
    readers,
    source::Sts,
    store::Store,
    tally::Tally,
    watch::Watch,
    world::{Who, World},
};

/// What came of it.
pub(crate) struct Seen {
    /// The first promise that was broken.
    pub(crate) broken: Option<String>,
    pub(crate) tally: Tally,
    /// If it was to be told.
    pub(crate) history: Vec<String>,
}

/// A process that runs.
struct Process {
    machine: Machine,
    keyring: Keyring<usize>,
    watches: Arc<[Watch]>,
    readers: Vec<JoinHandle<()>>,
    number: usize,
    place: usize,
    /// What will befall it, the next one last.
    fates: Vec<(i64, Fate)>,
    /// Whether its recovery has been looked at: when all has settled, and when it is due.
    recovery: Recovery,
    /// Which roles were in trouble when all had settled, and the generation that they held.
    troubled: Vec<(usize, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recovery {
    NotYet,
    Due(i64),
    Seen,
}

/// At the end all is well: a fetch, a lease of somebody who died, and a retry are over in this time.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest pause after a failure, by who can mend it (ENGINE.md): the cap of the backoff, or what
/// the source asked for up to 300 s; 60 s + 10 % for what somebody must change.
fn longest_pause(kind: FailureKind, retry_after: Duration) -> Duration {
    match kind {
        FailureKind::Unavailable | FailureKind::BadAnswer => {
            retry_after.min(Duration::from_secs(300)).max(Duration::from_secs(30))
        }
        _ => Duration::from_secs(66),
    }
}

thread_local! {
    /// What panicked in the world that this thread runs, if one does.
    static PANIC: RefCell<Option<Option<String>>> = const { RefCell::new(None) };
}

/// Runs the world of this seed.
pub(crate) fn run(seed: u64, tells: bool) -> Seen {
    watch_panics();
    PANIC.set(Some(None));
    let mut dice = Dice::new(seed);
    let plan = Plan::of(&mut dice);
    let world = Arc::new(World::new(plan, dice.fork(), tells));
    let end = catch_unwind(AssertUnwindSafe(|| go(&world, &mut dice)));
    let panic = PANIC.take().flatten();
    let mut state = world.state();
    if let Some(panic) = panic.or_else(|| end.is_err().then(|| "a panic".to_owned())) {
        state.broke(0, 0, format_args!("{panic}"));
    }
    state.tally.add("worlds");
    Seen {
        broken: state.broken().map(str::to_owned),
        tally: state.tally.clone(),
        history: state.take_history(),
    }
}

/// A panic of the product's in one of its tasks would else be seen by nobody.
fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |info| {
            let is_worlds = PANIC.with_borrow_mut(|panic| match panic {
                Some(first) => {
                    first.get_or_insert_with(|| format!("{info}"));
                    true
                }
                None => false,
            });
            if !is_worlds {
                usual(info);
            }
        }));
    });
}

fn go(world: &Arc<World>, dice: &mut Dice) {
    let end = world.plan.end;
    let mut number = 0;
    let mut processes: Vec<Process> = Vec::new();
    for place in 0..world.plan.processes.len() {
        let plan = &world.plan.processes[place];
        let mut fates = plan.fates.clone();
        fates.reverse();
        processes.push(Process::begin(world, dice, (number, place), plan.born, fates));
        number += 1;
    }
    let mut forgets = world.plan.store.as_ref().map_or(Vec::new(), |store| store.forgets.clone());
    forgets.sort_unstable();
    forgets.reverse();
    loop {
        let truths = processes.iter().map(|process| process.machine.truth());
        let Some((at, truth)) = truths.enumerate().min_by_key(|(at, truth)| (*truth, *at)) else {
            return;
        };
        if truth >= end || world.state().broken().is_some() {
            break;
        }
        if forgets.pop_if(|when| *when <= truth).is_some() {
            world.state().forget(truth);
        }
        let process = &mut processes[at];
        match process.next_fate(truth) {
            Some(Fate::Kill(after)) => {
                let old = processes.remove(at);
                let (place, fates) = (old.place, old.fates.clone());
                old.killed(truth);
                let born = truth + nanos(after);
                let new = Process::begin(world, dice, (number, place), born, fates);
                processes.insert(at, new);
                number += 1;
            }
            Some(Fate::Close) => {
                process.begin_anew(dice, number);
                number += 1;
            }
            Some(fate) => process.suffer(truth, fate),
            None => process.step(end),
        }
    }
    for process in processes {
        process.end();
    }
}

// === impl Process ===

impl Process {
    fn begin(
        world: &Arc<World>,
        dice: &mut Dice,
        (number, place): (usize, usize),
        born: i64,
        fates: Vec<(i64, Fate)>,
    ) -> Self {
        let machine = Machine::start(born, world.plan.processes[place].wall_ahead);
        let host = Arc::clone(&machine.host);
        let who = Who { world: Arc::clone(world), host, process: number, role: 0, place };
        let (keyring, watches, readers) = machine.inside(|| open(&who, &machine, dice));
        let recovery = Recovery::NotYet;
        let troubled = Vec::new();
        Self { machine, keyring, watches, readers, number, place, fates, recovery, troubled }
    }

    fn world(&self) -> &Arc<World> {
        &self.watches[0].who.world
    }

    /// Planned, or in the middle of what it does.
    fn next_fate(&mut self, truth: i64) -> Option<Fate> {
        let world = Arc::clone(self.world());
        // Nothing reaches into the calm.
        let fits = |fate: &Fate| truth + fate.takes() < world.plan.calm;
        if let Some((_, fate)) = self.fates.pop_if(|(at, _)| *at <= truth) {
            return Some(fate).filter(fits);
        }
        let mut state = world.state();
        let (left, fate) = state.ambushes.get_mut(&self.number)?;
        if *left > 0 {
            *left -= 1;
            return None;
        }
        let fate = *fate;
        state.ambushes.remove(&self.number);
        Some(fate).filter(fits)
    }

    /// To its next instant.
    fn step(&mut self, end: i64) {
        let truth = self.machine.truth();
        let next = self.fates.last().map_or(end, |(at, _)| (*at).min(end));
        let next = match self.recovery {
            Recovery::NotYet => next.min(self.world().plan.calm + SETTLES),
            Recovery::Due(at) => next.min(at),
            Recovery::Seen => next,
        };
        // A timer's millisecond may begin before what it is for.
        self.machine.step(next.max(truth + SECOND / 1000));
        let machine = &self.machine;
        machine.inside(|| self.watches.iter().for_each(|watch| watch.look_at(truth)));
        self.recover();
    }

    fn suffer(&mut self, truth: i64, fate: Fate) {
        {
            let mut state = self.world().state();
            state.say(truth, self.number, format_args!("{fate:?}"));
            state.tally.add(match fate {
                Fate::Sleep(span) if span >= Duration::from_secs(86_400) => "sleeps of days",
                Fate::Sleep(_) => "sleeps",
                Fate::Stop(_) => "stops",
                Fate::StepWall(_) => "steps of a wall clock",
                _ => "pauses of a machine",
            });
        }
        match fate {
            Fate::Sleep(span) => self.machine.sleep(span),
            Fate::Stop(span) => self.machine.stop(span),
            Fate::StepWall(seconds) => self.machine.step_wall(seconds),
            Fate::Pause(seconds) => self.machine.pause(seconds),
            Fate::Kill(_) | Fate::Close => {}
        }
        // A clock that is set forward is, for a fetch under way, a machine that slept.
        let since = match fate {
            Fate::StepWall(seconds) => truth - seconds.max(0) * SECOND,
            _ => truth,
        };
        self.machine.inside(|| {
            for watch in &*self.watches {
                watch.look();
                watch.disturb(since);
                // The first that happens then is a read, before any timer of the refresher's.
                readers::glances(watch);
            }
        });
    }

    /// When nothing goes wrong any more, everybody has a session again within one backoff.
    fn recover(&mut self) {
        let truth = self.machine.truth();
        match self.recovery {
            Recovery::NotYet if truth >= self.world().plan.calm + SETTLES => {
                let due = self.machine.inside(|| {
                    let in_trouble =
                        |watch: &&Watch| watch.credentials.status().last_error.is_some();
                    let troubled = self.watches.iter().filter(in_trouble);
                    let generation = |watch: &Watch| watch.credentials.status().generation;
                    self.troubled =
                        troubled.map(|watch| (watch.who.role, generation(watch))).collect();
                    self.watches.iter().map(Self::due).max().unwrap_or_default()
                });
                // Another may have left its failure in the store: the next try is told of that, and
                // the one after it comes when that one's pause is over.
                let again = self.world().plan.left_by_others;
                self.recovery = Recovery::Due(truth + nanos(due) + again + SETTLES);
            }
            Recovery::Due(at) if truth >= at => {
                self.recovery = Recovery::Seen;
                self.machine
                    .inside(|| self.troubled.iter().for_each(|was| self.has_recovered(was)));
            }
            _ => {}
        }
    }

    /// How long it may take until the source is asked again; what is announced is within the rules.
    fn due(watch: &Watch) -> Duration {
        let Some(error) = watch.credentials.status().last_error else { return Duration::ZERO };
        let asked = error.failure().retry_after.unwrap_or_default();
        let most = longest_pause(error.kind(), asked);
        let announced = error.next_try().unwrap_or_default();
        if announced > most {
            let who = &watch.who;
            who.broke(format_args!("the next try is in {announced:?}, and {most:?} at most"));
        }
        announced
    }

    /// Whoever was in trouble has had a session since. A later failure is one that another has left in
    /// the store.
    fn has_recovered(&self, (role, generation): &(usize, u64)) {
        let watch = &self.watches[*role];
        // On demand, for the idle, and where a person was needed, it takes a reader; `end` is one.
        if watch.who.is_on_demand() || watch.credentials.policy().idle_after().is_some() {
            return;
        }
        let status = watch.credentials.status();
        let Some(error) = status.last_error.filter(|error| error.is_retryable()) else { return };
        if status.generation == *generation {
            watch.who.broke(format_args!("the source is back, and still there is: {error}"));
        }
    }

    /// All is well, and somebody asks.
    fn end(self) {
        let world = Arc::clone(self.world());
        if world.state().broken().is_none() {
            for watch in &*self.watches {
                if let Err(error) = self.machine.ask(watch.credentials.get_patiently(PATIENCE)) {
                    let what = format_args!("at the end there is no session: {error}");
                    self.machine.inside(|| watch.who.broke(what));
                }
            }
        }
        let Self { mut machine, keyring, watches, .. } = self;
        machine.kill((keyring, watches));
    }

    fn killed(self, truth: i64) {
        let mut state = self.world().state();
        state.tally.add("kills");
        state.say(truth, self.number, format_args!("killed"));
        drop(state);
        let Self { mut machine, keyring, watches, .. } = self;
        machine.kill((keyring, watches));
    }

    /// The keyring is let go, with all its handles, and another one begins.
    fn begin_anew(&mut self, dice: &mut Dice, number: usize) {
        let who = Who { process: number, ..self.watches[0].who.clone() };
        let machine = &self.machine;
        machine.inside(|| {
            self.watches[0].who.say(format_args!("lets its keyring go"));
            who.world.state().tally.add("keyrings let go");
            self.readers.iter().for_each(JoinHandle::abort);
            (self.keyring, self.watches, self.readers) = open(&who, machine, dice);
        });
        self.number = number;
    }
}

type Opened = (Keyring<usize>, Arc<[Watch]>, Vec<JoinHandle<()>>);

/// A keyring with all roles, and its readers.
fn open(who: &Who, machine: &Machine, dice: &mut Dice) -> Opened {
    let plan = &who.world.plan;
    let process = &plan.processes[who.place];
    who.say(format_args!("begins, its wall clock {} s ahead", who.host.wall_ahead() / SECOND));
    let mut keyring = Keyring::new()
        .with_policy(process.policy.clone())
        .with_clock(machine.clock())
        .with_seed(dice.roll());
    if plan.store.is_some() {
        keyring = keyring.with_store(Arc::new(Store(who.clone())));
    }
    let watches: Arc<[Watch]> = (0..plan.roles.len())
        .map(|role| {
            let who = Who { role, ..who.clone() };
            let credentials = keyring.get_or_insert(role, || Sts(who.clone()));
            Watch::new(who, credentials)
        })
        .collect();
    let read =
        |pause: &i64| tokio::spawn(readers::reads(Arc::clone(&watches), *pause, dice.fork()));
    let readers = process.readers.iter().map(read).collect();
    (keyring, watches, readers)
}
