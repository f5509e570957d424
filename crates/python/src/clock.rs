//! Clocks of Python's: one that a test moves, and any function that tells the time.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use pyo3::prelude::*;
use rolekeeper::{Clock as RustClock, WallTime, clock::Simulated};

use crate::{
    interpreter,
    moments::{duration, epoch_seconds, wall_time},
};

/// Real time plus what a test adds.
#[pyclass(frozen, module = "rolekeeper._rolekeeper")]
pub(crate) struct Clock(Simulated);

/// For keepers that are opened without a clock of their own.
static DEFAULT: ArcSwapOption<RustClock> = ArcSwapOption::const_empty();

#[pymethods]
impl Clock {
    #[new]
    fn new() -> Self {
        Self(Simulated::starting_at(RustClock::System.now().wall))
    }

    /// Time passes, for every clock, as if the machine had slept.
    fn advance(&self, seconds: f64) -> PyResult<()> {
        self.0.sleep(duration("the time to advance by", seconds)?);
        Ok(())
    }

    /// The wall clock alone is set forward, or back by a negative number.
    fn step_wall(&self, seconds: i64) {
        self.0.step_wall(seconds);
    }

    /// The wall clock, in epoch seconds.
    fn time(&self) -> f64 {
        epoch_seconds(self.0.now().wall)
    }
}

/// The clock of keepers that are opened from now on without one of their own; `None` for the
/// machine's.
#[pyfunction]
#[pyo3(signature = (clock))]
pub(crate) fn set_default_clock(clock: Option<PyRef<'_, Clock>>) {
    DEFAULT.store(clock.map(|clock| Arc::new(RustClock::Simulated(clock.0.clone()))));
}

/// What [`set_default_clock`] has set.
#[pyfunction]
pub(crate) fn default_clock() -> Option<Clock> {
    match DEFAULT.load().as_deref() {
        Some(RustClock::Simulated(simulated)) => Some(Clock(simulated.clone())),
        _ => None,
    }
}

/// What a keeper's `clock` argument means.
pub(crate) fn clock_of(given: Option<Bound<'_, PyAny>>) -> RustClock {
    let Some(given) = given else {
        return DEFAULT.load().as_deref().cloned().unwrap_or_default();
    };
    if let Ok(clock) = given.cast::<Clock>() {
        return RustClock::Simulated(clock.get().0.clone());
    }
    let function = given.unbind();
    RustClock::with_wall(move || asked(&function).unwrap_or_else(|| RustClock::System.now().wall))
}

/// What the function says; `None` if it can't tell a time, or the interpreter has ended.
fn asked(function: &Py<PyAny>) -> Option<WallTime> {
    interpreter::attach(|py| function.call0(py)?.extract::<f64>(py))?.ok().map(wall_time)
}
