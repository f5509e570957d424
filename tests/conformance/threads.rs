//! Plain threads without a runtime anywhere: real time, plus what a case lets pass. On demand
//! readers do the work themselves.

use std::{
    sync::mpsc,
    thread::{self, JoinHandle},
    time::Duration,
};

use rolekeeper::{
    Clock, Elapsed, RefreshMode, RefreshPolicy, RefreshableCredentials, clock::Simulated,
};

use crate::{
    case::{Behaviour, FaceName},
    face::{Face, Facts, Outcome},
    script::{Script, outcome},
};

/// How soon it is looked again for what another thread is about to do.
const NAP: Duration = Duration::from_millis(1);

/// After this what should happen never will. Nothing takes so long if all is well.
const FAR_TOO_LONG: Duration = Duration::from_secs(30);

/// A reader that comes back from a wait for nothing does so within this. Too short on a slow machine,
/// it would be found out a step later, by what the reader got.
const A_MOMENT: Duration = Duration::from_millis(3);

/// A machine that does so little in this time is too slow for the shortest backoff of 100 ms.
const HELD_UP: Duration = Duration::from_millis(50);

pub(crate) struct Threads {
    credentials: RefreshableCredentials,
    readers: Vec<JoinHandle<Outcome>>,
    script: Script,
    clock: Simulated,
    /// The clock when time was last let pass, or it was last asked whether that is long ago.
    looked: Elapsed,
    was_held_up: bool,
}

// === impl Threads ===

impl Threads {
    fn is_background(&self) -> bool {
        self.credentials.policy().mode() == RefreshMode::Background
    }

    fn add(&mut self, duration: Duration) {
        self.was_held_up |= self.is_late();
        self.clock.sleep(duration);
        self.looked = self.clock.now().elapsed;
    }

    fn is_late(&self) -> bool {
        self.clock.now().elapsed.since(self.looked) > HELD_UP
    }

    /// When the refresher has something to do, if nothing happens before.
    fn due(&self) -> Option<Duration> {
        if !self.is_background() {
            return None;
        }
        if let Some(since) = self.script.hangs_since() {
            let limit = since.after(self.credentials.policy().attempt_timeout());
            return Some(limit.since(self.clock.now().elapsed));
        }
        let status = self.credentials.status();
        match status.last_error {
            Some(error) => error.next_try(),
            None => status.next_refresh,
        }
    }

    /// Waits until the refresher has done what is due.
    fn settle(&self) {
        let is_at_rest = || {
            let done = self.credentials.status().counters;
            let has_begun = done.attempts > 0;
            let is_over = done.attempts == done.fetched + done.failed;
            has_begun && (is_over || self.script.hangs_since().is_some())
        };
        if self.is_background() {
            wait_until("the refresher rests", || {
                is_at_rest() && self.due() != Some(Duration::ZERO)
            });
        }
    }
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let start = now();
    while !is_so() {
        assert!(now().since(start) < FAR_TOO_LONG, "it never came about that {what}");
        thread::sleep(NAP);
    }
}

fn now() -> Elapsed {
    Clock::System.now().elapsed
}

impl Face for Threads {
    const NAME: FaceName = FaceName::Threads;
    const INSTANT: Duration = Duration::from_secs(1);
    const LATE: Duration = Duration::from_secs(1);
    const IS_REPEATABLE: bool = false;

    fn open(policy: RefreshPolicy, seed: u64, behaviour: Behaviour) -> Self {
        let clock = Simulated::new();
        let script = Script::new(&clock, behaviour);
        let credentials = RefreshableCredentials::builder(script.clone())
            .clock(Clock::Simulated(clock.clone()))
            .policy(policy)
            .seed(seed)
            .build();
        let looked = clock.now().elapsed;
        let readers = Vec::new();
        let threads = Self { credentials, readers, script, clock, looked, was_held_up: false };
        threads.settle();
        threads
    }

    fn pass(&mut self, duration: Duration) {
        let end = self.clock.now().elapsed.after(duration);
        loop {
            let left = end.since(self.clock.now().elapsed);
            if left.is_zero() {
                return;
            }
            let hop = self.due().map_or(left, |due| due.min(left));
            self.add(hop.max(NAP));
            self.settle();
        }
    }

    fn sleep(&mut self, duration: Duration) {
        self.add(duration);
        self.settle();
    }

    fn pause(&mut self, duration: Duration) {
        self.script.pause(duration);
        self.settle();
    }

    fn step_wall(&mut self, seconds: i64) {
        self.clock.step_wall(seconds);
        self.settle();
    }

    fn source(&mut self, behaviour: Behaviour) {
        let was_asked = self.script.hangs_since().is_some();
        self.script.does(behaviour);
        if was_asked && !matches!(behaviour, Behaviour::Hangs) {
            let is_over = || {
                let done = self.credentials.status().counters;
                done.attempts == done.fetched + done.failed
            };
            wait_until("the call comes back", is_over);
        }
        self.settle();
    }

    fn reject(&mut self, key: &str) {
        self.credentials.rejected(key);
        self.settle();
    }

    fn read(&mut self) -> Outcome {
        let outcome = outcome(self.credentials.blocking_get());
        self.settle();
        outcome
    }

    fn come(&mut self, readers: u64) {
        // A reader's deadline counts from when it comes.
        let (tell, told) = mpsc::channel();
        for _ in 0..readers {
            let (credentials, tell) = (self.credentials.clone(), tell.clone());
            self.readers.push(thread::spawn(move || {
                let _ = tell.send(());
                outcome(credentials.blocking_get())
            }));
        }
        for _ in 0..readers {
            told.recv_timeout(FAR_TOO_LONG).expect("a reader comes");
        }
        wait_until("a call hangs", || self.script.hangs_since().is_some());
        thread::sleep(A_MOMENT);
    }

    fn waiters(&mut self, is_over: bool) -> Vec<Outcome> {
        let told = |reader: JoinHandle<Outcome>| {
            wait_until("a reader comes back", || reader.is_finished());
            reader.join().unwrap()
        };
        if is_over {
            return self.readers.drain(..).map(told).collect();
        }
        let early = |reader: &JoinHandle<Outcome>| match reader.is_finished() {
            true => Outcome::Served("something, at once".into()),
            false => Outcome::Waits,
        };
        self.readers.iter().map(early).collect()
    }

    fn facts(&mut self) -> Facts {
        self.script.facts(&self.credentials.status())
    }

    fn was_held_up(&mut self) -> bool {
        let was = self.was_held_up || self.is_late();
        self.was_held_up = false;
        self.looked = self.clock.now().elapsed;
        was
    }

    fn may_still_come(&self, looks: u32) -> bool {
        thread::sleep(NAP);
        NAP * looks < FAR_TOO_LONG / 10
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Whoever still waits goes home.
        self.script.does(Behaviour::default());
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }
}
