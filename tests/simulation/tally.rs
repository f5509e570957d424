//! What happened in worlds, counted: so that nobody takes empty ones for a proof.

use std::{collections::BTreeMap, fmt};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    counts: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(crate) fn add(&mut self, what: &'static str) {
        self.add_many(what, 1);
    }

    pub(crate) fn add_many(&mut self, what: &'static str, many: u64) {
        *self.counts.entry(what).or_default() += many;
    }

    pub(crate) fn of(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or(0)
    }

    pub(crate) fn join(&mut self, other: &Self) {
        for (what, many) in &other.counts {
            self.add_many(what, *many);
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.counts.iter().try_for_each(|(what, many)| writeln!(f, "{many:>14}  {what}"))
    }
}
