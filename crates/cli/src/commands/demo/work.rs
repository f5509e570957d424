//! The readers of one side: each takes credentials, signs a call, and looks at the answer.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use rolekeeper::{Clock, RefreshableCredentials, Session};
use rolekeeper_sandbox::Running;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::bucket_list::{Answer, BucketList};

/// Between two calls of one reader.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) struct Side {
    service: BucketList,
    credentials: Credentials,
    clock: Clock,
    served: AtomicU64,
    repeated: AtomicU64,
    failed: AtomicU64,
    /// How long each reader waited for credentials, in nanoseconds.
    waits: Mutex<Vec<u64>>,
}

enum Credentials {
    Refreshed(RefreshableCredentials),
    Once(Arc<Session>),
}

pub(super) struct Workers {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

// === impl Side ===

impl Side {
    pub(super) fn refreshed(sandbox: &Running, credentials: RefreshableCredentials) -> Self {
        Self::new(sandbox, Credentials::Refreshed(credentials))
    }

    pub(super) fn fetched_once(sandbox: &Running, session: Arc<Session>) -> Self {
        Self::new(sandbox, Credentials::Once(session))
    }

    fn new(sandbox: &Running, credentials: Credentials) -> Self {
        Self {
            service: BucketList::at(sandbox),
            credentials,
            clock: Clock::default(),
            served: AtomicU64::new(0),
            repeated: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            waits: Mutex::default(),
        }
    }

    /// One reader's whole life.
    async fn read(&self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            if self.call().await {
                self.served.fetch_add(1, Ordering::Relaxed);
            } else {
                self.failed.fetch_add(1, Ordering::Relaxed);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// One call, and if the service rejects the session, once more with a newer one: what a program
    /// does that wants to outlive a revocation.
    async fn call(&self) -> bool {
        let Some(session) = self.take().await else { return false };
        match (self.service.ask(&session).await, &self.credentials) {
            (Answer::Served, _) => true,
            (Answer::Rejected, Credentials::Refreshed(credentials)) => {
                credentials.rejected(session.access_key_id());
                let Some(newer) = self.take().await else { return false };
                let served = matches!(self.service.ask(&newer).await, Answer::Served);
                self.repeated.fetch_add(u64::from(served), Ordering::Relaxed);
                served
            }
            (Answer::Rejected | Answer::Failed, _) => false,
        }
    }

    async fn take(&self) -> Option<Arc<Session>> {
        let before = self.clock.now().elapsed;
        let session = match &self.credentials {
            Credentials::Refreshed(credentials) => {
                credentials.get().await.ok().map(|current| current.share())
            }
            Credentials::Once(session) => Some(Arc::clone(session)),
        };
        let waited = self.clock.now().elapsed.since(before);
        self.waits().push(u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX));
        session
    }

    fn waits(&self) -> std::sync::MutexGuard<'_, Vec<u64>> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    pub(super) fn repeated(&self) -> u64 {
        self.repeated.load(Ordering::Relaxed)
    }

    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    pub(super) fn median_wait(&self) -> String {
        let mut waits = self.waits().clone();
        waits.sort_unstable();
        told(waits.get(waits.len() / 2).copied())
    }

    pub(super) fn longest_wait(&self) -> String {
        told(self.waits().iter().max().copied())
    }

    /// The session that it works with, for the display.
    pub(super) fn session(&self) -> Option<Arc<Session>> {
        match &self.credentials {
            Credentials::Refreshed(credentials) => {
                credentials.current().map(|current| current.share())
            }
            Credentials::Once(session) => Some(Arc::clone(session)),
        }
    }

    pub(super) fn summary(&self, sts_calls: u64) -> Value {
        json!({
            "served": self.served(),
            "repeated_after_revocation": self.repeated(),
            "failed": self.failed(),
            "longest_wait_ns": self.waits().iter().max(),
            "assume_role_calls": sts_calls,
        })
    }
}

fn told(nanos: Option<u64>) -> String {
    match nanos {
        None => "-".into(),
        Some(nanos) if nanos < 1_000_000 => format!("{:.1} µs", nanos as f64 / 1e3),
        Some(nanos) => format!("{:.1} ms", nanos as f64 / 1e6),
    }
}

pub(super) fn start(side: &Arc<Side>, readers: u16) -> Workers {
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for _ in 0..readers {
        let (side, stop) = (Arc::clone(side), Arc::clone(&stop));
        tasks.spawn(async move { side.read(&stop).await });
    }
    Workers { stop, tasks }
}

impl Workers {
    /// Lets calls under way come to their end.
    pub(super) async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.tasks.join_all().await;
    }
}
