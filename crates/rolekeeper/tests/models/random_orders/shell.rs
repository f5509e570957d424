//! What `refreshable.rs` is to the real world: readers, and whoever is at work for them, in a world
//! where a sleep is a few turns of the others.

use std::{
    future::{Future, pending},
    sync::Arc,
    time::Duration,
};

use rolekeeper_core::{
    Credentials, Failure, Issued, Moment, Read, RefreshMode, RefreshPolicy, Session, WallTime,
};
use shuttle::{
    future::{JoinHandle, spawn, yield_now},
    rand::{Rng, thread_rng},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering},
    },
};

use super::{
    cell::Cell,
    engine::Engine,
    refresher::{self, World},
};

/// Longer than any backoff or time limit.
const LONG: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    Session,
    Fails,
    Denies,
    /// Until its time is over.
    Hangs,
}

#[derive(Clone)]
pub(super) struct Shell(Arc<Inner>);

struct Inner {
    policy: RefreshPolicy,
    cell: Arc<Cell>,
    engine: Arc<Engine>,
    universe: Arc<Universe>,
    at_work: Mutex<Vec<JoinHandle<()>>>,
}

/// What all share.
struct Universe {
    now: AtomicI64,
    fetching: AtomicUsize,
    sessions: AtomicU64,
    answers: Mutex<Vec<Answer>>,
    stands_still: AtomicBool,
}

struct ModelWorld(Arc<Universe>);

/// One call of the source.
struct Fetching<'a>(&'a Universe);

// === impl Shell ===

impl Shell {
    pub(super) fn new(policy: RefreshPolicy) -> Self {
        let cell = Arc::new(Cell::new(true));
        let engine = Arc::new(Engine::new(
            "a test's".into(),
            Arc::clone(&cell),
            policy.clone().into(),
            7,
            None,
            None,
        ));
        let universe = Arc::new(Universe {
            now: AtomicI64::new(0),
            fetching: AtomicUsize::new(0),
            sessions: AtomicU64::new(0),
            answers: Mutex::new(vec![Answer::Session]),
            stands_still: AtomicBool::new(false),
        });
        let shell = Self(Arc::new(Inner {
            policy,
            cell,
            engine,
            universe,
            at_work: Mutex::new(Vec::new()),
        }));
        if shell.0.policy.mode() == RefreshMode::Background {
            shell.start_refresher();
        }
        shell
    }

    /// Whoever sleeps for minutes is woken by somebody or never.
    pub(super) fn let_time_stand_still(&self) {
        self.0.universe.stands_still.store(true, Ordering::SeqCst);
    }

    /// Any of these, each time.
    pub(super) fn source_gives(&self, answers: &[Answer]) {
        *self.0.universe.answers.lock().unwrap() = answers.to_vec();
    }

    /// As `get` without a deadline: whether there was a session.
    pub(super) async fn read(&self) -> bool {
        let Inner { cell, engine, universe, .. } = &*self.0;
        let asked_at = universe.now();
        if let Some(current) = cell.take(|| universe.now()) {
            self.check(&current, asked_at);
            return true;
        }
        let mut read = engine.read(universe.now());
        loop {
            match read {
                Some(Read::Serve(session)) => {
                    self.check(&session, asked_at);
                    self.start_refresher();
                    return true;
                }
                Some(Read::Refuse(_)) | None => return false,
                Some(Read::Wait { attempt }) => {
                    self.have_fetched();
                    engine.has_ended(attempt).await;
                    read = engine.outcome(universe.now(), attempt);
                }
            }
        }
    }

    pub(super) async fn refresh_now(&self) {
        let Inner { engine, universe, .. } = &*self.0;
        let attempt = engine.force(universe.now());
        self.have_fetched();
        while !engine.has_ended(attempt).await {
            self.have_fetched();
        }
    }

    pub(super) fn reject_what_is_held(&self) {
        let Inner { engine, universe, .. } = &*self.0;
        let now = universe.now();
        if let Some(held) = engine.facts(now).session {
            engine.rejected(now, held.access_key_id());
        }
    }

    /// Whoever is at work is dropped, wherever it is.
    pub(super) fn lose_a_runtime(&self) {
        for task in self.0.at_work.lock().unwrap().drain(..) {
            task.abort();
        }
    }

    pub(super) async fn pass_some_time(&self) {
        let minutes = thread_rng().gen_range(0..40);
        self.0.universe.pass(Duration::from_secs(60 * minutes)).await;
    }

    /// After this nobody is at work, and nothing is held or offered.
    pub(super) async fn end(&self) {
        let Inner { engine, universe, cell, at_work, .. } = &*self.0;
        engine.shut_down(universe.now());
        let tasks: Vec<_> = at_work.lock().unwrap().drain(..).collect();
        for task in tasks {
            // Aborted ones are no concern.
            let _ = task.await;
        }
        assert!(cell.peek().is_none());
        assert!(engine.facts(universe.now()).session.is_none());
        assert!(!self.read().await);
    }

    fn check(&self, session: &Session, asked_at: Moment) {
        if !self.serves_expired() {
            assert!(session.is_valid(asked_at), "served after its end");
        }
    }

    fn serves_expired(&self) -> bool {
        self.0.policy == RefreshPolicy::sdk_standard()
    }

    fn have_fetched(&self) {
        let Inner { engine, universe, .. } = &*self.0;
        match self.0.policy.mode() {
            RefreshMode::Background => self.start_refresher(),
            RefreshMode::OnDemand => {
                if let Some(attempt) = engine.claim(universe.now()) {
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
        ModelWorld(Arc::clone(&self.0.universe))
    }
}

// === impl Universe ===

impl Universe {
    fn now(&self) -> Moment {
        let run = self.now.load(Ordering::SeqCst).unsigned_abs();
        Moment::default().after(Duration::from_nanos(run))
    }

    async fn pass(&self, duration: Duration) {
        let end = self.now().after(duration).elapsed;
        for _ in 0..3 {
            yield_now().await;
        }
        self.now.fetch_max(end.as_nanos(), Ordering::SeqCst);
    }
}

// === impl ModelWorld ===

impl World for ModelWorld {
    fn now(&self) -> Moment {
        self.0.now()
    }

    fn sleep(&self, duration: Duration) -> impl Future + Send {
        async move {
            if duration > LONG && self.0.stands_still.load(Ordering::SeqCst) {
                return pending().await;
            }
            self.0.pass(duration).await;
        }
    }

    async fn turn(&self) {
        yield_now().await;
    }

    async fn fetch(&self) -> Result<Issued, Failure> {
        assert_eq!(self.0.fetching.fetch_add(1, Ordering::SeqCst), 0, "two fetches at a time");
        let _fetching = Fetching(&self.0);
        yield_now().await;
        let answer = {
            let answers = self.0.answers.lock().unwrap();
            answers[thread_rng().gen_range(0..answers.len())]
        };
        match answer {
            Answer::Session => {
                let number = self.0.sessions.fetch_add(1, Ordering::SeqCst) + 1;
                let wall = self.now().wall;
                let credentials = Credentials::new(format!("ASIA{number}"), "secret", "token");
                let end: WallTime = wall.after(Duration::from_secs(3600));
                Ok(Issued::new(credentials, end).with_issued_at(wall))
            }
            Answer::Fails => Err(Failure::unavailable("down")),
            Answer::Denies => Err(Failure::denied("no")),
            Answer::Hangs => pending().await,
        }
    }

    fn attempt_timeout(&self) -> Duration {
        Duration::from_secs(10)
    }
}

// === impl Fetching ===

impl Drop for Fetching<'_> {
    fn drop(&mut self) {
        self.0.fetching.fetch_sub(1, Ordering::SeqCst);
    }
}
