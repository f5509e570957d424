//! `cargo xtask bench`: builds what is measured, measures it, and writes `bench/RESULTS.md`.

use crate::{
    package, python,
    shell::{self, Outcome, cargo},
    wheel,
};

pub(crate) fn run() -> Outcome {
    // It builds the command too, which the benchmark starts.
    let wheel = wheel::build()?;
    shell::run(&mut cargo(&[
        "bench",
        "--locked",
        "--package",
        "rolekeeper",
        "--bench",
        "side_by_side",
    ]))?;
    // What people install, beside the newest botocore; it adds its table to the other.
    let venv = python::NEWEST.ready()?;
    venv.install_wheel(&wheel)?;
    let root = shell::root();
    shell::run(
        package::elsewhere(&venv, "python")?
            .arg(root.join("crates/python/bench/side_by_side.py"))
            .arg("--append-to")
            .arg(root.join("bench/RESULTS.md")),
    )
}
