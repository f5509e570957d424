//! One process on a machine of its own: a runtime with its own virtual time, which can be stopped,
//! put to sleep, paused and killed in the middle of anything, as the others go on.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    task::{Poll, Waker},
    time::Duration,
};

use rolekeeper::{Clock, Elapsed, Moment, WallTime, clock::Simulated};
use tokio::{
    runtime::{Builder, Runtime},
    time::Instant,
};

pub(crate) const SECOND: i64 = 1_000_000_000;

/// What a right clock shows when a world begins: 2026-01-01T00:00:00Z.
pub(crate) const EPOCH: i64 = 1_767_225_600 * SECOND;

/// The clocks of one machine, and how they stand to the truth: nanoseconds since the world began.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) clock: Simulated,
    born: i64,
    /// By how much the elapsed clock is behind, since it was paused.
    missed: AtomicI64,
    /// How long the process was stopped: time in which it can't keep any promise.
    stopped: AtomicI64,
    alive: AtomicBool,
}

#[derive(Debug)]
pub(crate) struct Machine {
    runtime: Option<Runtime>,
    probe: Arc<Probe>,
    pub(crate) host: Arc<Host>,
}

/// Ends a step as soon as the runtime's clock has gone on by itself, to the next timer.
#[derive(Debug, Default)]
struct Probe(Mutex<Option<(Instant, Waker)>>);

// === impl Host ===

impl Host {
    /// Nanoseconds since the world began.
    pub(crate) fn truth(&self) -> i64 {
        self.born + self.clock.now().elapsed.as_nanos() + self.missed.load(Ordering::Relaxed)
    }

    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// What its elapsed clock has shown a moment ago.
    pub(crate) fn elapsed_at(&self, truth: i64) -> Elapsed {
        let ago = Duration::from_nanos((self.truth() - truth).max(0).unsigned_abs());
        self.now().elapsed.before(ago)
    }

    /// Time in which this process ran, and could.
    #[expect(clippy::disallowed_methods, reason = "it is the virtual time of a test")]
    pub(crate) fn lived(&self) -> Lived {
        Lived(Instant::now(), self.stopped.load(Ordering::Relaxed))
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Relaxed)
    }

    /// How far its wall clock is ahead of a right one.
    pub(crate) fn wall_ahead(&self) -> i64 {
        self.now().wall.as_unix_nanos() - EPOCH - self.truth()
    }
}

/// A point of a process' own time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lived(Instant, i64);

impl Lived {
    pub(crate) fn since(self, earlier: Self) -> Duration {
        let stopped = Duration::from_nanos((self.1 - earlier.1).unsigned_abs());
        self.0.duration_since(earlier.0).saturating_sub(stopped)
    }
}

// === impl Probe ===

impl Probe {
    /// Called by the runtime after it was idle. Waking is not for free: a runtime that was woken
    /// does not let its clock go on the next time it is idle.
    #[expect(clippy::disallowed_methods, reason = "it is the virtual time of a test")]
    fn look(&self) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.as_ref().is_some_and(|(since, _)| Instant::now() > *since)
            && let Some((_, waker)) = waiting.take()
        {
            waker.wake();
        }
    }
}

// === impl Machine ===

impl Machine {
    /// Begins at `born`, with a wall clock that is `wall_ahead` of a right one.
    pub(crate) fn start(born: i64, wall_ahead: i64) -> Self {
        let probe = Arc::new(Probe::default());
        let at_probe = Arc::clone(&probe);
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .on_thread_unpark(move || at_probe.look())
            .build()
            .expect("a runtime without I/O");
        let inside = runtime.enter();
        let wall = WallTime::from_unix_nanos(EPOCH + born + wall_ahead);
        let host = Host {
            clock: Simulated::starting_at(wall),
            born,
            missed: AtomicI64::new(0),
            stopped: AtomicI64::new(0),
            alive: AtomicBool::new(true),
        };
        drop(inside);
        Self { runtime: Some(runtime), probe, host: Arc::new(host) }
    }

    pub(crate) fn clock(&self) -> Clock {
        Clock::Simulated(self.host.clock.clone())
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("a machine that was not killed")
    }

    /// As if called by the process itself.
    pub(crate) fn inside<T>(&self, call: impl FnOnce() -> T) -> T {
        let _inside = self.runtime().enter();
        call()
    }

    pub(crate) fn truth(&self) -> i64 {
        self.inside(|| self.host.truth())
    }

    /// Does what is to be done now, and goes on to the next instant at which something is, `until` at
    /// the latest; what that is, is left for the next step. So whoever is furthest behind goes first,
    /// and no process sees what another does later.
    #[expect(clippy::disallowed_methods, reason = "it is the virtual time of a test")]
    pub(crate) fn step(&self, until: i64) {
        let room = (until - self.truth()).max(0).unsigned_abs();
        self.runtime().block_on(async {
            let begun = Instant::now();
            // A timer of the runtime's goes by whole milliseconds.
            let mut end = pin!(tokio::time::sleep(Duration::from_nanos(room)));
            poll_fn(|context| {
                if Instant::now() > begun {
                    return Poll::Ready(());
                }
                let waiting = Some((begun, context.waker().clone()));
                *self.probe.0.lock().unwrap_or_else(PoisonError::into_inner) = waiting;
                end.as_mut().poll(context)
            })
            .await;
        });
    }

    /// A reader, apart from the others, for whom all is awaited.
    pub(crate) fn ask<T>(&self, reads: impl Future<Output = T>) -> T {
        self.runtime().block_on(reads)
    }

    /// The machine sleeps: both of its clocks go on, no timer does.
    pub(crate) fn sleep(&self, span: Duration) {
        self.inside(|| self.host.clock.sleep(span));
    }

    /// SIGSTOP, and SIGCONT after `span`: all timers that became due in between fire at once.
    pub(crate) fn stop(&self, span: Duration) {
        self.host.stopped.fetch_add(nanos(span), Ordering::Relaxed);
        self.runtime().block_on(async {
            // At its first poll the clock goes on; what follows is for the next step.
            let mut advance = pin!(tokio::time::advance(span));
            poll_fn(|context| Poll::Ready(advance.as_mut().poll(context).is_ready())).await;
        });
    }

    /// Somebody sets the wall clock.
    pub(crate) fn step_wall(&self, seconds: i64) {
        self.inside(|| self.host.clock.step_wall(seconds));
    }

    /// A virtual machine is paused: its elapsed clock misses that, its wall clock is set right.
    pub(crate) fn pause(&self, seconds: i64) {
        self.host.missed.fetch_add(seconds * SECOND, Ordering::Relaxed);
        self.step_wall(seconds);
    }

    /// `kill -9`: nobody hears anything of it any more; what it has of `belongings` goes with it.
    pub(crate) fn kill<T>(&mut self, belongings: T) {
        self.host.alive.store(false, Ordering::Relaxed);
        let Some(runtime) = self.runtime.take() else { return };
        {
            let _inside = runtime.enter();
            drop(belongings);
        }
        runtime.shutdown_background();
    }
}

pub(crate) fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}
