//! In the place of the library's `refreshable.rs`: handles, and whoever is at work for them, in a
//! world where a sleep is a few turns of the others.

use std::{future::Future, sync::Arc, time::Duration};

use rolekeeper::{Source, stores::SessionStore};
use rolekeeper_core::{Failure, Issued, Moment, Read, RefreshMode, RefreshPolicy, Session};
use shuttle::{
    future::{JoinHandle, spawn, yield_now},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{
    cell::Cell,
    engine::Engine,
    pace::Pace,
    refresher::{self, World},
    stores::Shared,
    time::{self, Clock, Worker},
};

/// Clones share the same session; with the last one, everything ends.
#[derive(Clone)]
pub(crate) struct RefreshableCredentials(Arc<Inner>);

struct Inner {
    source: Arc<dyn Source>,
    policy: Arc<RefreshPolicy>,
    cell: Arc<Cell>,
    engine: Arc<Engine>,
    pace: Option<Arc<Pace>>,
    at_work: Mutex<Vec<JoinHandle<()>>>,
    /// Readers that wait for a fetch, now and at most.
    waiting: AtomicUsize,
    most_waiting: AtomicUsize,
}

pub(crate) struct Builder {
    source: Arc<dyn Source>,
    policy: Arc<RefreshPolicy>,
    pace: Option<Arc<Pace>>,
    store: Option<Arc<dyn SessionStore>>,
    seed: u64,
}

struct ModelWorld {
    source: Arc<dyn Source>,
    engine: Arc<Engine>,
    pace: Option<Arc<Pace>>,
    attempt_timeout: Duration,
    _worker: Worker,
}

// === impl Builder ===

impl Builder {
    pub(crate) fn shared(source: Arc<dyn Source>) -> Self {
        Self { source, policy: Arc::default(), pace: None, store: None, seed: 7 }
    }

    pub(crate) fn policy(mut self, policy: Arc<RefreshPolicy>) -> Self {
        self.policy = policy;
        self
    }

    /// There is but one.
    pub(crate) fn clock(self, _: Clock) -> Self {
        self
    }

    pub(crate) fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    pub(crate) fn pace(mut self, pace: Arc<Pace>) -> Self {
        self.pace = Some(pace);
        self
    }

    pub(crate) fn store(mut self, store: Arc<dyn SessionStore>) -> Self {
        self.store = Some(store);
        self
    }

    pub(crate) fn build(self) -> RefreshableCredentials {
        let Self { source, policy, pace, store, seed } = self;
        let name = source.name().into();
        let source: Arc<dyn Source> = match store {
            Some(store) => Arc::new(Shared::new(source, store, Arc::clone(&policy), Clock, seed)),
            None => source,
        };
        let cell = Arc::new(Cell::new(true));
        let engine = Engine::new(name, Arc::clone(&cell), Arc::clone(&policy), seed, None, None);
        let credentials = RefreshableCredentials(Arc::new(Inner {
            source,
            policy,
            cell,
            engine: Arc::new(engine),
            pace,
            at_work: Mutex::new(Vec::new()),
            waiting: AtomicUsize::new(0),
            most_waiting: AtomicUsize::new(0),
        }));
        credentials.start_refresher();
        credentials
    }
}

// === impl RefreshableCredentials ===

impl RefreshableCredentials {
    /// As `get` without a deadline; `None`: there was none to be had.
    pub(super) async fn read(&self) -> Option<Arc<Session>> {
        let Inner { cell, engine, .. } = &*self.0;
        let asked_at = time::now();
        if let Some(current) = cell.take(time::now) {
            self.check(&current, asked_at);
            return Some(current.share());
        }
        let mut read = engine.read(time::now());
        loop {
            match read {
                Some(Read::Serve(session)) => {
                    self.check(&session, asked_at);
                    self.start_refresher();
                    return Some(session);
                }
                Some(Read::Refuse(_)) | None => return None,
                Some(Read::Wait { attempt }) => {
                    self.have_fetched();
                    let waiting = self.0.waiting.fetch_add(1, Ordering::SeqCst) + 1;
                    self.0.most_waiting.fetch_max(waiting, Ordering::SeqCst);
                    engine.has_ended(attempt).await;
                    self.0.waiting.fetch_sub(1, Ordering::SeqCst);
                    read = engine.outcome(time::now(), attempt);
                }
            }
        }
    }

    pub(super) async fn refresh_now(&self) {
        let engine = &self.0.engine;
        let attempt = engine.force(time::now());
        self.have_fetched();
        while !engine.has_ended(attempt).await {
            self.have_fetched();
        }
    }

    pub(super) fn rejected(&self, access_key_id: &str) {
        self.0.source.refused(access_key_id);
        self.0.engine.rejected(time::now(), access_key_id);
    }

    pub(super) fn held(&self) -> Option<Arc<Session>> {
        self.0.engine.facts(time::now()).session
    }

    pub(super) fn policy(&self) -> &RefreshPolicy {
        &self.0.policy
    }

    /// How many readers have waited for a fetch at the same time.
    pub(super) fn most_waiting(&self) -> usize {
        self.0.most_waiting.load(Ordering::SeqCst)
    }

    /// Whoever is at work is dropped, wherever it is.
    pub(super) fn lose_a_runtime(&self) {
        for task in self.0.at_work.lock().unwrap().drain(..) {
            task.abort();
        }
    }

    /// After this nobody is at work, and nothing is held or offered.
    pub(super) async fn end(&self) {
        let Inner { engine, cell, at_work, .. } = &*self.0;
        engine.shut_down(time::now());
        let tasks: Vec<_> = at_work.lock().unwrap().drain(..).collect();
        for task in tasks {
            // Aborted ones are no concern.
            let _ = task.await;
        }
        assert!(cell.peek().is_none());
        assert!(self.held().is_none());
        assert!(self.read().await.is_none());
    }

    fn check(&self, session: &Session, asked_at: Moment) {
        let serves_expired = *self.0.policy == RefreshPolicy::sdk_standard();
        assert!(serves_expired || session.is_valid(asked_at), "served after its end");
    }

    fn have_fetched(&self) {
        let engine = &self.0.engine;
        match self.0.policy.mode() {
            RefreshMode::Background => self.start_refresher(),
            RefreshMode::OnDemand => {
                if let Some(attempt) = engine.claim(time::now()) {
                    self.work(refresher::fetch_once(Arc::clone(engine), self.world(), attempt));
                }
            }
        }
    }

    fn start_refresher(&self) {
        let engine = &self.0.engine;
        if self.0.policy.mode() == RefreshMode::Background
            && !engine.has_refresher()
            && engine.claim_refresher()
        {
            self.work(refresher::run(Arc::clone(engine), self.world()));
        }
    }

    fn work(&self, work: impl Future<Output = ()> + Send + 'static) {
        let task = spawn(work);
        self.0.at_work.lock().unwrap().push(task);
    }

    fn world(&self) -> ModelWorld {
        ModelWorld {
            source: Arc::clone(&self.0.source),
            engine: Arc::clone(&self.0.engine),
            pace: self.0.pace.clone(),
            attempt_timeout: self.0.policy.attempt_timeout(),
            _worker: Worker::begins(),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.engine.shut_down(time::now());
    }
}

// === impl ModelWorld ===

impl World for ModelWorld {
    fn now(&self) -> Moment {
        time::now()
    }

    fn sleep(&self, duration: Duration) -> impl Future + Send {
        time::sleep(duration)
    }

    async fn turn(&self) {
        yield_now().await;
        let Some(pace) = &self.pace else { return };
        let who = || {
            let now = time::now();
            let held = self.engine.facts(now).session;
            let remaining = held.map_or(Duration::ZERO, |session| session.remaining(now));
            (self.source.account().unwrap_or_default(), remaining)
        };
        pace.turn(who, || time::now().elapsed).await;
    }

    async fn fetch(&self) -> Result<Issued, Failure> {
        self.source.fetch().await
    }

    fn attempt_timeout(&self) -> Duration {
        self.attempt_timeout
    }
}
