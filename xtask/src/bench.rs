//! `cargo xtask bench`: builds what is measured, measures it, and writes `bench/RESULTS.md`.

use std::process::Command;

use crate::{
    package, programs, python,
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
    )?;
    measure_agent(&["--append-to", "bench/RESULTS.md"])?;
    // With what it is compared to and shares through, where they can be had.
    let needs = [("redis-server", "--version"), ("aws", "--version")];
    if let Some(missing) = programs::missing_after_install(&needs, &["redis-server", "awscli"]) {
        shell::say(&missing);
    }
    shell::run(
        package::elsewhere(&venv, "python")?
            .arg(root.join("crates/cli/bench/sharing.py"))
            .arg("--program")
            .arg(shell::target().join("release/rolekeeper"))
            .arg("--dist")
            .arg(shell::target().join("dist/rolekeeper"))
            .arg("--append-to")
            .arg(root.join("bench/RESULTS.md")),
    )
}

/// The agent's table alone, printed and not written.
pub(crate) fn agent() -> Outcome {
    measure_agent(&[])
}

/// As people install it; the release build beside it.
fn measure_agent(arguments: &[&str]) -> Outcome {
    for profile in ["release", "dist"] {
        shell::run(&mut cargo(&[
            "build",
            "--locked",
            "--package",
            "rolekeeper-cli",
            "--profile",
            profile,
        ]))?;
    }
    // wrk knows no question that it ends well after. What is missing then, the table says.
    if !shell::works("sh", &["-c", "command -v wrk && command -v nginx"]) {
        programs::install(&["wrk", "nginx-light"]);
    }
    shell::run(
        Command::new("python3")
            .current_dir(shell::root())
            .arg("crates/agent/bench/side_by_side.py")
            .arg("--program")
            .arg(shell::target().join("release/rolekeeper"))
            .arg("--dist")
            .arg(shell::target().join("dist/rolekeeper"))
            .args(arguments),
    )
}
