//! The refresher: the one task that asks the source, apart from every reader.

use std::{
    future::Future,
    pin::{Pin, pin},
    time::Duration,
};

use rolekeeper_core::{Failure, Issued, Moment, Wakeup};

use super::{
    engine::{Engine, Task},
    futures::{caught, race},
    sync::Arc,
};

/// What the refresher needs of the world, so that model checkers can give it theirs.
pub(crate) trait World: Send + Sync {
    fn now(&self) -> Moment;
    /// Sleeps this long, or less if a clock was stepped meanwhile.
    fn sleep(&self, duration: Duration) -> impl Future + Send;
    /// Resolves when it is this fetch's turn among others.
    fn turn(&self) -> impl Future<Output = ()> + Send;
    /// Makes one session, with no time limit of its own.
    fn fetch(&self) -> impl Future<Output = Result<Issued, Failure>> + Send;
    /// How long that may take.
    fn attempt_timeout(&self) -> Duration;
}

/// Sleeping longer than this is cut in pieces, since timers don't take any length.
const LONGEST_SLEEP: Duration = Duration::from_secs(24 * 3600);

/// Somebody at work, who says so when it stops, also when its runtime drops it in the middle of a
/// fetch or has never begun it.
struct Work<W: World> {
    engine: Arc<Engine>,
    world: W,
    /// On demand: the one attempt that this is for.
    claimed: Option<u64>,
}

/// Runs until the engine is shut down.
pub(crate) fn run(engine: Arc<Engine>, world: impl World) -> impl Future<Output = ()> + Send {
    // Made before the future is: a runtime that has gone drops that without polling it once.
    let work = Work { engine, world, claimed: None };
    async move { work.refresh().await }
}

/// On demand: one fetch that a reader has claimed, apart from that reader.
pub(crate) fn fetch_once(
    engine: Arc<Engine>,
    world: impl World,
    attempt: u64,
) -> impl Future<Output = ()> + Send {
    let work = Work { engine, world, claimed: Some(attempt) };
    async move { work.fetch(attempt).await }
}

// === impl Work ===

impl<W: World> Work<W> {
    async fn refresh(&self) {
        loop {
            match self.engine.next_task(self.world.now()) {
                Task::Stop => return,
                Task::Sleep(wakeup) => {
                    self.rest(wakeup).await;
                }
                // Room of its own for what is large and short, so that it takes none from a
                // refresher that rests, as most of many do.
                Task::Fetch(attempt) => Box::pin(self.fetch(attempt)).await,
            }
        }
    }

    /// One attempt, in its turn among those of other roles.
    async fn fetch(&self, attempt: u64) {
        let turn = async {
            self.world.turn().await;
            Ok(())
        };
        let outcome = match self.meanwhile(pin!(caught(turn))).await {
            // And again: when many roles begin, all but a few wait for their turn.
            Some(Ok(())) => Box::pin(self.ask()).await,
            Some(Err(failure)) => Some(Err(failure)),
            None => None,
        };
        if let Some(outcome) = outcome {
            self.engine.finish(self.world.now(), attempt, outcome);
        }
    }

    /// What the source answers within its time limit.
    async fn ask(&self) -> Option<Result<Issued, Failure>> {
        self.engine.asked(self.world.now());
        self.meanwhile(pin!(caught(fetch_in_time(&self.world)))).await
    }

    /// What comes of `work`, unless the engine is shut down before. What the session held goes
    /// through meanwhile is told in time, however long that takes.
    async fn meanwhile<T>(&self, mut work: Pin<&mut impl Future<Output = T>>) -> Option<T> {
        while let Task::Sleep(wakeup) = self.engine.next_task(self.world.now()) {
            if let Some(outcome) = race(work.as_mut(), self.rest(wakeup)).await {
                return Some(outcome);
            }
        }
        None
    }

    fn rest(&self, wakeup: Option<Wakeup>) -> impl Future {
        let wait = wakeup.map_or(LONGEST_SLEEP, |wakeup| wakeup.wait(self.world.now()));
        race(self.engine.nudged(), self.world.sleep(wait.min(LONGEST_SLEEP)))
    }
}

impl<W: World> Drop for Work<W> {
    fn drop(&mut self) {
        self.engine.stopped(self.world.now(), self.claimed);
    }
}

/// One fetch with its time limit.
async fn fetch_in_time(world: &impl World) -> Result<Issued, Failure> {
    let limit = world.attempt_timeout();
    race(world.fetch(), world_sleep(world, limit)).await.unwrap_or_else(|| {
        Err(Failure::unavailable(format!("no answer within {}", Seconds(limit))))
    })
}

/// Sleeps all of `limit`: a step of the wall clock cuts one sleep short, but is no time-out.
async fn world_sleep(world: &impl World, limit: Duration) {
    let end = world.now().elapsed.after(limit);
    loop {
        let left = end.since(world.now().elapsed);
        if left.is_zero() {
            return;
        }
        world.sleep(left).await;
    }
}

/// `10 s`, `1.5 s`.
pub(crate) struct Seconds(pub(crate) Duration);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tenths = (self.0.as_secs_f64() * 10.0).round() / 10.0;
        write!(f, "{tenths} s")
    }
}
