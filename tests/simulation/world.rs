//! What all processes of a world have in common: the issuer's and the store's memory, the dice, and
//! what has been seen.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rolekeeper::stores::StoreKey;
use rolekeeper_core::{Fence, Slot};

use crate::{
    calls::Calls,
    dice::Dice,
    machine::{Host, SECOND},
    plan::{Fate, Plan},
    tally::Tally,
};

pub(crate) struct World {
    pub(crate) plan: Plan,
    state: Mutex<State>,
}

pub(crate) struct State {
    pub(crate) dice: Dice,
    /// By the number in their access key ids.
    pub(crate) sessions: Vec<Issue>,
    pub(crate) slots: HashMap<StoreKey, Slot>,
    /// Fences rise from here on: also in a store that has lost all it had they never come again.
    pub(crate) fences_from: u64,
    /// When it lost all it had, the last time.
    pub(crate) forgot_at: Option<i64>,
    /// Who has had leases, from when to when.
    pub(crate) leases: HashMap<(StoreKey, Fence), Granted>,
    /// The last lease of a session.
    pub(crate) last_leases: HashMap<StoreKey, Fence>,
    /// When a process last had trouble with the store.
    pub(crate) troubles: HashMap<usize, i64>,
    /// Of each process that ever was, and each of its roles.
    pub(crate) calls: HashMap<(usize, usize), Calls>,
    /// How long a process' last look into the store took.
    pub(crate) loads: HashMap<(usize, StoreKey), i64>,
    /// What befalls a process after so many steps more, in the middle of what it has begun.
    pub(crate) ambushes: HashMap<usize, (u32, Fate)>,
    pub(crate) tally: Tally,
    history: Option<Vec<String>>,
    broken: Option<String>,
}

/// A lease, from when to when, and whose.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Granted {
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) process: usize,
}

/// A session, as its issuer knows it; times in nanoseconds since the world began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Issue {
    /// When it truly ends.
    pub(crate) ends: i64,
    /// When it was asked for, issued, and there.
    pub(crate) asked: i64,
    pub(crate) issued: i64,
    pub(crate) arrived: i64,
    /// How long it took to be saved in the store, or by how much older it is there, if that is more.
    pub(crate) saving: i64,
}

/// One role in one process.
#[derive(Clone)]
pub(crate) struct Who {
    pub(crate) world: Arc<World>,
    pub(crate) host: Arc<Host>,
    /// Counts up with each that begins: who comes after one that died is another.
    pub(crate) process: usize,
    pub(crate) role: usize,
    /// In the plan.
    pub(crate) place: usize,
}

/// More leases than a store grants before it loses what it has.
const MOST_FENCES: u64 = 1_000_000;

// === impl World ===

impl World {
    pub(crate) fn new(plan: Plan, dice: Dice, tells: bool) -> Self {
        let state = State {
            dice,
            sessions: Vec::new(),
            slots: HashMap::new(),
            fences_from: 0,
            forgot_at: None,
            leases: HashMap::new(),
            last_leases: HashMap::new(),
            troubles: HashMap::new(),
            calls: HashMap::new(),
            loads: HashMap::new(),
            ambushes: HashMap::new(),
            tally: Tally::default(),
            history: tells.then(Vec::new),
            broken: None,
        };
        Self { plan, state: Mutex::new(state) }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    /// Says what happens, in the world's history, if anybody wants to read it.
    pub(crate) fn say(&mut self, truth: i64, process: usize, what: fmt::Arguments<'_>) {
        if let Some(history) = &mut self.history {
            let seconds = truth as f64 / SECOND as f64;
            history.push(format!("{seconds:>14.3} s  process {process}: {what}"));
        }
    }

    /// A promise was broken. The first time is the one that counts.
    pub(crate) fn broke(&mut self, truth: i64, process: usize, what: fmt::Arguments<'_>) {
        self.say(truth, process, format_args!("BROKEN: {what}"));
        let seconds = truth as f64 / SECOND as f64;
        self.broken.get_or_insert_with(|| format!("at {seconds:.3} s, process {process}: {what}"));
    }

    pub(crate) fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    pub(crate) fn take_history(&mut self) -> Vec<String> {
        self.history.take().unwrap_or_default()
    }

    /// The store loses all it has.
    pub(crate) fn forget(&mut self, truth: i64) {
        self.slots.clear();
        self.forgot_at = Some(truth);
        self.fences_from += MOST_FENCES;
        self.tally.add("stores that forgot everything");
    }

    pub(crate) fn calls(&mut self, process: usize, role: usize) -> &mut Calls {
        self.calls.entry((process, role)).or_default()
    }

    /// The session with this access key id.
    pub(crate) fn issue(&mut self, access_key_id: &str) -> Option<&mut Issue> {
        let number = access_key_id.strip_prefix("ASIA")?.parse::<usize>().ok()?;
        self.sessions.get_mut(number)
    }
}

// === impl Who ===

impl Who {
    pub(crate) fn truth(&self) -> i64 {
        self.host.truth()
    }

    pub(crate) fn say(&self, what: fmt::Arguments<'_>) {
        self.world.state().say(self.truth(), self.process, what);
    }

    pub(crate) fn broke(&self, what: fmt::Arguments<'_>) {
        self.world.state().broke(self.truth(), self.process, what);
    }

    pub(crate) fn is_on_demand(&self) -> bool {
        self.world.plan.processes[self.place].is_on_demand()
    }

    /// Now and then something befalls whoever is in the middle of a call.
    pub(crate) fn may_be_ambushed(&self) {
        let mut state = self.world.state();
        if self.truth() < self.world.plan.calm && state.dice.percent(3) {
            let distrusted = self.world.plan.processes[self.place].distrusted;
            let steps = *state.dice.pick(&[0, 1, 2, 3]);
            let fate = Fate::of(&mut state.dice, distrusted, self.world.plan.span);
            let ambush = (steps, fate);
            state.ambushes.entry(self.process).or_insert(ambush);
        }
    }
}

impl fmt::Debug for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "role {} of process {}", self.role, self.process)
    }
}
