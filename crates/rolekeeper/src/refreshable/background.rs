//! Who fetches: the refresher in the background, or, on demand, a task that lives for one fetch.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rolekeeper_core::{Failure, Issued, Moment, RefreshMode};

use super::Inner;
use crate::{
    Source,
    clock::{Clock, Steps},
    engine::Engine,
    error::Error,
    futures::race,
    pace::Pace,
    refresher::{self, World},
    runtime::Home,
};

/// What a refresher has of the real world. It holds nothing that keeps the credentials themselves
/// alive.
struct RealWorld {
    source: Arc<dyn Source>,
    clock: Clock,
    /// On demand of an unwatched clock: no thread is started for a fetch or two an hour.
    steps: Steps,
    steps_seen: AtomicU64,
    attempt_timeout: Duration,
    pace: Option<Arc<Pace>>,
    engine: Arc<Engine>,
    _home: Option<Home>,
}

impl World for RealWorld {
    fn now(&self) -> Moment {
        self.clock.now()
    }

    fn sleep(&self, duration: Duration) -> impl Future + Send {
        let stepped = self.steps.next();
        let count = self.steps.count();
        let has_stepped = self.steps_seen.swap(count, Ordering::AcqRel) != count;
        let longest = if has_stepped { Duration::ZERO } else { self.clock.longest_sleep() };
        race(stepped, tokio::time::sleep(duration.min(longest)))
    }

    async fn turn(&self) {
        let Some(pace) = &self.pace else { return };
        let who = || {
            let now = self.now();
            let held = self.engine.facts(now).session;
            let remaining = held.map_or(Duration::ZERO, |session| session.remaining(now));
            (self.source.account().unwrap_or_default(), remaining)
        };
        pace.turn(who, || self.clock.elapsed()).await;
    }

    async fn fetch(&self) -> Result<Issued, Failure> {
        self.source.fetch().await
    }

    fn attempt_timeout(&self) -> Duration {
        self.attempt_timeout
    }
}

impl Inner {
    fn world(&self, engine: &Arc<Engine>, steps: Steps, home: Option<Home>) -> RealWorld {
        RealWorld {
            source: Arc::clone(&self.source),
            clock: self.clock.clone(),
            steps_seen: AtomicU64::new(steps.count()),
            steps,
            attempt_timeout: self.policy.attempt_timeout(),
            pace: self.pace.clone(),
            engine: Arc::clone(engine),
            _home: home,
        }
    }

    /// In the background: starts the refresher if there is none, which is so at first, after a
    /// `fork`, and after the runtime that it ran in has gone.
    #[cold]
    pub(super) fn have_refresher(&self) {
        if self.policy.mode() == RefreshMode::Background
            && let Err(error) = self.start_refresher(&self.engine())
        {
            tracing::error!(%error, "cannot refresh in the background");
        }
    }

    fn start_refresher(&self, engine: &Arc<Engine>) -> Result<(), Error> {
        // Twice: the runtime that was chosen may have gone.
        for _ in 0..2 {
            if engine.has_refresher() {
                return Ok(());
            }
            let home = self.home()?;
            if engine.claim_refresher() {
                let world = self.world(engine, self.clock.steps(), Some(home.clone()));
                home.handle().spawn(refresher::run(Arc::clone(engine), world));
            }
        }
        if engine.has_refresher() { Ok(()) } else { Err(self.no_runtime_error()) }
    }

    /// Sees to it that the fetch that a reader waits for is made.
    pub(super) fn have_fetched(&self, engine: &Arc<Engine>) -> Result<(), Error> {
        match self.policy.mode() {
            RefreshMode::Background => self.start_refresher(engine),
            RefreshMode::OnDemand => {
                let home = self.home()?;
                if let Some(attempt) = engine.claim(self.now()) {
                    let world = self.world(engine, Steps::unwatched(), Some(home.clone()));
                    home.handle().spawn(refresher::fetch_once(Arc::clone(engine), world, attempt));
                }
                Ok(())
            }
        }
    }

    /// The same for a reader that blocks its thread: outside of any runtime it does the work
    /// itself, so that no thread is left behind, if that ends before its own deadline.
    pub(super) fn have_fetched_here(
        &self,
        engine: &Arc<Engine>,
        patience: Duration,
    ) -> Result<(), Error> {
        let has_runtime = self.home.is_some() || tokio::runtime::Handle::try_current().is_ok();
        let is_too_long = self.policy.attempt_timeout() > patience;
        if self.policy.mode() == RefreshMode::Background || has_runtime || is_too_long {
            return self.have_fetched(engine);
        }
        let Some(attempt) = engine.claim(self.now()) else { return Ok(()) };
        let world = self.world(engine, Steps::unwatched(), None);
        let work = refresher::fetch_once(Arc::clone(engine), world, attempt);
        match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(work),
            Err(error) => {
                let failure = Failure::unavailable(format!("cannot make a runtime: {error}"));
                engine.finish(self.now(), attempt, Err(failure));
            }
        }
        Ok(())
    }
}
