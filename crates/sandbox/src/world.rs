//! Decides what the sandbox's parts share: its configuration, clock, sessions, faults and counts.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::{Clock, Moment};
use crate::config::Config;
use crate::counts::{Counter, Counts};
use crate::faults::{self, Faults, Plan};
use crate::mfa::UsedCodes;
use crate::secret::Secret;
use crate::sessions::Sessions;
use crate::wire::Service;

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) config: Config,
    pub(crate) session_lifetime: Option<Duration>,
    pub(crate) admin_token: Secret,
    pub(crate) address: SocketAddr,
    pub(crate) clock: Clock,
    sessions: Mutex<Sessions>,
    used_codes: Mutex<UsedCodes>,
    counter: Mutex<Counter>,
    faults: Mutex<faults::State>,
    /// Tells the calls that hang that the faults are others now.
    faults_changed: watch::Sender<()>,
    hanging: AtomicU64,
    request_ids: AtomicU64,
    /// Keeps the request ids of two runs apart.
    run: u64,
}

/// Counts a call as hanging for as long as it lives.
struct Hanging<'a>(&'a AtomicU64);

// === impl World ===

impl World {
    pub(crate) fn new(
        config: Config,
        session_lifetime: Option<Duration>,
        faults: Faults,
        admin_token: Secret,
        address: SocketAddr,
        run: u64,
    ) -> Self {
        let world = Self {
            config,
            session_lifetime,
            admin_token,
            address,
            clock: Clock::start(),
            sessions: Mutex::default(),
            used_codes: Mutex::default(),
            counter: Mutex::default(),
            faults: Mutex::default(),
            faults_changed: watch::Sender::new(()),
            hanging: AtomicU64::new(0),
            request_ids: AtomicU64::new(0),
            run,
        };
        world.set_faults(faults);
        world
    }

    /// The server's clock, which a fault may have shifted.
    pub(crate) fn now(&self) -> Moment {
        let offset = lock(&self.faults).faults.clock_offset_seconds;
        self.clock.wall().shifted(offset)
    }

    /// What the `Date` header says.
    pub(crate) fn date_header(&self) -> String {
        let offset = lock(&self.faults).faults.date_header_offset_seconds;
        self.now().shifted(offset).http_date()
    }

    pub(crate) fn sessions(&self) -> MutexGuard<'_, Sessions> {
        lock(&self.sessions)
    }

    pub(crate) fn used_codes(&self) -> MutexGuard<'_, UsedCodes> {
        lock(&self.used_codes)
    }

    pub(crate) fn count(&self, operation: &str, caller: &str, result: &str) {
        lock(&self.counter).add(operation, caller, result);
    }

    pub(crate) fn counts(&self) -> Counts {
        lock(&self.counter).snapshot(self.hanging.load(Ordering::Acquire))
    }

    pub(crate) fn faults(&self) -> Faults {
        lock(&self.faults).faults.clone()
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        let uptime = self.clock.uptime();
        lock(&self.faults).set(faults, uptime);
        self.faults_changed.send_replace(());
    }

    /// What becomes of a call; waits for as long as that is to hang.
    pub(crate) async fn plan(&self, service: Service, operation: &str) -> Plan {
        loop {
            // Before looking, so that a change after the look is not missed.
            let mut changes = self.faults_changed.subscribe();
            let uptime = self.clock.uptime();
            let plan = lock(&self.faults).plan(service, operation, uptime);
            if !plan.hang {
                return plan;
            }
            let _hanging = Hanging::new(&self.hanging);
            // The sender lives in this same world, so it is never gone.
            let _ = changes.changed().await;
        }
    }

    pub(crate) fn request_id(&self) -> String {
        let number = self.request_ids.fetch_add(1, Ordering::Relaxed);
        let run = self.run;
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{number:012x}",
            run >> 32,
            (run >> 16) & 0xffff,
            (run >> 4) & 0xfff,
            number >> 48,
        )
    }
}

impl<'a> Hanging<'a> {
    fn new(hanging: &'a AtomicU64) -> Self {
        hanging.fetch_add(1, Ordering::AcqRel);
        Self(hanging)
    }
}

impl Drop for Hanging<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A call that panicked while it held the lock left nothing half done that others could not use.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
