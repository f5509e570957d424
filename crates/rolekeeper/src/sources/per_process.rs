//! A value that belongs to where it was made: one process and one runtime in it. Elsewhere another
//! is made.
//!
//! Connections, and whatever else has a lock inside, must not be used by a child after a `fork`:
//! another thread of the parent may have held that lock, and the two would share one socket. And a
//! pooled connection is served by the runtime that opened it: from another it would hang while that
//! one stands still.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwapOption;
use tokio::runtime::{self, Handle};

/// Where a value was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    pid: u32,
    runtime: Option<runtime::Id>,
}

/// At most as many values as this are kept, the newest.
const PLACES: usize = 8;

type Values<T> = Vec<(Place, Arc<T>)>;

pub(crate) struct PerProcess<T>(ArcSwapOption<Values<T>>);

impl Place {
    fn here() -> Self {
        let runtime = Handle::try_current().ok().map(|handle| handle.id());
        Self { pid: std::process::id(), runtime }
    }
}

impl<T> PerProcess<T> {
    pub(crate) const fn empty() -> Self {
        Self(ArcSwapOption::const_empty())
    }

    /// The value of this place, if one was made.
    pub(crate) fn own(&self) -> Option<Arc<T>> {
        let here = Place::here();
        let values = self.0.load();
        let (_, value) = values.as_ref()?.iter().find(|(place, _)| *place == here)?;
        Some(Arc::clone(value))
    }

    /// Keeps `value` for this place. Where two threads make one at a time, one of both stays, and
    /// both are good.
    pub(crate) fn keep(&self, value: T) -> Arc<T> {
        let here = Place::here();
        let value = Arc::new(value);
        let old = self.0.load_full();
        let others = old.iter().flat_map(|values| values.iter());
        let mut values: Values<T> = vec![(here, Arc::clone(&value))];
        values.extend(
            others
                .filter(|(place, _)| place.pid == here.pid && *place != here)
                .take(PLACES - 1)
                .cloned(),
        );
        self.swap(Some(Arc::new(values)));
        value
    }

    pub(crate) fn own_or(&self, make: impl FnOnce() -> T) -> Arc<T> {
        self.own().unwrap_or_else(|| self.keep(make()))
    }

    /// The next who asks makes a new one.
    pub(crate) fn clear(&self) {
        self.swap(None);
    }

    fn swap(&self, new: Option<Arc<Values<T>>>) {
        let old = self.0.swap(new);
        let pid = std::process::id();
        let is_parents = |values: &Arc<Values<T>>| values.iter().any(|(place, _)| place.pid != pid);
        if old.as_ref().is_some_and(is_parents) {
            // To drop the parent's value could wait for a lock that nobody here will ever open.
            std::mem::forget(old);
        }
    }
}

impl<T> Default for PerProcess<T> {
    fn default() -> Self {
        Self::empty()
    }
}

impl<T> fmt::Debug for PerProcess<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.own().is_some() { "made" } else { "not yet made" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> runtime::Runtime {
        runtime::Builder::new_current_thread().build().unwrap()
    }

    #[test]
    fn each_runtime_has_a_value_of_its_own() {
        let value = PerProcess::empty();
        let (first, second) = (runtime(), runtime());
        let one = first.block_on(async { value.own_or(|| 1) });
        let two = second.block_on(async { value.own_or(|| 2) });
        assert_eq!((*one, *two), (1, 2));
        assert_eq!(first.block_on(async { value.own() }).as_deref(), Some(&1));
        assert_eq!(value.own(), None, "outside of any runtime");
        value.clear();
        assert_eq!(second.block_on(async { value.own() }), None);
    }
}
