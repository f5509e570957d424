//! Times as Python has them: seconds since the epoch.

use std::time::Duration;

use pyo3::{exceptions::PyValueError, prelude::*};
use rolekeeper::WallTime;

const NANOS: f64 = 1e9;

/// Out of range, and for credentials that never end, the last moment there is (in the year 2262).
pub(crate) fn wall_time(epoch_seconds: f64) -> WallTime {
    let seconds = epoch_seconds.floor();
    // `as` keeps to the type's range, and makes 0 of what is no number.
    let nanos = ((epoch_seconds - seconds) * NANOS) as i64;
    let whole = (seconds as i64).saturating_mul(NANOS as i64);
    WallTime::from_unix_nanos(whole.saturating_add(nanos))
}

pub(crate) fn epoch_seconds(time: WallTime) -> f64 {
    time.as_unix_nanos() as f64 / NANOS
}

/// A length of time that a caller has chosen.
pub(crate) fn duration(name: &str, seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|_| {
        PyValueError::new_err(format!("{name} is {seconds}: seconds, not below zero, are wanted"))
    })
}
