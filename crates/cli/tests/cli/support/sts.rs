//! The sandbox, in this process: no test waits for a port, and each sees its own calls only.

use std::time::Duration;

use rolekeeper_sandbox::{Config, Faults, Running, Sandbox};
use tokio::runtime::{Builder, Runtime};

/// The sandbox user's: it must be in nobody's output.
pub(crate) const USER_SECRET: &str = "opensNothing/butTheSandboxOnThisMachine0";

/// The built-in roles' ARNs.
pub(crate) fn role(name: &str) -> String {
    format!("arn:aws:iam::123456789012:role/{name}")
}

pub(crate) struct Sts {
    running: Running,
    _runtime: Runtime,
}

impl Sts {
    pub(crate) fn start() -> Self {
        Self::start_with(None, Config::default())
    }

    /// Its sessions last so many seconds.
    pub(crate) fn short_lived(seconds: u64) -> Self {
        Self::start_with(Some(Duration::from_secs(seconds)), Config::default())
    }

    pub(crate) fn start_with(lifetime: Option<Duration>, config: Config) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let sandbox = Sandbox::builder().session_lifetime(lifetime).config(config).start();
        let running = runtime.block_on(sandbox).unwrap();
        Self { running, _runtime: runtime }
    }

    pub(crate) fn misbehave(&self, faults: Faults) {
        self.running.faults().set(faults);
    }
}

impl std::ops::Deref for Sts {
    type Target = Running;

    fn deref(&self) -> &Running {
        &self.running
    }
}
