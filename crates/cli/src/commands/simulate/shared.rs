//! rolekeeper with a store: the real lifecycle, and the real protocol on what is asked of a store,
//! step by step.

use std::{collections::HashMap, sync::Arc};

use rolekeeper::{Failure, Issued, RefreshPolicy};
use rolekeeper_core::{Fence, Lease, Lifecycle, Sharing, Step, StoreTrouble};

use super::{
    day::Day,
    fleet::{Workers, World},
    keeper::Keeper,
    queue::Turn,
    store::{NOTICE, PATIENCE, POLL, Store, TAKES},
    sts::Refused,
    time::{Micros, length, moment},
};

pub(super) struct Shared {
    policy: Arc<RefreshPolicy>,
    participants: Vec<Option<Participant>>,
    store: Store,
    /// What comes next to those in the middle of an errand. They are few at a time, and a step may
    /// hold a session.
    steps: HashMap<u32, Next>,
    /// Who has been granted a lease, and has not ended it.
    holders: HashMap<u32, Fence>,
    /// Who waits for the store to change.
    waiting: Vec<(u32, Turn)>,
    /// Nobody asks for a lease before.
    quiet_until: Micros,
}

struct Participant {
    keeper: Keeper,
    sharing: Sharing,
    /// When its errand began, or will.
    begun: Micros,
}

/// What is due for a participant on an errand.
enum Next {
    /// The store answers, if it is there.
    Answer(Step),
    /// The store has not answered for as long as a participant waits.
    NoAnswer(Step),
    /// STS answers.
    Fetched(Result<Issued, Failure>),
    /// It has waited.
    Waited,
}

// === impl Shared ===

impl Shared {
    pub(super) fn new(day: &Day) -> Self {
        Self {
            policy: Arc::default(),
            participants: (0..day.workers).map(|_| None).collect(),
            store: Store::new(day),
            steps: HashMap::new(),
            holders: HashMap::new(),
            waiting: Vec::new(),
            quiet_until: 0,
        }
    }

    /// The store is to answer now. `None` if it doesn't: that is found when patience ends.
    fn answer(&mut self, at: Micros, worker: u32, step: Step, world: &mut World) -> Option<Step> {
        if self.store.is_gone(at) {
            self.steps.insert(worker, Next::NoAnswer(step));
            world.queue.plan(at + PATIENCE, worker);
            return None;
        }
        let now = moment(at);
        let figures = &mut world.figures;
        let sharing = &mut self.participants[worker as usize].as_mut()?.sharing;
        let next = match step {
            Step::Load => sharing.loaded(now, Ok(self.store.load(at, figures))),
            Step::Lease => {
                debug_assert!(at >= self.quiet_until, "somebody wants another session already");
                let lease = self.store.lease(at, figures);
                if let Lease::Granted(fence) = lease {
                    self.holders.insert(worker, fence);
                }
                sharing.leased(now, Ok(lease))
            }
            Step::Save { fence, issued } => {
                self.store.save(at, fence, issued.clone(), figures);
                self.holders.remove(&worker);
                let next = sharing.saved(now, issued);
                self.tell(at, world);
                next
            }
            Step::Cool { fence, failure, pause } => {
                self.store.cool(at, fence, failure.clone(), pause, figures);
                self.holders.remove(&worker);
                let next = sharing.cooled(now, failure);
                self.tell(at, world);
                next
            }
            nothing_asked @ (Step::Wait(_) | Step::Fetch { .. } | Step::Done(_)) => nothing_asked,
        };
        Some(next)
    }

    /// Those who wait hear of a change, each a little later.
    fn tell(&mut self, at: Micros, world: &mut World) {
        for (worker, turn) in self.waiting.drain(..) {
            if world.queue.is_planned(worker, turn) {
                let heard = at + world.draw(NOTICE);
                world.queue.plan(heard, worker);
            }
        }
    }

    /// When what comes of this step is there.
    fn plan(&mut self, at: Micros, worker: u32, step: Step, world: &mut World) {
        let (when, next) = match step {
            Step::Load | Step::Lease | Step::Save { .. } | Step::Cool { .. } => {
                (at + world.draw(TAKES), Next::Answer(step))
            }
            Step::Wait(wait) => {
                let turn = world.queue.plan(at + length(wait), worker);
                self.waiting.push((worker, turn));
                self.steps.insert(worker, Next::Waited);
                return;
            }
            Step::Fetch { .. } => {
                // A lease is never renewed here: an answer comes before it would be.
                let outcome = world.sts.ask(at, &mut world.figures);
                let when = world.answered(at);
                let outcome = outcome.map(|()| world.sts.issue(when));
                (when, Next::Fetched(outcome.map_err(Refused::failure)))
            }
            Step::Done(outcome) => return self.done(at, worker, outcome, world),
        };
        self.steps.insert(worker, next);
        world.queue.plan(when, worker);
    }

    fn done(
        &mut self,
        at: Micros,
        worker: u32,
        outcome: Result<Issued, Failure>,
        world: &mut World,
    ) {
        if let Some(fence) = self.holders.remove(&worker)
            && !self.store.is_gone(at)
        {
            self.store.release(at, fence, &mut world.figures);
            self.tell(at, world);
        }
        if let Some(participant) = &mut self.participants[worker as usize] {
            let without = &mut world.figures.without;
            participant.keeper.fetched(at, participant.begun, outcome, without);
            participant.sleep(at, worker, world);
        }
    }
}

impl Workers for Shared {
    fn begin(&mut self, at: Micros, worker: u32, world: &mut World) {
        let lifecycle = Lifecycle::new(Arc::clone(&self.policy), world.chance.next());
        let sharing = Sharing::new(Arc::clone(&self.policy), POLL, world.chance.next());
        let keeper = Keeper::new(lifecycle, at);
        let participant = Participant { keeper, sharing, begun: at };
        self.participants[worker as usize] = Some(participant);
        let answer = at + world.draw(TAKES);
        world.queue.plan(answer, worker);
    }

    fn due(&mut self, at: Micros, worker: u32, world: &mut World) {
        let Some(participant) = &mut self.participants[worker as usize] else { return };
        let sharing = &mut participant.sharing;
        let next = match self.steps.remove(&worker) {
            Some(Next::Answer(step)) => self.answer(at, worker, step, world),
            Some(Next::NoAnswer(step)) => Some(without_answer(at, step, sharing)),
            Some(Next::Fetched(outcome)) => Some(sharing.fetched(moment(at), outcome)),
            Some(Next::Waited) => Some(sharing.waited()),
            None if participant.keeper.wants_one(at) => {
                let step = sharing.begin(moment(at));
                self.answer(at, worker, step, world)
            }
            None => return participant.sleep(at, worker, world),
        };
        if let Some(next) = next {
            self.plan(at, worker, next, world);
        }
    }

    fn end(&mut self, at: Micros, worker: u32, world: &mut World) {
        self.steps.remove(&worker);
        // Its lease ends by itself.
        self.holders.remove(&worker);
        if let Some(participant) = self.participants[worker as usize].take() {
            participant.keeper.end(at, &mut world.figures.without);
        }
    }

    fn quiet_until(&mut self) -> Option<Micros> {
        // Errands that began before the save may still do anything.
        if !(self.steps.is_empty() && self.holders.is_empty()) {
            return None;
        }
        self.quiet_until = self.store.quiet_until()?;
        Some(self.quiet_until)
    }
}

/// What follows from a step that the store didn't answer.
fn without_answer(at: Micros, step: Step, sharing: &mut Sharing) -> Step {
    match step {
        Step::Load => sharing.loaded(moment(at), Err(StoreTrouble)),
        Step::Lease => sharing.leased(moment(at), Err(StoreTrouble)),
        Step::Save { issued, .. } => sharing.saved(moment(at), issued),
        Step::Cool { failure, .. } => sharing.cooled(moment(at), failure),
        nothing_asked @ (Step::Wait(_) | Step::Fetch { .. } | Step::Done(_)) => nothing_asked,
    }
}

// === impl Participant ===

impl Participant {
    /// Until its next errand. That begins with a look into the store, which changes nothing here
    /// before it is answered: both are one event, at the time of the answer.
    fn sleep(&mut self, at: Micros, worker: u32, world: &mut World) {
        if let Some(next) = self.keeper.wakeup(at) {
            self.begun = next;
            let answer = next + world.draw(TAKES);
            world.queue.plan(answer, worker);
        }
    }
}
