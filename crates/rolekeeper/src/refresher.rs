//! The refresher: the one task that asks the source, apart from every reader.

use std::{
    any::Any,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use rolekeeper_core::{Failure, Issued, Moment, Wakeup};

use super::{
    engine::{Engine, Task},
    sync::Arc,
};

/// What the refresher needs of the world, so that model checkers can give it theirs.
pub(crate) trait World: Send + Sync {
    fn now(&self) -> Moment;
    /// Sleeps this long, or less if a clock was stepped meanwhile.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;
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
                Task::Sleep(wakeup) => self.rest(wakeup).await,
                // A fetch is large and short, the rest before it small and long: with room of its
                // own it takes none from a resting refresher, of which there is one for each role.
                Task::Fetch(attempt) => Box::pin(self.fetch(attempt)).await,
            }
        }
    }

    /// One attempt, to its end or the engine's.
    async fn fetch(&self, attempt: u64) {
        let (engine, world) = (&self.engine, &self.world);
        let attempted = pin!(attempt_once(engine, world));
        let mut fetch = pin!(caught(attempted));
        // What the session held goes through meanwhile is told in time, however long the fetch
        // takes.
        while let Task::Sleep(wakeup) = engine.next_task(world.now()) {
            if let Some(outcome) = either(fetch.as_mut(), pin!(self.rest(wakeup))).await {
                return engine.finish(world.now(), attempt, outcome);
            }
        }
    }

    async fn rest(&self, wakeup: Option<Wakeup>) {
        let wait = wakeup.map_or(LONGEST_SLEEP, |wakeup| wakeup.wait(self.world.now()));
        let sleep = pin!(self.world.sleep(wait.min(LONGEST_SLEEP)));
        either(pin!(self.engine.nudged()), sleep).await;
    }
}

impl<W: World> Drop for Work<W> {
    fn drop(&mut self) {
        self.engine.stopped(self.world.now(), self.claimed);
    }
}

/// One fetch, in its turn and with its time limit.
async fn attempt_once(engine: &Engine, world: &impl World) -> Result<Issued, Failure> {
    world.turn().await;
    engine.asked(world.now());
    let limit = world.attempt_timeout();
    either(pin!(world.fetch()), pin!(world_sleep(world, limit))).await.unwrap_or_else(|| {
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

/// The first future's result, or `None` if the second ends before it. Pinned by the caller: taken
/// over, each would lie in memory twice, and there is a refresher for each role.
async fn either<T>(
    mut first: Pin<&mut impl Future<Output = T>>,
    mut second: Pin<&mut impl Future<Output = ()>>,
) -> Option<T> {
    poll_fn(|cx| {
        if let Poll::Ready(value) = first.as_mut().poll(cx) {
            return Poll::Ready(Some(value));
        }
        second.as_mut().poll(cx).map(|()| None)
    })
    .await
}

/// A panic in the source is the source's failure, not ours.
async fn caught(
    mut fetch: Pin<&mut impl Future<Output = Result<Issued, Failure>>>,
) -> Result<Issued, Failure> {
    poll_fn(|cx| {
        let poll = || fetch.as_mut().poll(cx);
        catch_unwind(AssertUnwindSafe(poll)).unwrap_or_else(|panic| {
            Poll::Ready(Err(Failure::bad_answer(panic_message(panic.as_ref()))))
        })
    })
    .await
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    // The payload is the source's own text and could hold anything; its type is all that is told.
    let _ = panic;
    "the source panicked".into()
}

/// `10 s`, `1.5 s`.
pub(crate) struct Seconds(pub(crate) Duration);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tenths = (self.0.as_secs_f64() * 10.0).round() / 10.0;
        write!(f, "{tenths} s")
    }
}
