//! Whose rules the workers go by.

use super::{
    alone::Alone, botocore::Botocore, day::Day, figures::Figures, fleet, on_demand::OnDemand,
    shared::Shared,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    Shared,
    Alone,
    Sdks,
    Botocore,
}

// === impl Rule ===

impl Rule {
    pub(super) const ALL: [Self; 4] = [Self::Shared, Self::Alone, Self::Sdks, Self::Botocore];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Shared => "rolekeeper + store",
            Self::Alone => "rolekeeper alone",
            Self::Sdks => "SDKs' standard",
            Self::Botocore => "botocore",
        }
    }

    /// For whoever knows none of the names.
    pub(super) fn description(self) -> &'static str {
        match self {
            Self::Shared => "rolekeeper, one session for all, through a store such as Redis",
            Self::Alone => "rolekeeper without a store: a session for each worker",
            Self::Sdks => "the rule that the SDKs converge on: a session for each worker",
            Self::Botocore => "botocore's rule: a session for each process",
        }
    }

    /// A day of all workers by this rule; tells now and then how much of it is done, in percent.
    pub(super) fn run(self, day: &Day, tell: &mut dyn FnMut(u64)) -> Figures {
        match self {
            Self::Shared => fleet::in_order(day, &mut Shared::new(day), tell),
            Self::Alone => fleet::of_loners(day, Alone::default(), tell),
            Self::Sdks => fleet::of_loners(day, OnDemand::default(), tell),
            Self::Botocore => fleet::of_loners(day, Botocore::new(day), tell),
        }
    }
}
