//! Readers that read about every millisecond, and what they felt.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::{contenders::Reader, measure::monotonic};

/// Between two reads of one reader.
const PAUSE: Duration = Duration::from_millis(1);

/// Whoever waits this long has waited for the source, not for a CPU.
pub(crate) const STALL: Duration = Duration::from_millis(50);

/// Nobody is waited for longer; such a read counts as failed.
const LONGEST: Duration = Duration::from_secs(30);

/// A plot shows the worst read of each of these.
const SLICE: f64 = 0.02;

/// What the readers felt.
#[derive(Default)]
pub(crate) struct Felt {
    pub(crate) stalled: usize,
    /// When each began, how long it took, both in seconds, and whether it gave credentials.
    reads: Vec<(f64, f64, bool)>,
}

/// `readers` tasks read for `length`.
pub(crate) async fn watch(reader: &Reader, readers: usize, length: Duration) -> Felt {
    let begin = monotonic();
    let tasks: Vec<_> = (0..readers)
        .map(|_| {
            let reader = reader.clone();
            tokio::spawn(async move {
                let mut reads = Vec::new();
                loop {
                    let before = monotonic();
                    if before - begin >= length {
                        return reads;
                    }
                    let served = timeout(LONGEST, reader.read()).await.unwrap_or(false);
                    let took = monotonic() - before;
                    reads.push(((before - begin).as_secs_f64(), took.as_secs_f64(), served));
                    sleep(PAUSE).await;
                }
            })
        })
        .collect();
    let mut felt = Felt::default();
    for task in tasks {
        let reads = task.await.expect("it only reads");
        felt.stalled += usize::from(reads.iter().any(|(_, took, _)| *took >= STALL.as_secs_f64()));
        felt.reads.extend(reads);
    }
    felt.reads.sort_by(|a, b| a.0.total_cmp(&b.0));
    felt
}

// === impl Felt ===

impl Felt {
    /// How many were over by then, and gave credentials.
    pub(crate) fn served_within(&self, time: Duration) -> usize {
        let over = |at: f64, took: f64| at + took < time.as_secs_f64();
        self.reads.iter().filter(|(at, took, served)| *served && over(*at, *took)).count()
    }

    pub(crate) fn failed(&self) -> usize {
        self.reads.iter().filter(|(_, _, served)| !served).count()
    }

    /// In milliseconds.
    pub(crate) fn worst(&self) -> f64 {
        self.reads.iter().map(|(_, took, _)| took * 1e3).fold(0.0, f64::max)
    }

    /// The worst read of each slice of time, those that failed apart.
    pub(crate) fn points(&self) -> Vec<(f64, f64, u8)> {
        let mut points: Vec<(f64, f64, u8)> = Vec::new();
        for served in [true, false] {
            let mut slice = f64::NEG_INFINITY;
            for (at, took, _) in self.reads.iter().filter(|read| read.2 == served) {
                let this = (at / SLICE).floor();
                if this > slice {
                    slice = this;
                    points.push((*at, took * 1e3, u8::from(served)));
                } else if let Some(last) = points.last_mut()
                    && took * 1e3 > last.1
                {
                    *last = (*at, took * 1e3, u8::from(served));
                }
            }
        }
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points
    }
}
