//! The asynchronous shell: credentials in a runtime whose time is virtual.

use std::time::Duration;

use rolekeeper::{Clock, RefreshPolicy, RefreshableCredentials, clock::Simulated};
use tokio::{runtime::Runtime, task::JoinHandle};

use crate::{
    case::{Behaviour, FaceName},
    face::{Face, Facts, Outcome},
    script::{Script, outcome},
};

pub(crate) struct Shell {
    // Dropped before the runtime that they refresh in.
    credentials: RefreshableCredentials,
    readers: Vec<JoinHandle<Outcome>>,
    script: Script,
    clock: Simulated,
    runtime: Runtime,
}

// === impl Shell ===

impl Shell {
    /// Lets everything happen that happens without time passing.
    fn settle(&self) {
        self.runtime.block_on(async {
            for _ in 0..64 {
                tokio::task::yield_now().await;
            }
        });
    }

    fn start_reading(&self) -> JoinHandle<Outcome> {
        let credentials = self.credentials.clone();
        self.runtime.spawn(async move { outcome(credentials.get().await) })
    }

    fn told(&self, reader: JoinHandle<Outcome>) -> Outcome {
        self.runtime.block_on(reader).unwrap()
    }
}

impl Face for Shell {
    const NAME: FaceName = FaceName::Async;
    /// tokio's timers go by the millisecond, rounded up.
    const INSTANT: Duration = Duration::from_millis(2);
    const LATE: Duration = Duration::from_millis(2);
    const IS_REPEATABLE: bool = true;

    fn open(policy: RefreshPolicy, seed: u64, behaviour: Behaviour) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let inside = runtime.enter();
        let clock = Simulated::new();
        let script = Script::new(&clock, behaviour);
        let credentials = RefreshableCredentials::builder(script.clone())
            .clock(Clock::Simulated(clock.clone()))
            .policy(policy)
            .seed(seed)
            .build();
        drop(inside);
        let shell = Self { credentials, readers: Vec::new(), script, clock, runtime };
        shell.settle();
        shell
    }

    fn pass(&mut self, duration: Duration) {
        self.runtime.block_on(async { tokio::time::sleep(duration).await });
        self.settle();
    }

    fn sleep(&mut self, duration: Duration) {
        self.clock.sleep(duration);
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
        self.script.does(behaviour);
        self.settle();
    }

    fn reject(&mut self, key: &str) {
        {
            // Time is the runtime's.
            let _inside = self.runtime.enter();
            self.credentials.rejected(key);
        }
        self.settle();
    }

    fn read(&mut self) -> Outcome {
        let reader = self.start_reading();
        self.settle();
        if reader.is_finished() {
            return self.told(reader);
        }
        self.readers.push(reader);
        Outcome::Waits
    }

    fn come(&mut self, readers: u64) {
        for _ in 0..readers {
            let reader = self.start_reading();
            self.readers.push(reader);
        }
        self.settle();
    }

    fn waiters(&mut self, is_over: bool) -> Vec<Outcome> {
        let is_done = self.readers.iter().all(JoinHandle::is_finished);
        if is_over && is_done {
            let readers = std::mem::take(&mut self.readers);
            return readers.into_iter().map(|reader| self.told(reader)).collect();
        }
        // One that was told while another waits is told too early: it shows as not waiting.
        let early = |reader: &JoinHandle<Outcome>| match reader.is_finished() {
            true => Outcome::Served("something, at once".into()),
            false => Outcome::Waits,
        };
        self.readers.iter().map(early).collect()
    }

    fn facts(&mut self) -> Facts {
        let _inside = self.runtime.enter();
        self.script.facts(&self.credentials.status())
    }
}
