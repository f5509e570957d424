//! One thread a process that looks at both clocks once a second: it notices steps and sleeps for
//! all refreshers, whose own timers stand still while the machine sleeps, and keeps the readers'
//! fast lane open.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use arc_swap::ArcSwapWeak;
use rolekeeper_core::Moment;
use tokio::sync::{Notify, futures::Notified};

use super::{LANE, system};

/// How often the watch looks: a step is noticed within this time.
const BEAT: Duration = Duration::from_secs(1);

/// The clocks have not kept step if they differ by more than this between two looks; slewing by
/// `adjtime` stays far below.
const STEP_NANOS: u64 = 250_000_000;

/// A stack for a loop that calls nothing deep.
const STACK_BYTES: usize = 64 * 1024;

/// Where steps are told. Holding one keeps the watch going.
#[derive(Clone, Debug)]
pub(crate) struct Steps(Arc<Watch>);

#[derive(Debug)]
pub(super) struct Watch {
    /// Threads do not survive a `fork`: the child needs a watch of its own.
    pid: u32,
    steps: AtomicU64,
    /// There was one more.
    told: Notify,
}

static CURRENT: std::sync::LazyLock<ArcSwapWeak<Watch>> =
    std::sync::LazyLock::new(|| ArcSwapWeak::new(Weak::new()));

// === impl Steps ===

impl Steps {
    /// Of a clock that nobody watches: there are those that somebody [tells](Self::tell) of.
    pub(crate) fn unwatched() -> Self {
        Self(Arc::new(Watch::new()))
    }

    /// There was one more.
    pub(super) fn tell(&self) {
        self.0.tell();
    }

    /// Resolves at the next one, counted from this call.
    pub(crate) fn next(&self) -> Notified<'_> {
        self.0.told.notified()
    }

    /// How many there were.
    pub(crate) fn count(&self) -> u64 {
        self.0.steps.load(Ordering::Acquire)
    }
}

// === impl Watch ===

impl Watch {
    fn new() -> Self {
        Self { pid: std::process::id(), steps: AtomicU64::new(0), told: Notify::new() }
    }

    fn tell(&self) {
        self.steps.fetch_add(1, Ordering::AcqRel);
        self.told.notify_waiters();
    }

    /// Joins the watch of this process, starting it if it doesn't run. Takes no lock, so that it
    /// works in a child that was forked at any moment.
    pub(super) fn of_process() -> Steps {
        let pid = std::process::id();
        loop {
            let found = CURRENT.load();
            if let Some(watch) = found.upgrade().filter(|watch| watch.pid == pid) {
                return Steps(watch);
            }
            let watch = Arc::new(Self::new());
            let seen = CURRENT.compare_and_swap(&*found, Arc::downgrade(&watch));
            if !Weak::ptr_eq(&seen, &found) {
                continue; // Somebody else was faster.
            }
            let weak = Arc::downgrade(&watch);
            let started = thread::Builder::new()
                .name("rolekeeper-clock".into())
                .stack_size(STACK_BYTES)
                .spawn(move || keep(&weak));
            if let Err(error) = started {
                // Readers then ask both clocks, and steps are noticed at the next wake-up.
                tracing::warn!(%error, "cannot start the thread that watches the clocks");
            }
            return Steps(watch);
        }
    }
}

fn keep(watch: &Weak<Watch>) {
    let mut last = system::now();
    while let Some(watch) = watch.upgrade() {
        let now = system::now();
        LANE.open(now);
        if stepped(last, now) {
            watch.tell();
        }
        last = now;
        drop(watch);
        thread::sleep(BEAT);
    }
}

/// Whether between two looks the clocks disagree, or more time passed than a beat can take: then
/// the machine, or this process, stood still.
fn stepped(last: Moment, now: Moment) -> bool {
    let elapsed = now.elapsed.as_nanos().wrapping_sub(last.elapsed.as_nanos());
    let wall = now.wall.as_unix_nanos().wrapping_sub(last.wall.as_unix_nanos());
    wall.abs_diff(elapsed) > STEP_NANOS || now.elapsed.since(last.elapsed) > 2 * BEAT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_either_clock_and_a_sleep_are_noticed() {
        let last = Moment::default().after(Duration::from_secs(1000));
        let later = last.after(BEAT);
        let hour = Duration::from_secs(3600);
        assert!(!stepped(last, later));
        assert!(stepped(last, last.after(hour)), "the machine slept");
        assert!(stepped(last, Moment { wall: later.wall.after(hour), ..later }), "stepped on");
        assert!(stepped(last, Moment { wall: later.wall.before(hour), ..later }), "stepped back");
    }

    #[test]
    fn all_who_watch_share_one_thread() {
        let first = Watch::of_process();
        let second = Watch::of_process();
        assert!(Arc::ptr_eq(&first.0, &second.0));
    }
}
