//! The time of one run. It moves on to the end of the sleep that ends first, a few turns of the others
//! after that began; and a story may have more of it pass.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    sync::{Arc, Mutex as StdMutex},
    time::Duration,
};

use rolekeeper_core::Moment;
use shuttle::{
    future::{JoinHandle, yield_now},
    sync::{
        Mutex,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
};

/// All of a run's: shuttle's tasks share one thread, on which runs follow each other.
struct Run {
    now: AtomicI64,
    /// Whoever sleeps longer is woken by somebody or never.
    longest_sleep: AtomicI64,
    /// Refreshers, and tasks for one fetch.
    workers: AtomicUsize,
    ushers: Mutex<Vec<JoinHandle<()>>>,
    /// When sleeps end. No part of the models: nobody gets a turn while it is locked.
    alarms: StdMutex<BTreeSet<(i64, usize)>>,
    sleeps: AtomicUsize,
}

/// A sleep's end, and which one it is.
struct Alarm {
    run: Arc<Run>,
    at: (i64, usize),
}

std::thread_local! {
    static RUN: RefCell<Option<Arc<Run>>> = const { RefCell::new(None) };
}

/// The clock of everybody here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock;

/// Somebody who is at work, as long as it lives.
pub(super) struct Worker(Arc<Run>);

/// Longer than any backoff or time limit.
const LONG: Duration = Duration::from_secs(60);

/// So many turns of the others each sleep takes at least.
const TURNS: usize = 3;

fn run() -> Arc<Run> {
    RUN.with(|run| run.borrow().clone()).unwrap()
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// A run begins.
pub(super) fn begin() {
    let new = Run {
        now: AtomicI64::new(0),
        longest_sleep: AtomicI64::new(i64::MAX),
        workers: AtomicUsize::new(0),
        ushers: Mutex::new(Vec::new()),
        alarms: StdMutex::default(),
        sleeps: AtomicUsize::new(0),
    };
    RUN.set(Some(Arc::new(new)));
}

/// It ends: nobody is at work any more, or this waits for ever, which shuttle notices.
pub(super) async fn end() {
    while run().workers.load(Ordering::SeqCst) > 0 {
        yield_now().await;
    }
    for usher in lose_ushers() {
        // Aborted ones are no concern.
        let _ = usher.await;
    }
    RUN.take();
}

/// Whoever sleeps for minutes is woken by somebody or never.
pub(super) fn let_time_stand_still() {
    run().longest_sleep.store(nanos(LONG), Ordering::SeqCst);
}

/// Whoever sleeps is woken by somebody or never.
pub(super) fn stop_time() {
    run().longest_sleep.store(0, Ordering::SeqCst);
}

pub(super) fn now() -> Moment {
    let run = run().now.load(Ordering::SeqCst).unsigned_abs();
    Moment::default().after(Duration::from_nanos(run))
}

/// Time passes, whoever sleeps meanwhile, as if the machine had slept.
pub(super) async fn pass(duration: Duration) {
    let end = now().after(duration).elapsed;
    for _ in 0..TURNS {
        yield_now().await;
    }
    run().now.fetch_max(end.as_nanos(), Ordering::SeqCst);
}

pub(crate) async fn sleep(duration: Duration) {
    if nanos(duration) > run().longest_sleep.load(Ordering::SeqCst) {
        return std::future::pending().await;
    }
    let alarm = Alarm::after(duration);
    let mut turns = 0;
    while !alarm.rings(turns) {
        yield_now().await;
        turns += 1;
    }
}

/// Whoever lets others go, one after the other, runs until a runtime is lost.
pub(crate) fn spawn(usher: impl Future<Output = ()> + Send + 'static) {
    let usher = shuttle::future::spawn(usher);
    run().ushers.lock().unwrap().push(usher);
}

/// They go, wherever they are.
pub(super) fn lose_ushers() -> Vec<JoinHandle<()>> {
    let ushers: Vec<_> = run().ushers.lock().unwrap().drain(..).collect();
    ushers.iter().for_each(JoinHandle::abort);
    ushers
}

// === impl Clock ===

impl Clock {
    pub(crate) fn now(&self) -> Moment {
        now()
    }
}

// === impl Alarm ===

impl Alarm {
    fn after(duration: Duration) -> Self {
        let run = run();
        let end = run.now.load(Ordering::SeqCst).saturating_add(nanos(duration));
        let at = (end, run.sleeps.fetch_add(1, Ordering::SeqCst));
        run.alarms.lock().unwrap().insert(at);
        Self { run, at }
    }

    /// It is time; or it is the next one, and has been waited for long enough.
    fn rings(&self, turns: usize) -> bool {
        let Run { now, alarms, .. } = &*self.run;
        if now.load(Ordering::SeqCst) >= self.at.0 {
            return true;
        }
        let is_next = alarms.lock().unwrap().first() == Some(&self.at);
        if is_next && turns >= TURNS {
            now.fetch_max(self.at.0, Ordering::SeqCst);
            return true;
        }
        false
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.run.alarms.lock().unwrap().remove(&self.at);
    }
}

// === impl Worker ===

impl Worker {
    pub(super) fn begins() -> Self {
        let run = run();
        run.workers.fetch_add(1, Ordering::SeqCst);
        Self(run)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.workers.fetch_sub(1, Ordering::SeqCst);
    }
}
