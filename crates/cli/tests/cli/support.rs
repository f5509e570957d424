//! A home of its own for every test, the binary in an empty environment, and a sandbox beside it.

mod agent;
mod invocation;
mod served;
mod sts;

pub(crate) use agent::{ANY_PORT, Agent, home_with_profiles, invocation, on_free_ports, socket};
pub(crate) use invocation::{Home, Invocation, Ran, Started, hidden};
pub(crate) use served::{LEAST_PATIENT_SDK, Reply, Served};
pub(crate) use sts::{Sts, USER_SECRET, role};

use std::{
    path::Path,
    thread,
    time::{Duration, SystemTime},
};

/// Two cores may be busy with other tests: nothing that goes well takes this long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Waits for a condition.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    wait_within(DEADLINE, what, condition)
}

#[track_caller]
pub(crate) fn wait_within<T>(
    limit: Duration,
    what: &str,
    mut condition: impl FnMut() -> Option<T>,
) -> T {
    let start = now();
    loop {
        if let Some(met) = condition() {
            return met;
        }
        assert!(now().saturating_sub(start) < limit, "waited in vain for: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Since the epoch. Tests measure what people would see on a watch.
#[expect(clippy::disallowed_methods, reason = "a test has no rolekeeper::clock")]
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap()
}

/// A file that another process writes in one go (by renaming it into place).
#[track_caller]
pub(crate) fn file_once_there(path: &Path) -> String {
    wait_for(&format!("{}", path.display()), || std::fs::read_to_string(path).ok())
}
