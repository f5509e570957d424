//! `cargo xtask soak [SEEDS]`: many more of the simulated worlds than the tests run, in the release
//! build. It prints how far it is, and at the end what was simulated.

use crate::shell::{self, Outcome, cargo};

/// A few hours on two cores.
const SEEDS: u64 = 1_000_000;

pub(crate) fn run(seeds: Option<&str>) -> Outcome {
    let seeds = match seeds {
        None => SEEDS,
        Some(text) => text.parse().map_err(|_| format!("{text} is no number of seeds"))?,
    };
    let arguments =
        ["test", "--release", "--locked", "--package", "rolekeeper-tests", "--test", "simulation"];
    shell::run(
        cargo(&arguments)
            .args(["--", "--ignored", "--exact", "soak", "--nocapture"])
            .env("ROLEKEEPER_SEEDS", seeds.to_string()),
    )
}
