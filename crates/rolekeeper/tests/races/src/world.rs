//! One role on real threads: its cell, its engine, and whoever is at work for it.

use std::{
    future::{Future, ready},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rolekeeper_core::{
    Credentials, Elapsed, Failure, Issued, Moment, Read, RefreshMode, RefreshPolicy, Session,
    WallTime,
};
use tokio::runtime::{Builder, Runtime};

use crate::{
    cell::Cell,
    engine::Engine,
    pace::Pace,
    refresher::{self, World},
};

/// How much faster time goes by here: a session of an hour lives for less than a second.
const HASTE: u32 = 5000;

const LIFETIME: Duration = Duration::from_secs(3600);

/// One fetch in so many fails.
const FAILS_EACH: u64 = 20;

pub(crate) struct Role {
    policy: RefreshPolicy,
    cell: Arc<Cell>,
    engine: Arc<Engine>,
    pace: Arc<Pace>,
    fetches: Arc<AtomicU64>,
    runtime: Mutex<Option<Runtime>>,
    meddled: AtomicU64,
}

struct RealWorld {
    engine: Arc<Engine>,
    pace: Arc<Pace>,
    fetches: Arc<AtomicU64>,
}

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Both clocks, which keep step.
pub(crate) fn now() -> Moment {
    let elapsed = Elapsed::default().after(START.elapsed() * HASTE);
    Moment { elapsed, wall: WallTime::from_unix_nanos(elapsed.as_nanos()) }
}

pub(crate) async fn sleep(duration: Duration) {
    tokio::time::sleep(duration / HASTE).await;
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap()
}

// === impl Role ===

impl Role {
    pub(crate) fn new(policy: &RefreshPolicy, pace: &Arc<Pace>) -> Self {
        let cell = Arc::new(Cell::new(true));
        let shared = Arc::new(policy.clone());
        let engine = Engine::new("role".into(), Arc::clone(&cell), shared, 7, None, None);
        Self {
            policy: policy.clone(),
            cell,
            engine: Arc::new(engine),
            pace: Arc::clone(pace),
            fetches: Arc::default(),
            runtime: Mutex::new(Some(runtime())),
            meddled: AtomicU64::new(0),
        }
    }

    /// The generation of the session that a reader gets, if there is one.
    pub(crate) fn read(&self) -> Option<u64> {
        if let Some(current) = self.cell.take(now) {
            return Some(checked(&current));
        }
        let read = self.engine.read(now())?;
        self.have_fetched();
        match read {
            Read::Serve(session) => Some(checked(&session)),
            Read::Wait { .. } | Read::Refuse(_) => {
                thread::yield_now();
                None
            }
        }
    }

    /// Something else than reading: each time another thing.
    pub(crate) fn meddle(&self) {
        let facts = self.engine.facts(now());
        match self.meddled.fetch_add(1, Ordering::Relaxed) % 16 {
            0 => {
                let attempt = self.engine.force(now());
                self.have_fetched();
                if let Some(runtime) = &*self.runtime.lock() {
                    runtime.block_on(self.engine.has_ended(attempt));
                }
            }
            4 => {
                if let Some(held) = facts.session {
                    self.engine.rejected(now(), held.access_key_id());
                }
            }
            8 => drop(self.engine.subscribe()),
            12 => {
                let old = self.runtime.lock().replace(runtime());
                drop(old);
                self.have_fetched();
            }
            _ => {}
        }
    }

    /// How many sessions there were.
    pub(crate) fn shut_down(&self) -> u64 {
        let fetched = self.engine.facts(now()).counters.fetched;
        self.engine.shut_down(now());
        drop(self.runtime.lock().take());
        assert!(self.cell.peek().is_none());
        fetched
    }

    fn have_fetched(&self) {
        let work: std::pin::Pin<Box<dyn Future<Output = ()> + Send>> = match self.policy.mode() {
            RefreshMode::Background if self.engine.claim_refresher() => {
                Box::pin(refresher::run(Arc::clone(&self.engine), self.world()))
            }
            RefreshMode::Background => return,
            RefreshMode::OnDemand => match self.engine.claim(now()) {
                Some(attempt) => {
                    let engine = Arc::clone(&self.engine);
                    Box::pin(refresher::fetch_once(engine, self.world(), attempt))
                }
                None => return,
            },
        };
        if let Some(runtime) = &*self.runtime.lock() {
            runtime.spawn(work);
        }
    }

    fn world(&self) -> RealWorld {
        RealWorld {
            engine: Arc::clone(&self.engine),
            pace: Arc::clone(&self.pace),
            fetches: Arc::clone(&self.fetches),
        }
    }
}

/// All of a session was written before anybody reads it.
fn checked(session: &Session) -> u64 {
    let credentials = session.credentials();
    let key = session.access_key_id();
    assert_eq!(credentials.secret_access_key.expose(), format!("secret of {key}"));
    assert_eq!(credentials.session_token.expose(), format!("token of {key}"));
    session.generation()
}

// === impl RealWorld ===

impl World for RealWorld {
    fn now(&self) -> Moment {
        now()
    }

    fn sleep(&self, duration: Duration) -> impl Future + Send {
        sleep(duration)
    }

    async fn turn(&self) {
        let who = || {
            let now = now();
            let held = self.engine.facts(now).session;
            let remaining = held.map_or(Duration::ZERO, |session| session.remaining(now));
            (String::new(), remaining)
        };
        self.pace.turn(who, || now().elapsed).await;
    }

    fn fetch(&self) -> impl Future<Output = Result<Issued, Failure>> + Send {
        let number = self.fetches.fetch_add(1, Ordering::Relaxed);
        if number % FAILS_EACH == FAILS_EACH - 1 {
            return ready(Err(Failure::unavailable("down for once")));
        }
        let key = format!("ASIA{number}");
        let (secret, token) = (format!("secret of {key}"), format!("token of {key}"));
        let wall = now().wall;
        let issued = Issued::new(Credentials::new(key, secret, token), wall.after(LIFETIME));
        ready(Ok(issued.with_issued_at(wall)))
    }

    fn attempt_timeout(&self) -> Duration {
        Duration::from_secs(10)
    }
}
