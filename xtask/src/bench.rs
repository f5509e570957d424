//! `cargo xtask bench`: builds what is measured, measures it, and writes `bench/RESULTS.md`.

use crate::shell::{self, Outcome, cargo};

pub(crate) fn run() -> Outcome {
    shell::run(&mut cargo(&["build", "--release", "--locked", "--package", "rolekeeper-cli"]))?;
    shell::run(&mut cargo(&[
        "bench",
        "--locked",
        "--package",
        "rolekeeper",
        "--bench",
        "side_by_side",
    ]))
}
