//! How fetches go: what came back, and how long it took.

use std::{
    array,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rolekeeper::{
    Clock, Elapsed, FailureKind, Source,
    sources::{Fetch, KeyOf},
};

use super::exposition::Exposition;

/// Every kind of failure, in the order of their counts.
pub(super) const KINDS: [FailureKind; 5] = [
    FailureKind::Unavailable,
    FailureKind::Denied,
    FailureKind::NeedsPerson,
    FailureKind::Misconfigured,
    FailureKind::BadAnswer,
];

/// STS answers in 50 to 500 ms; a fetch is given up after 10 s, or later if it asks a person.
const BUCKETS: [(&str, Duration); 9] = [
    ("0.05", Duration::from_millis(50)),
    ("0.1", Duration::from_millis(100)),
    ("0.25", Duration::from_millis(250)),
    ("0.5", Duration::from_millis(500)),
    ("1", Duration::from_secs(1)),
    ("2.5", Duration::from_millis(2500)),
    ("5", Duration::from_secs(5)),
    ("10", Duration::from_secs(10)),
    ("30", Duration::from_secs(30)),
];

/// How one role's fetches have gone.
#[derive(Debug)]
pub struct Fetches {
    ok: AtomicU64,
    failed: [AtomicU64; KINDS.len()],
    times: Arc<FetchTimes>,
}

/// How long fetches took, of all roles that share it.
#[derive(Debug, Default)]
pub struct FetchTimes {
    /// Each bucket by itself; the last is of those that took longer.
    buckets: [AtomicU64; BUCKETS.len() + 1],
    nanos: AtomicU64,
}

/// A source whose fetches are counted.
#[derive(Debug)]
pub struct Measured {
    source: Arc<dyn Source>,
    fetches: Arc<Fetches>,
}

/// A fetch that is under way; one that is dropped was given up for the time it took.
struct UnderWay<'a> {
    fetches: &'a Fetches,
    since: Elapsed,
    outcome: Result<(), FailureKind>,
}

// === impl Fetches ===

impl Fetches {
    /// None so far.
    pub fn new(times: Arc<FetchTimes>) -> Self {
        let (ok, failed) = Default::default();
        Self { ok, failed, times }
    }

    /// Those that brought a session.
    pub fn ok(&self) -> u64 {
        self.ok.load(Ordering::Relaxed)
    }

    /// Those that failed for this cause.
    pub fn failed(&self, kind: FailureKind) -> u64 {
        self.failed[index(kind)].load(Ordering::Relaxed)
    }

    pub(super) fn times(&self) -> &Arc<FetchTimes> {
        &self.times
    }
}

/// As in [`KINDS`].
fn index(kind: FailureKind) -> usize {
    match kind {
        FailureKind::Unavailable => 0,
        FailureKind::Denied => 1,
        FailureKind::NeedsPerson => 2,
        FailureKind::Misconfigured => 3,
        FailureKind::BadAnswer => 4,
    }
}

// === impl FetchTimes ===

impl FetchTimes {
    fn add(&self, took: Duration) {
        let bucket = BUCKETS.iter().position(|(_, most)| took <= *most).unwrap_or(BUCKETS.len());
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Each bucket with all that are below it, as Prometheus has them.
    pub(super) fn write(&self, out: &mut Exposition) {
        let nanos = self.nanos.load(Ordering::Relaxed);
        let each: [u64; BUCKETS.len() + 1] =
            array::from_fn(|nth| self.buckets[nth].load(Ordering::Relaxed));
        let mut all = 0;
        for (count, label) in
            each.iter().zip(BUCKETS.map(|(label, _)| label).into_iter().chain(["+Inf"]))
        {
            all += count;
            out.sample("_bucket", &[("le", label)], all);
        }
        out.sample("_sum", &[], Duration::from_nanos(nanos).as_secs_f64());
        out.sample("_count", &[], all);
    }
}

// === impl Measured ===

impl Measured {
    /// Counts those of `source` in `fetches`, which the [`Role`](crate::Role) is to be told of.
    pub fn new(source: Arc<dyn Source>, fetches: Arc<Fetches>) -> Self {
        Self { source, fetches }
    }
}

impl Source for Measured {
    fn fetch(&self) -> Fetch<'_> {
        Box::pin(async {
            let since = Clock::System.now().elapsed;
            let outcome = Err(FailureKind::Unavailable);
            let mut under_way = UnderWay { fetches: &self.fetches, since, outcome };
            let fetched = self.source.fetch().await;
            under_way.outcome = fetched.as_ref().map(|_| ()).map_err(|failure| failure.kind);
            fetched
        })
    }

    fn name(&self) -> String {
        self.source.name()
    }

    fn account(&self) -> Option<String> {
        self.source.account()
    }

    fn keeps_fresh(&self) -> bool {
        self.source.keeps_fresh()
    }

    fn refused(&self, access_key_id: &str) {
        self.source.refused(access_key_id);
    }

    fn store_key(&self) -> KeyOf<'_> {
        self.source.store_key()
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let counter = match self.outcome {
            Ok(()) => &self.fetches.ok,
            Err(kind) => &self.fetches.failed[index(kind)],
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.fetches.times.add(Clock::System.now().elapsed.since(self.since));
    }
}

#[cfg(test)]
mod tests {
    use rolekeeper::{Failure, Issued, sources::Callback};

    use super::*;

    #[test]
    fn each_count_belongs_to_its_kind() {
        for (nth, kind) in KINDS.into_iter().enumerate() {
            assert_eq!(index(kind), nth);
        }
    }

    #[test]
    fn buckets_are_told_as_prometheus_reads_them() {
        let times = FetchTimes::default();
        for millis in [50, 51, 700, 60_000] {
            times.add(Duration::from_millis(millis));
        }
        let mut out = Exposition::with_room_for(0);
        times.write(&mut out);
        let text = out.finish();
        for line in [
            "_bucket{le=\"0.05\"} 1",
            "_bucket{le=\"0.1\"} 2",
            "_bucket{le=\"0.5\"} 2",
            "_bucket{le=\"1\"} 3",
            "_bucket{le=\"30\"} 3",
            "_bucket{le=\"+Inf\"} 4",
            "_sum 60.801",
            "_count 4",
        ] {
            assert!(text.lines().any(|have| have == line), "{line} is not in\n{text}");
        }
    }

    #[tokio::test]
    async fn a_fetch_that_fails_or_is_given_up_is_counted_by_its_cause() {
        let source = Callback::new("a test's", || async { Err(Failure::denied("no")) });
        let fetches = Arc::new(Fetches::new(Arc::default()));
        let measured = Measured::new(Arc::new(source), Arc::clone(&fetches));
        assert!(measured.fetch().await.is_err());
        assert_eq!(fetches.failed(FailureKind::Denied), 1);

        let never = Callback::new("a test's", std::future::pending::<Result<Issued, Failure>>);
        let measured = Measured::new(Arc::new(never), Arc::clone(&fetches));
        let given_up = tokio::time::timeout(Duration::from_millis(1), measured.fetch()).await;
        assert!(given_up.is_err());
        assert_eq!(fetches.failed(FailureKind::Unavailable), 1);
        assert_eq!(fetches.ok(), 0);
    }
}
