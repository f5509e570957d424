//! The native part of the Python package: readers, sources, clocks and events of the library, as
//! Python's objects. What Python's people see of it stands in `python/rolekeeper`.

mod callback;
mod clock;
mod errors;
mod events;
mod interpreter;
mod keeper;
mod moments;
mod source;
mod status;
mod store;

use pyo3::prelude::*;

/// `rolekeeper._rolekeeper`
#[pymodule]
mod _rolekeeper {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::{
        callback::Request,
        clock::{Clock, default_clock, set_default_clock},
        events::{Event, Events},
        interpreter::{Starting, before_fork, close, forked_child, forked_parent},
        keeper::Keeper,
        source::{Base, Source, caller_identity, sort_sts_code},
        status::Status,
        store::Store,
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::interpreter::refuse_others(module.py())
    }

    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "Python's own name for it")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
