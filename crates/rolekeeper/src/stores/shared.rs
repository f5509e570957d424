//! A source whose sessions are shared through a store: the shell of
//! [`Sharing`].

use std::{fmt, pin::pin, time::Duration};

use rolekeeper_core::{
    Failure, Fence, Issued, Moment, RefreshPolicy, Session, Sharing, Step, StoreTrouble,
};

use super::{SessionStore, StoreError, StoreKey, Stored};
use crate::{
    Clock, Source,
    futures::race,
    sources::{Fetch, KeyOf},
    sync::{Arc, AtomicBool, Mutex, MutexGuard, Ordering, PoisonError, sleep, timeout},
};

/// Makes sessions as its source does, and one for all who share the store.
///
/// A source that doesn't know what its sessions are [made of](Source::store_key) shares none.
pub struct Shared {
    source: Arc<dyn Source>,
    store: Arc<dyn SessionStore>,
    clock: Clock,
    sharing: Mutex<Sharing>,
    attempt_timeout: Duration,
    /// Whether the store's trouble has been told, until an errand has had none.
    is_told: AtomicBool,
    /// Whether this errand has had any.
    had_trouble: AtomicBool,
}

/// A lease, which is given back when the errand for it is dropped in the middle.
struct Held<'a> {
    store: &'a dyn SessionStore,
    key: &'a StoreKey,
    fence: Option<Fence>,
}

// === impl Shared ===

impl Shared {
    /// `policy` tells when a stored session is too old to begin with; `seed` spreads the looks of
    /// those who wait.
    pub fn new(
        source: Arc<dyn Source>,
        store: Arc<dyn SessionStore>,
        policy: Arc<RefreshPolicy>,
        clock: Clock,
        seed: u64,
    ) -> Self {
        let attempt_timeout = policy.attempt_timeout();
        let sharing = Mutex::new(Sharing::new(policy, store.poll(), seed));
        let (is_told, had_trouble) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { source, store, clock, sharing, attempt_timeout, is_told, had_trouble }
    }

    fn sharing(&self) -> MutexGuard<'_, Sharing> {
        self.sharing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Moment {
        self.clock.now()
    }

    /// The session that a store has at hand, if it is young enough to begin with: for a command that
    /// wants one session and ends. It starts nothing, and asks the source for no more than its
    /// [key](Source::store_key).
    pub async fn glance(&self) -> Option<Session> {
        let key = self.source.store_key().await.ok()??;
        let Stored { issued, age } = self.store.glance(&key)?;
        let now = self.now();
        let mut sharing = self.sharing();
        sharing.begin(now);
        match sharing.loaded(now, Ok(Some(issued.with_arrived(now.before(age))))) {
            Step::Done(Ok(issued)) => Some(Session::place(issued, now, 1)),
            _ => None,
        }
    }

    async fn errand(&self) -> Result<Issued, Failure> {
        let Some(key) = self.source.store_key().await? else { return self.source.fetch().await };
        let mut held = Held { store: &*self.store, key: &key, fence: None };
        let mut arrived = self.now();
        self.had_trouble.store(false, Ordering::Relaxed);
        let mut step = self.sharing().begin(arrived);
        loop {
            step = match step {
                Step::Load => {
                    // Its age is of some time after this. A machine may sleep while the answer is
                    // under way: counted from its arrival, an old session would be a young one.
                    let asked = self.now();
                    let found = self.call(self.store.load(&key)).await;
                    let dated =
                        |Stored { issued, age }: Stored| issued.with_arrived(asked.before(age));
                    self.sharing().loaded(self.now(), found.map(|stored| stored.map(dated)))
                }
                Step::Lease => {
                    let lease = self.call(self.store.lease(&key, Sharing::LEASE)).await;
                    if let Ok(rolekeeper_core::Lease::Granted(fence)) = lease {
                        held.fence = Some(fence);
                    }
                    self.sharing().leased(self.now(), lease)
                }
                Step::Wait(wait) => {
                    race(self.store.changed(&key), sleep(wait)).await;
                    self.sharing().waited()
                }
                Step::Fetch { lease } => {
                    let asked = self.now();
                    let outcome = self.fetch(&key, lease).await;
                    let now = self.now();
                    arrived = self.arrival(asked, now);
                    self.sharing().fetched(now, outcome)
                }
                Step::Save { fence, issued } => {
                    // A process may be stopped between the answer and this: it is stored as of then.
                    let dated = issued.clone().with_arrived(arrived);
                    let saved = self.call(self.store.save(&key, fence, &dated)).await;
                    held.ended_with(saved);
                    self.sharing().saved(self.now(), issued)
                }
                Step::Cool { fence, failure, pause } => {
                    let cooled = self.call(self.store.cool(&key, fence, &failure, pause)).await;
                    held.ended_with(cooled);
                    self.sharing().cooled(self.now(), failure)
                }
                Step::Done(outcome) => {
                    if !self.had_trouble.load(Ordering::Relaxed) {
                        self.is_told.store(false, Ordering::Relaxed);
                    }
                    return outcome;
                }
            };
        }
    }

    /// When an answer that comes now is dated: now, or when it was asked for if it took longer than
    /// any fetch may. A machine that slept meanwhile finds an answer of hours ago.
    fn arrival(&self, asked: Moment, now: Moment) -> Moment {
        let took = now.elapsed.since(asked.elapsed).max(now.wall.since(asked.wall));
        if took > self.attempt_timeout { asked } else { now }
    }

    /// Asks the source, and keeps the lease meanwhile.
    async fn fetch(&self, key: &StoreKey, lease: Option<Fence>) -> Result<Issued, Failure> {
        let Some(fence) = lease else { return self.source.fetch().await };
        let keep = async {
            loop {
                sleep(Sharing::RENEWAL).await;
                // Another may have it now, if this process was stopped for long: then the save
                // comes to nothing, and this session is ours alone.
                let _ = self.call(self.store.renew(key, fence, Sharing::LEASE)).await;
            }
        };
        match race(pin!(self.source.fetch()), keep).await {
            Some(outcome) => outcome,
            None => Err(Failure::unavailable("the source was not asked")),
        }
    }

    /// What the store answers, in time.
    async fn call<T>(
        &self,
        answer: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreTrouble> {
        let patience = self.store.patience();
        let answer = timeout(patience, answer).await;
        answer.unwrap_or_else(|_| Err(no_answer(patience))).map_err(|error| self.tell(&error))
    }

    /// Once, and again only when all of it has worked in between: a disk that is full can be read.
    fn tell(&self, error: &StoreError) -> StoreTrouble {
        self.had_trouble.store(true, Ordering::Relaxed);
        if !self.is_told.swap(true, Ordering::Relaxed) {
            let (store, role) = (self.store.name(), self.source.name());
            let hint = error.hint.as_deref().unwrap_or_default();
            tracing::warn!(%store, %role, %error, hint, "cannot share sessions: going on alone");
        }
        StoreTrouble
    }
}

fn no_answer(patience: Duration) -> StoreError {
    StoreError::new(format!("no answer within {} ms", patience.as_millis()))
}

impl Source for Shared {
    fn fetch(&self) -> Fetch<'_> {
        Box::pin(self.errand())
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
        self.sharing().refused(access_key_id);
        self.source.refused(access_key_id);
    }

    fn store_key(&self) -> KeyOf<'_> {
        self.source.store_key()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} through {}", self.source, self.store.name())
    }
}

// === impl Held ===

impl Held<'_> {
    /// The call that ends a lease was made.
    fn ended_with(&mut self, outcome: Result<bool, StoreTrouble>) {
        if outcome.is_ok() {
            self.fence = None;
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(fence) = self.fence {
            self.store.release(self.key, fence);
        }
    }
}
