//! A day of a fleet: who begins, who is replaced, and what each has planned.

use std::ops::Range;

use super::{
    chance::Chance,
    day::Day,
    figures::Figures,
    queue::{Event, Queue},
    sts::{self, Sts},
    time::{MINUTE, Micros, SECOND},
};

/// How often it is told how far the day has come.
const TOLD_EVERY: Micros = 10 * MINUTE;
const TOLD_EACH: u32 = 10_000;

/// Shorter quiet times bring nothing.
const WORTH_IT: Micros = 5 * SECOND;

/// What is around the workers of one rule.
#[derive(Debug)]
pub(super) struct World {
    /// Empty where workers take no notice of each other.
    pub(super) queue: Queue,
    pub(super) sts: Sts,
    pub(super) chance: Chance,
    pub(super) figures: Figures,
}

/// Workers that may take notice of each other, each in a place.
pub(super) trait Workers {
    /// One begins in this place.
    fn begin(&mut self, at: Micros, worker: u32, world: &mut World);

    /// What it has planned is due.
    fn due(&mut self, at: Micros, worker: u32, world: &mut World);

    /// The one in this place, if there is one, ends.
    fn end(&mut self, at: Micros, worker: u32, world: &mut World);

    /// Until when nobody does anything that another would notice, if that is known.
    fn quiet_until(&mut self) -> Option<Micros> {
        None
    }
}

/// Workers that take no notice of each other: all they have in common is STS.
pub(super) trait Loner {
    /// The state of one.
    type Worker;

    /// One begins; what it does first is due at once.
    fn begin(&self, at: Micros, world: &mut World) -> Self::Worker;

    /// Does what is due, and tells when something is again.
    fn due(&self, worker: &mut Self::Worker, at: Micros, world: &mut World) -> Option<Micros>;

    /// One ends.
    fn end(&self, worker: Self::Worker, at: Micros, world: &mut World);
}

/// Runs the day in the order of time, and tells now and then how much of it is done, in percent.
pub(super) fn in_order(day: &Day, workers: &mut dyn Workers, tell: &mut dyn FnMut(u64)) -> Figures {
    let mut world = World::new(day, Queue::new(day.workers, day.end));
    for worker in 0..day.workers {
        for start in day.starts(worker, &mut world.chance) {
            world.queue.newcomer(start, worker);
        }
    }
    let mut told = 0;
    while let Some(event) = world.queue.next() {
        if event.at >= told {
            tell(event.at * 100 / day.end);
            told = event.at + TOLD_EVERY;
        }
        happen(event, workers, &mut world);
        if let Some(until) = workers.quiet_until().filter(|until| *until >= event.at + WORTH_IT) {
            worker_by_worker(until, workers, &mut world);
        }
    }
    for worker in 0..day.workers {
        workers.end(day.end, worker, &mut world);
    }
    world.figures
}

fn happen(event: Event, workers: &mut dyn Workers, world: &mut World) {
    if event.is_newcomer() {
        workers.end(event.at, event.worker, world);
        workers.begin(event.at, event.worker, world);
    } else {
        workers.due(event.at, event.worker, world);
    }
}

/// A quiet time, each worker's part of it at once. The outcome is that of the order of time, and
/// comes several times as fast: a million workers are read from the main memory one after the
/// other, and not here and there.
fn worker_by_worker(until: Micros, workers: &mut dyn Workers, world: &mut World) {
    for event in world.queue.take_until(until) {
        let mut next = Some(event);
        while let Some(event) = next {
            if world.queue.counts(event) {
                happen(event, workers, world);
            }
            next = world.queue.soon();
        }
    }
}

/// Runs the day of workers that go by such a rule.
pub(super) fn of_loners<L: Loner>(day: &Day, rule: L, tell: &mut dyn FnMut(u64)) -> Figures {
    if day.quota.is_none() {
        one_by_one(day, &rule, tell)
    } else {
        // How STS answers depends on how many ask: now they do have to do with each other.
        let workers = (0..day.workers).map(|_| None).collect();
        in_order(day, &mut Crowd { rule, workers }, tell)
    }
}

/// One worker's whole day, then the next one's. The outcome is that of the order of time, and comes
/// several times as fast: all that is touched stays in the processor's cache.
fn one_by_one<L: Loner>(day: &Day, rule: &L, tell: &mut dyn FnMut(u64)) -> Figures {
    let mut world = World::new(day, Queue::new(0, 0));
    for place in 0..day.workers {
        if place % TOLD_EACH == 0 {
            tell(u64::from(place) * 100 / u64::from(day.workers));
        }
        let mut starts = day.starts(place, &mut world.chance).into_iter().peekable();
        while let Some(start) = starts.next() {
            let end = starts.peek().copied().unwrap_or(day.end);
            let mut worker = rule.begin(start, &mut world);
            let mut next = Some(start);
            while let Some(at) = next.filter(|at| *at < end) {
                next = rule.due(&mut worker, at, &mut world);
            }
            rule.end(worker, end, &mut world);
        }
    }
    world.figures
}

/// Loners in the order of time.
struct Crowd<L: Loner> {
    rule: L,
    workers: Vec<Option<L::Worker>>,
}

// === impl Crowd ===

impl<L: Loner> Workers for Crowd<L> {
    fn begin(&mut self, at: Micros, worker: u32, world: &mut World) {
        self.workers[worker as usize] = Some(self.rule.begin(at, world));
        self.due(at, worker, world);
    }

    fn due(&mut self, at: Micros, worker: u32, world: &mut World) {
        if let Some(state) = &mut self.workers[worker as usize]
            && let Some(next) = self.rule.due(state, at, world)
        {
            world.queue.plan(next, worker);
        }
    }

    fn end(&mut self, at: Micros, worker: u32, world: &mut World) {
        if let Some(state) = self.workers[worker as usize].take() {
            self.rule.end(state, at, world);
        }
    }
}

// === impl World ===

impl World {
    fn new(day: &Day, queue: Queue) -> Self {
        Self {
            queue,
            sts: Sts::new(day),
            chance: Chance::new(day.seed),
            figures: Figures::new(day.end),
        }
    }

    /// From the first to just below the second.
    pub(super) fn draw(&mut self, range: Range<Micros>) -> Micros {
        range.start + self.chance.below(range.end - range.start)
    }

    /// When what STS is asked now is answered.
    pub(super) fn answered(&mut self, at: Micros) -> Micros {
        at + self.draw(sts::TAKES)
    }
}
