//! The pace of a keyring: at most so many fetches a second for one account, the most urgent first.
//!
//! STS allows 600 signed requests a second for an account and Region, shared by everything in it,
//! and that quota cannot be raised. Ten thousand roles that become due in the same second must not
//! take it all.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    num::NonZeroU32,
    time::Duration,
};

use rolekeeper_core::Elapsed;
use tokio::sync::oneshot;

use super::sync::{Arc, Mutex, MutexGuard, PoisonError, sleep, spawn};

/// The default: a twelfth of what STS allows an account and Region.
pub(crate) const DEFAULT_PACE: NonZeroU32 = NonZeroU32::new(50).expect("50 is not zero");

/// Shared by all credentials of one keyring.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Between two fetches of one account.
    gap: Duration,
    accounts: Mutex<HashMap<String, Account>>,
}

#[derive(Debug, Default)]
struct Account {
    /// When the next fetch may begin.
    free_at: Option<Elapsed>,
    waiting: BinaryHeap<Reverse<Waiter>>,
    /// Somebody lets the waiting ones go, one after the other.
    has_usher: bool,
    arrivals: u64,
}

/// Ordered by how little its session has left, then by arrival.
#[derive(Debug)]
struct Waiter {
    remaining: Duration,
    arrival: u64,
    go: oneshot::Sender<()>,
}

/// Lets the waiting ones of one account go, one after the other.
struct Usher {
    pace: Arc<Pace>,
    account: String,
    is_done: bool,
}

// === impl Pace ===

impl Pace {
    pub(crate) fn new(per_second: NonZeroU32) -> Self {
        Self { gap: Duration::from_secs(1) / per_second.get(), accounts: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resolves when it is this fetch's turn. `who` tells the account and how much the session has
    /// left, asked for each time it queues up; `now` is asked under a lock that all fetches pass.
    pub(crate) async fn turn(
        self: &Arc<Self>,
        who: impl Fn() -> (String, Duration),
        now: impl Fn() -> Elapsed,
    ) {
        while let Some(went) = self.queue(who(), &now) {
            // An error means that the usher has gone with its runtime, which need not be ours.
            if went.await.is_ok() {
                return;
            }
        }
    }

    /// `None` if it may go at once. No future: thousands may wait here, and each weighs no more
    /// than what it waits for.
    fn queue(
        self: &Arc<Self>,
        (account, remaining): (String, Duration),
        now: impl Fn() -> Elapsed,
    ) -> Option<oneshot::Receiver<()>> {
        let mut accounts = self.lock();
        // Not before: who was held up on the way here would let the next one go too early.
        let now = now();
        let entry = accounts.entry(account.clone()).or_default();
        // The usher stays for one gap after the last one that it let go.
        if !entry.has_usher && entry.free_at.is_none_or(|at| now >= at) {
            entry.free_at = Some(now.after(self.gap));
            return None;
        }
        let (go, went) = oneshot::channel();
        entry.arrivals += 1;
        entry.waiting.push(Reverse(Waiter { remaining, arrival: entry.arrivals, go }));
        let first = entry.free_at.map_or(Duration::ZERO, |at| at.since(now));
        let has_usher = std::mem::replace(&mut entry.has_usher, true);
        drop(accounts);
        if !has_usher {
            let mut usher = Usher { pace: Arc::clone(self), account, is_done: false };
            spawn(async move { usher.serve(first).await });
        }
        Some(went)
    }

    /// Lets the most urgent go; false when nobody waits any more.
    fn let_one_go(&self, account: &str) -> bool {
        let mut accounts = self.lock();
        let Some(entry) = accounts.get_mut(account) else { return false };
        while let Some(Reverse(waiter)) = entry.waiting.pop() {
            if waiter.go.send(()).is_ok() {
                return true; // The ones who gave up don't cost a turn.
            }
        }
        accounts.remove(account);
        false
    }
}

// === impl Usher ===

impl Usher {
    async fn serve(&mut self, first: Duration) {
        let mut pause = first;
        loop {
            sleep(pause).await;
            pause = self.pace.gap;
            if !self.pace.let_one_go(&self.account) {
                self.is_done = true;
                return;
            }
        }
    }
}

impl Drop for Usher {
    /// Its runtime has gone: those who wait in another queue up anew.
    fn drop(&mut self) {
        if !self.is_done {
            self.pace.lock().remove(&self.account);
        }
    }
}

// === impl Waiter ===

impl PartialEq for Waiter {
    fn eq(&self, other: &Self) -> bool {
        self.arrival == other.arrival
    }
}

impl Eq for Waiter {}

impl PartialOrd for Waiter {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiter {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.remaining, self.arrival).cmp(&(other.remaining, other.arrival))
    }
}
