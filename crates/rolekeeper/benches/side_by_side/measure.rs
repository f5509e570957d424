//! Taking turns, and what comes out of it.

use std::{sync::Barrier, thread, time::Duration};

use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Handle;

/// Long enough that reading the CPU clock (a system call) is nothing, short enough that a round's
/// contenders meet the same machine.
const BATCH: Duration = Duration::from_millis(2);

/// One of those who take turns.
pub(crate) struct Contender<'a> {
    spin: Box<dyn Fn(u32) + Send + Sync + 'a>,
}

/// CPU nanoseconds a call: for each contender, one figure a round.
pub(crate) struct Race(Vec<Vec<f64>>);

// === impl Contender ===

impl<'a> Contender<'a> {
    /// `call` is one call, and drops what it got.
    pub(crate) fn new(call: impl Fn() + Send + Sync + 'a) -> Self {
        let spin = move |calls| {
            for _ in 0..calls {
                call();
            }
        };
        Self { spin: Box::new(spin) }
    }

    /// CPU nanoseconds a call.
    fn batch(&self, calls: u32) -> f64 {
        let before = thread_cpu();
        (self.spin)(calls);
        (thread_cpu() - before).as_nanos() as f64 / f64::from(calls)
    }

    /// How many calls fill a batch.
    fn calls(&self) -> u32 {
        self.batch(1_000);
        let nanos = self.batch(10_000).max(0.1);
        (BATCH.as_nanos() as f64 / nanos) as u32 + 1
    }
}

// === impl Race ===

impl Race {
    /// Inside the runtime of `handle`, which the SDK's cache needs.
    pub(crate) fn run(
        contenders: &[Contender<'_>],
        threads: usize,
        rounds: usize,
        handle: &Handle,
    ) -> Self {
        let calls: Vec<u32> = {
            let _inside = handle.enter();
            contenders.iter().map(Contender::calls).collect()
        };
        let barrier = Barrier::new(threads);
        let race = || {
            let _inside = handle.enter();
            let mut figures = vec![Vec::with_capacity(rounds); contenders.len()];
            for _ in 0..rounds {
                for ((contender, calls), figures) in contenders.iter().zip(&calls).zip(&mut figures)
                {
                    barrier.wait();
                    figures.push(contender.batch(*calls));
                }
            }
            figures
        };
        let all: Vec<Vec<Vec<f64>>> = thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(race)).collect();
            running.into_iter().map(|thread| thread.join().expect("it only measures")).collect()
        });
        // All threads of a round made the same number of calls, so their mean is the round's
        // figure.
        let mean = |contender: usize, round: usize| {
            all.iter().map(|thread| thread[contender][round]).sum::<f64>() / threads as f64
        };
        let figures = |contender| (0..rounds).map(|round| mean(contender, round)).collect();
        Self((0..contenders.len()).map(figures).collect())
    }

    pub(crate) fn figures(&self, contender: usize) -> &[f64] {
        &self.0[contender]
    }

    pub(crate) fn median(&self, contender: usize) -> f64 {
        median(self.figures(contender).iter().copied())
    }

    /// How many times `a` is of `b`, round by round.
    pub(crate) fn ratio(&self, a: usize, b: usize) -> f64 {
        median(self.figures(a).iter().zip(self.figures(b)).map(|(a, b)| a / b))
    }
}

pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    quantile(&sorted(figures), 0.5)
}

pub(crate) fn sorted(figures: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut all: Vec<f64> = figures.into_iter().collect();
    all.sort_by(f64::total_cmp);
    all
}

/// Of figures in ascending order.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
}

fn clock(id: ClockId) -> Duration {
    let time = clock_gettime(id);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn thread_cpu() -> Duration {
    clock(ClockId::ThreadCPUTime)
}

/// Of all threads, in the program and in the kernel.
pub(crate) fn process_cpu() -> Duration {
    clock(ClockId::ProcessCPUTime)
}

pub(crate) fn monotonic() -> Duration {
    clock(ClockId::Monotonic)
}
