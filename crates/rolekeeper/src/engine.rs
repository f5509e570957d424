//! The engine: one lifecycle behind a lock that is held only for a verb's few hundred nanoseconds,
//! and what follows from each verb: the cell is published, waiting readers are woken, events are
//! told.
//!
//! Readers come here only when the cell has nothing for them.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc as StdArc, OnceLock},
};

use rolekeeper_core::{
    Counters, Failure, Issued, Lifecycle, Moment, Read, RefreshMode, RefreshPolicy, Refusal,
    Session, Wake, Wakeup,
};
use tokio::sync::{Notify, broadcast, futures::Notified};

use super::{
    cell::Cell,
    events::Event,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A watcher that is this many events behind loses the oldest.
const EVENTS_KEPT: usize = 64;

pub(crate) struct Engine {
    /// Of the process it works in: a forked child makes its own, and never touches this one's lock.
    pub(crate) pid: u32,
    /// The source's, for the log.
    name: StdArc<str>,
    cell: Arc<Cell>,
    state: Mutex<State>,
    /// Tells those who wait for an attempt that it may have ended.
    progress: Notify,
    /// Tells the refresher that something has changed.
    nudge: Notify,
    /// Made for the first who watches: its room for events is most of what an idle role would
    /// weigh.
    events: OnceLock<broadcast::Sender<Event>>,
    pub(crate) observer: Option<Observer>,
}

/// Who is told of events by whoever makes them happen.
#[derive(Clone)]
pub(crate) struct Observer(Arc<dyn Fn(&Event) + Send + Sync>);

struct State {
    lifecycle: Lifecycle,
    /// The number of the last attempt that has ended.
    ended: u64,
    has_refresher: bool,
    /// The attempt that nobody is at, having just begun or lost its task with a runtime; the next
    /// one at work goes on with it.
    unclaimed: Option<u64>,
    has_lost_runtime: bool,
    is_shut_down: bool,
}

/// What the refresher does next.
pub(crate) enum Task {
    Fetch(u64),
    Sleep(Option<Wakeup>),
    Stop,
}

/// What is known of a session's life, for those who watch it.
pub(crate) struct Facts {
    pub(crate) session: Option<Arc<Session>>,
    pub(crate) is_rejected: bool,
    pub(crate) next_refresh: Option<Moment>,
    pub(crate) trouble: Option<Refusal>,
    pub(crate) counters: Counters,
    pub(crate) is_shut_down: bool,
}

// === impl Engine ===

impl Engine {
    /// Starts from `heirloom`, a session that is in hand or that a parent process held.
    pub(crate) fn new(
        name: StdArc<str>,
        cell: Arc<Cell>,
        policy: StdArc<RefreshPolicy>,
        seed: u64,
        heirloom: Option<(Moment, Arc<Session>)>,
        observer: Option<Observer>,
    ) -> Self {
        let mut lifecycle = Lifecycle::new(policy, seed);
        if let Some((now, session)) = heirloom {
            lifecycle.adopt(now, session);
            // That is how it begins, not what happens.
            while lifecycle.next_event().is_some() {}
        }
        Self {
            pid: std::process::id(),
            name,
            cell,
            state: Mutex::new(State {
                lifecycle,
                ended: 0,
                has_refresher: false,
                unclaimed: None,
                has_lost_runtime: false,
                is_shut_down: false,
            }),
            progress: Notify::new(),
            nudge: Notify::new(),
            events: OnceLock::new(),
            observer,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One verb, and what follows from it; after a shutdown, nothing.
    fn drive<T: Default>(&self, now: Moment, verb: impl FnOnce(&mut Lifecycle) -> T) -> T {
        let mut state = self.lock();
        if state.is_shut_down {
            return T::default();
        }
        let result = verb(&mut state.lifecycle);
        self.tell(now, &mut state);
        result
    }

    /// Under the lock, so that the cell and the events keep the lifecycle's order.
    fn tell(&self, now: Moment, state: &mut State) {
        // With nobody to refresh it, nothing is offered: the next reader comes here and starts
        // another.
        let is_kept = !state.is_shut_down && (state.has_refresher || state.is_on_demand());
        self.cell.publish(if is_kept { state.lifecycle.offer(now) } else { None });
        while let Some(event) = state.lifecycle.next_event() {
            let event = Event::at(now, event, state.lifecycle.held());
            event.log(&self.name);
            if let Some(observer) = &self.observer {
                observer.tell(&event);
            }
            // Nobody listening is no error.
            let _ = self.events.get().map(|events| events.send(event));
        }
    }

    /// What is held is offered from now on, before anything has happened.
    pub(crate) fn show(&self, now: Moment) {
        let mut state = self.lock();
        self.tell(now, &mut state);
    }

    /// What a reader gets for whom the cell had nothing, and who waits if it has to; `None` after a
    /// shutdown. On demand the attempt that it waits for has begun, for somebody to
    /// [`claim`](Self::claim).
    pub(crate) fn read(&self, now: Moment) -> Option<Read> {
        let mut state = self.lock();
        let read = self.look(now, &mut state)?;
        if matches!(read, Read::Wait { .. })
            && state.is_on_demand()
            && let Wake::Fetch { attempt } = state.lifecycle.wake(now)
        {
            // Before anybody else looks: in the advisory window, no other reader waits.
            state.unclaimed = Some(attempt);
            self.tell(now, &mut state);
        }
        Some(read)
    }

    /// The same for one who waits for nobody: on demand it brings nothing about.
    pub(crate) fn glance(&self, now: Moment) -> Option<Read> {
        self.look(now, &mut self.lock())
    }

    fn look(&self, now: Moment, state: &mut State) -> Option<Read> {
        if state.is_shut_down {
            return None;
        }
        let read = state.lifecycle.read(now);
        if matches!(read, Read::Wait { .. }) {
            self.nudge.notify_one();
        } else if state.is_on_demand() {
            // The next readers of this state are served by the cell.
            self.tell(now, state);
        }
        Some(read)
    }

    /// What a reader gets that has waited for `attempt`.
    pub(crate) fn outcome(&self, now: Moment, attempt: u64) -> Option<Read> {
        let mut state = self.lock();
        if state.is_shut_down {
            return None;
        }
        let read = state.lifecycle.outcome(now, attempt);
        if matches!(read, Read::Wait { .. }) {
            self.nudge.notify_one();
        }
        Some(read)
    }

    /// On demand: whether the reader that is about to wait must have a fetch done.
    pub(crate) fn claim(&self, now: Moment) -> Option<u64> {
        let unclaimed = self.lock().unclaimed.take();
        unclaimed.or_else(|| {
            self.drive(now, |lifecycle| match lifecycle.wake(now) {
                Wake::Fetch { attempt } => Some(attempt),
                Wake::Nothing => None,
            })
        })
    }

    /// What the refresher does next, also in the middle of a fetch.
    pub(crate) fn next_task(&self, now: Moment) -> Task {
        let was_read = self.cell.take_touched();
        let mut state = self.lock();
        if state.is_shut_down {
            return Task::Stop;
        }
        if was_read {
            state.lifecycle.seen(now);
        }
        let wake = state.lifecycle.wake(now);
        self.tell(now, &mut state);
        match (state.unclaimed.take(), wake) {
            (Some(attempt), _) | (None, Wake::Fetch { attempt }) => Task::Fetch(attempt),
            (None, Wake::Nothing) => Task::Sleep(state.lifecycle.wakeup()),
        }
    }

    /// Resolves when something has changed that the refresher must know of.
    pub(crate) fn nudged(&self) -> Notified<'_> {
        self.nudge.notified()
    }

    /// The source is asked from now on, after the fetch has waited for its turn.
    pub(crate) fn asked(&self, now: Moment) {
        self.lock().lifecycle.asked(now);
    }

    /// The outcome of `attempt`.
    pub(crate) fn finish(&self, now: Moment, attempt: u64, outcome: Result<Issued, Failure>) {
        self.drive(now, |lifecycle| match outcome {
            Ok(issued) => lifecycle.fetched(now, issued),
            Err(failure) => lifecycle.failed(now, failure),
        });
        {
            let mut state = self.lock();
            // The next attempt may have ended before this line.
            state.ended = state.ended.max(attempt);
        }
        self.progress.notify_waiters();
        self.nudge.notify_one();
    }

    /// Resolves when `attempt` has ended, or everything has; with `false`, when nobody is at work
    /// any more and the caller is to start another.
    pub(crate) async fn has_ended(&self, attempt: u64) -> bool {
        loop {
            // From here on nothing is missed, also while this looks.
            let progress = self.progress.notified();
            {
                let state = self.lock();
                if state.ended >= attempt {
                    return true;
                }
                if state.is_adrift() {
                    return false;
                }
            }
            progress.await;
        }
    }

    /// Asks for a new session whatever the state; returns the attempt that will bring it.
    pub(crate) fn force(&self, now: Moment) -> u64 {
        let attempt = self.drive(now, |lifecycle| {
            lifecycle.refresh_now();
            lifecycle.fetching().unwrap_or(lifecycle.counters().attempts + 1)
        });
        self.nudge.notify_one();
        attempt
    }

    /// A service rejected the session with this key.
    pub(crate) fn rejected(&self, now: Moment, access_key_id: &str) {
        self.drive(now, |lifecycle| lifecycle.rejected(now, access_key_id));
        self.nudge.notify_one();
    }

    /// Takes over a session that somebody else fetched.
    pub(crate) fn adopt(&self, now: Moment, session: Arc<Session>) -> bool {
        let taken = self.drive(now, |lifecycle| lifecycle.adopt(now, session));
        self.nudge.notify_one();
        taken
    }

    pub(crate) fn has_refresher(&self) -> bool {
        let state = self.lock();
        state.has_refresher || state.is_shut_down
    }

    /// Whether the caller is to start the refresher: there is none, and from now on it is the
    /// caller's to run.
    pub(crate) fn claim_refresher(&self) -> bool {
        let mut state = self.lock();
        let claimed = !state.has_refresher && !state.is_shut_down;
        state.has_refresher |= claimed;
        claimed
    }

    /// The refresher, or the task that had `claimed` one attempt, has stopped: done, by a shutdown,
    /// or because its runtime has gone in the middle of things.
    pub(crate) fn stopped(&self, now: Moment, claimed: Option<u64>) {
        let mut state = self.lock();
        if claimed.is_none() {
            state.has_refresher = false;
        }
        let under_way = state.lifecycle.fetching();
        let lost = under_way.filter(|attempt| claimed.is_none_or(|claimed| claimed == *attempt));
        state.unclaimed = lost.or(state.unclaimed);
        state.has_lost_runtime |= !state.is_shut_down && (claimed.is_none() || lost.is_some());
        if state.is_adrift() {
            self.tell(now, &mut state);
            drop(state);
            self.progress.notify_waiters();
        }
    }

    /// Whether the runtime that somebody was at work in has gone.
    pub(crate) fn has_lost_runtime(&self) -> bool {
        self.lock().has_lost_runtime
    }

    /// No refreshing and no session from here on.
    pub(crate) fn shut_down(&self, now: Moment) {
        let mut state = self.lock();
        state.is_shut_down = true;
        let policy = StdArc::clone(state.lifecycle.policy());
        state.lifecycle = Lifecycle::new(policy, 0);
        state.unclaimed = None;
        state.ended = u64::MAX;
        self.tell(now, &mut state);
        drop(state);
        self.progress.notify_waiters();
        self.nudge.notify_one();
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.get_or_init(|| broadcast::Sender::new(EVENTS_KEPT)).subscribe()
    }

    pub(crate) fn facts(&self, now: Moment) -> Facts {
        let state = self.lock();
        let lifecycle = &state.lifecycle;
        Facts {
            session: lifecycle.held().cloned(),
            is_rejected: lifecycle.is_rejected(),
            next_refresh: lifecycle.refresh_at(),
            trouble: lifecycle.trouble(now),
            counters: lifecycle.counters(),
            is_shut_down: state.is_shut_down,
        }
    }
}

// === impl Observer ===

impl Observer {
    pub(crate) fn new(observe: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(observe))
    }

    /// A panic of the observer's is its own.
    fn tell(&self, event: &Event) {
        let _ = catch_unwind(AssertUnwindSafe(|| (self.0)(event)));
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}

// === impl State ===

impl State {
    fn is_on_demand(&self) -> bool {
        self.lifecycle.policy().mode() == RefreshMode::OnDemand
    }

    /// Whether there is work and nobody at it.
    fn is_adrift(&self) -> bool {
        let is_attended =
            if self.is_on_demand() { self.unclaimed.is_none() } else { self.has_refresher };
        !self.is_shut_down && !is_attended
    }
}
