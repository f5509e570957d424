//! One role's credentials, fresh for as long as anybody holds a handle.

mod background;
mod builder;
mod refusals;
mod status;

use std::{fmt, sync::Arc, time::Duration};

use arc_swap::{ArcSwap, ArcSwapOption};
use rolekeeper_core::{Moment, Read, RefreshPolicy, Session};
use tokio::sync::broadcast;

use crate::{
    Source,
    adapters::SdkForm,
    cell::{Cell, Current},
    clock::Clock,
    engine::Engine,
    error::Error,
    events::Event,
    pace::Pace,
    park,
    runtime::Home,
};

pub use builder::Builder;
use refusals::valid_until;
pub use status::Status;

/// A patient reader's own pause, where nobody else tells when the next try is.
const PATIENT_PAUSE: Duration = Duration::from_secs(1);

/// A session that never runs out.
///
/// A refresher of its own replaces the session long before it ends; whoever reads takes a pointer
/// to the newest one and never waits while any is valid. Clones share the same session. Dropping
/// the last one stops the refresher and wipes the secrets.
///
/// ```
/// use rolekeeper::{Credentials, Issued, RefreshableCredentials, WallTime, sources::Callback};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let source = Callback::new("my-vault", || async {
///     // …ask whoever makes your credentials…
///     Ok::<_, rolekeeper::Failure>(Issued::new(
///         Credentials::new("ASIAEXAMPLE", "secret", "token"),
///         WallTime::from_unix_secs(4_102_444_800), // 2100-01-01
///     ))
/// });
/// let credentials = RefreshableCredentials::builder(source).build();
///
/// let session = credentials.get().await?; // waits for the first one
/// assert_eq!(session.access_key_id(), "ASIAEXAMPLE");
/// assert!(credentials.current().is_some()); // never waits
/// # Ok::<(), rolekeeper::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct RefreshableCredentials {
    inner: Arc<Inner>,
}

struct Inner {
    name: Arc<str>,
    source: Arc<dyn Source>,
    clock: Clock,
    policy: Arc<RefreshPolicy>,
    seed: u64,
    cell: Arc<Cell>,
    engine: ArcSwap<Engine>,
    home: Option<Home>,
    pace: Option<Arc<Pace>>,
    /// The newest session in the SDK's form, for whoever reads through an SDK client.
    sdk_form: ArcSwapOption<SdkForm>,
}

// === impl RefreshableCredentials ===

impl RefreshableCredentials {
    /// Fresh credentials from `source`, by the default policy unless the builder is told otherwise.
    pub fn builder(source: impl Source) -> Builder {
        Builder::new(Arc::new(source))
    }

    /// The newest session, or `None` if none is valid. Never waits: no lock, no allocation, no
    /// system call beyond one look at the clock while the session is valid. After a rejection it
    /// still gives the rejected session, for which [`get`](Self::get) awaits a better one.
    #[inline]
    pub fn current(&self) -> Option<Current> {
        self.inner.quick().or_else(|| self.inner.held_and_valid())
    }

    /// The newest session if it is there for the taking; `None` where [`get`](Self::get) would have
    /// to do more: none is valid, it was rejected, or, on demand, this reader is the one to refresh
    /// it. For callers with a way of waiting of their own; [`current`](Self::current) gives what is
    /// valid in these cases too.
    #[inline]
    pub fn ready(&self) -> Option<Current> {
        self.inner.quick()
    }

    /// The newest session, waiting only when none is valid: all who wait do so on one fetch, for at
    /// most the policy's read deadline (30 s by default). Giving up (dropping the future) cancels
    /// nothing.
    ///
    /// # Errors
    /// Nothing is valid, and the fetch failed, or had failed a moment ago, or the deadline has
    /// come.
    #[inline]
    pub async fn get(&self) -> Result<Current, Error> {
        match self.inner.quick() {
            Some(current) => Ok(current),
            None => self.inner.wait(self.inner.policy.read_deadline()).await,
        }
    }

    /// As [`get`](Self::get), for plain threads. Don't call it from asynchronous code: it blocks
    /// the thread, which the refresher may need.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn blocking_get(&self) -> Result<Current, Error> {
        match self.inner.quick() {
            Some(current) => Ok(current),
            None => self.inner.blocking_wait(self.inner.policy.read_deadline()),
        }
    }

    /// As [`get`](Self::get), but patient: as long as trying again may help, it waits for the next
    /// tries too, up to `patience`. For programs that have just started, and for servers that had
    /// better hold a request than answer an error.
    ///
    /// # Errors
    /// The last failure, when `patience` is over or trying again won't help.
    pub async fn get_patiently(&self, patience: Duration) -> Result<Current, Error> {
        let inner = &self.inner;
        let end = inner.clock.now().elapsed.after(patience);
        loop {
            let left = end.since(inner.clock.now().elapsed);
            let error = match inner.quick() {
                Some(current) => return Ok(current),
                None => match inner.wait(left).await {
                    Ok(current) => return Ok(current),
                    Err(error) => error,
                },
            };
            // By some policies only the next reader brings the next try about.
            let pause = error.next_try().unwrap_or(PATIENT_PAUSE).max(Duration::from_millis(1));
            let left = end.since(inner.clock.now().elapsed);
            if pause >= left || !error.is_retryable() {
                return Err(error);
            }
            inner.sleep(pause).await?;
        }
    }

    /// Fetches a new session now, whatever the state of the old one, which is served meanwhile.
    ///
    /// # Errors
    /// The fetch failed; the session held before is still served.
    pub async fn refresh_now(&self) -> Result<Current, Error> {
        let inner = &self.inner;
        let engine = inner.engine();
        let attempt = engine.force(inner.clock.now());
        let end = inner.now().elapsed.after(inner.policy.read_deadline());
        inner.have_fetched(&engine)?;
        while !inner.has_ended(&engine, attempt, end.since(inner.now().elapsed)).await? {
            inner.have_fetched(&engine)?;
        }
        let now = inner.now();
        let facts = engine.facts(now);
        match (facts.trouble, facts.session) {
            (None, Some(session)) => Ok(Current::of(session)),
            (Some(refusal), session) => {
                Err(Error::new(&inner.name, refusal, valid_until(session.as_ref(), now)))
            }
            (None, None) => Err(inner.shut_down_error()),
        }
    }

    /// Tells that a service refused the session with this access key id (`ExpiredToken`, or a
    /// sudden `AccessDenied` after sessions were revoked). If that is the session held, a fetch
    /// starts at once, at most one in 10 s for this cause, and [`get`](Self::get) waits for it; if
    /// it fails, the session is served again.
    pub fn rejected(&self, access_key_id: &str) {
        let inner = &self.inner;
        // First, so that the fetch that this brings about doesn't come upon the same one again.
        inner.source.refused(access_key_id);
        inner.engine().rejected(inner.clock.now(), access_key_id);
    }

    /// Takes over a session that somebody else has fetched, if it is valid and ends later than the
    /// one held.
    pub fn adopt(&self, session: Arc<Session>) -> bool {
        let inner = &self.inner;
        inner.engine().adopt(inner.clock.now(), session)
    }

    /// What happens from here on, for those who watch. A watcher that is more than 64 events behind
    /// loses the oldest and is told how many.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.inner.engine().subscribe()
    }

    /// What is known of it now.
    pub fn status(&self) -> Status {
        let inner = &self.inner;
        let now = inner.clock.now();
        Status::new(inner.name.to_string(), inner.engine().facts(now), now)
    }

    /// The role's ARN, or the name of another source.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// What makes its sessions.
    pub fn source(&self) -> &dyn Source {
        &*self.inner.source
    }

    /// The policy it runs by.
    pub fn policy(&self) -> &RefreshPolicy {
        &self.inner.policy
    }

    /// Stops refreshing and wipes the session, for all clones. What readers still hold stays
    /// theirs.
    pub fn shutdown(&self) {
        self.inner.engine().shut_down(self.inner.clock.now());
        self.inner.sdk_form.store(None);
    }

    /// The cell's session, if it is valid.
    #[inline]
    pub(crate) fn quick(&self) -> Option<Current> {
        self.inner.quick()
    }

    /// What `pick` takes of `current` in the SDK's form, which is made once for each session.
    #[inline]
    pub(crate) fn sdk_form<T>(&self, current: &Current, pick: impl FnOnce(&SdkForm) -> T) -> T {
        if let Some(made) = self.inner.sdk_form.load().as_deref()
            && made.is_of(current)
        {
            return pick(made);
        }
        let made = Arc::new(SdkForm::of(current));
        self.inner.sdk_form.store(Some(Arc::clone(&made)));
        pick(&made)
    }
}

impl fmt::Debug for RefreshableCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshableCredentials")
            .field("name", &self.inner.name)
            .field("session", &self.inner.cell.peek())
            .finish_non_exhaustive()
    }
}

// === impl Inner ===

impl Inner {
    /// The readers' path: the cell's session, if it is valid.
    #[inline]
    fn quick(&self) -> Option<Current> {
        self.cell.take(|| self.clock.glance().unwrap_or_else(|| self.look_closer()))
    }

    /// Both clocks. This may be a forked child, where no thread runs (if the clock is the system's,
    /// it is the watch that stands still): then it needs a refresher of its own.
    #[cold]
    fn look_closer(&self) -> Moment {
        let is_childs = || self.engine.load().pid != std::process::id();
        if matches!(self.clock, Clock::System) || is_childs() {
            self.have_refresher();
        }
        self.now()
    }

    /// This process' engine; a forked child makes its own of what the parent's cell held.
    fn engine(&self) -> Arc<Engine> {
        loop {
            let found = self.engine.load();
            if found.pid == std::process::id() {
                return Arc::clone(&found);
            }
            let heirloom = self.cell.peek().map(|session| (self.clock.now(), session));
            let seed = self.seed ^ u64::from(std::process::id());
            let observer = found.observer.clone();
            let (name, cell) = (Arc::clone(&self.name), Arc::clone(&self.cell));
            let own = Engine::new(name, cell, Arc::clone(&self.policy), seed, heirloom, observer);
            // The parent's engine may have been locked in the middle of anything: never touched,
            // never dropped.
            std::mem::forget(Arc::clone(&found));
            self.engine.compare_and_swap(&found, Arc::new(own));
        }
    }

    fn now(&self) -> Moment {
        self.clock.now()
    }

    fn held_and_valid(&self) -> Option<Current> {
        let engine = self.engine();
        self.have_refresher();
        let now = self.now();
        let session = match engine.glance(now) {
            Some(Read::Serve(session)) => Some(session),
            Some(_) => engine.facts(now).session.filter(|held| held.is_valid(now)),
            None => None,
        };
        session.map(Current::of)
    }

    /// What a read comes to, short of waiting.
    fn settle(
        &self,
        engine: &Engine,
        read: Option<Read>,
        have_fetched: impl FnOnce() -> Result<(), Error>,
    ) -> Result<Result<Current, u64>, Error> {
        match read {
            Some(Read::Serve(session)) => {
                self.have_refresher();
                Ok(Ok(Current::of(session)))
            }
            Some(Read::Wait { attempt }) => {
                have_fetched()?;
                Ok(Err(attempt))
            }
            Some(Read::Refuse(refusal)) => {
                let now = self.now();
                let held = engine.facts(now).session;
                Err(Error::new(&self.name, refusal, valid_until(held.as_ref(), now)))
            }
            None => Err(self.shut_down_error()),
        }
    }

    async fn wait(&self, patience: Duration) -> Result<Current, Error> {
        let engine = self.engine();
        let end = self.now().elapsed.after(patience);
        let mut read = engine.read(self.now());
        loop {
            match self.settle(&engine, read, || self.have_fetched(&engine))? {
                Ok(current) => return Ok(current),
                Err(attempt) => {
                    let patience_left = end.since(self.now().elapsed);
                    match self.has_ended(&engine, attempt, patience_left).await {
                        Ok(_) => read = engine.outcome(self.now(), attempt),
                        Err(late) => return self.unharmed(&engine).ok_or(late),
                    }
                }
            }
        }
    }

    fn blocking_wait(&self, patience: Duration) -> Result<Current, Error> {
        let engine = self.engine();
        let end = self.now().elapsed.after(patience);
        let mut read = engine.read(self.now());
        loop {
            match self.settle(&engine, read, || self.have_fetched_here(&engine, patience))? {
                Ok(current) => return Ok(current),
                Err(attempt) => {
                    let ended = park::block_until(&self.clock, end, engine.has_ended(attempt));
                    if ended.is_none_or(|ended| !ended && self.now().elapsed >= end) {
                        let unharmed = self.unharmed(&engine);
                        return unharmed.ok_or_else(|| self.late_error(&engine, patience));
                    }
                    read = engine.outcome(self.now(), attempt);
                }
            }
        }
    }

    /// At a reader's deadline: on demand it may have waited for a newer session while one that is
    /// held lives on, and nobody has rejected it.
    fn unharmed(&self, engine: &Engine) -> Option<Current> {
        let now = self.now();
        let facts = engine.facts(now);
        let held = facts.session.filter(|held| held.is_valid(now) && !facts.is_rejected);
        held.map(Current::of)
    }

    /// As the engine says it, within `patience`.
    async fn has_ended(
        &self,
        engine: &Engine,
        attempt: u64,
        patience: Duration,
    ) -> Result<bool, Error> {
        tokio::select! {
            biased;
            ended = engine.has_ended(attempt) => {
                if ended || !patience.is_zero() {
                    return Ok(ended);
                }
            }
            slept = self.sleep(patience) => slept?,
        }
        Err(self.late_error(engine, patience))
    }

    async fn sleep(&self, duration: Duration) -> Result<(), Error> {
        let home = self.home()?;
        // A timer belongs to the runtime it is made in, which need not be the one that polls it.
        let sleep = {
            let _inside = home.handle().enter();
            tokio::time::sleep(duration)
        };
        sleep.await;
        Ok(())
    }

    fn home(&self) -> Result<Home, Error> {
        match &self.home {
            // Wherever a reader is, if the runtime that was chosen has gone.
            Some(home) if !self.engine().has_lost_runtime() => Ok(home.clone()),
            _ => Home::find().map_err(|error| self.no_thread_error(&error)),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let engine = self.engine.load();
        if engine.pid == std::process::id() {
            engine.shut_down(self.clock.now());
        }
    }
}
