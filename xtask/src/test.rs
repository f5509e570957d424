//! `cargo xtask test [WORD]`: everything that has to pass before anything lands. It stops at the first
//! step that fails: what did not run is not counted as passed.

use std::process::Command;

use crate::{
    matrix, package, python,
    shell::{self, Outcome, cargo},
    wheel,
};

struct Step {
    name: &'static str,
    run: fn() -> Outcome,
}

const MATRIX: &str = "SDK matrix";

/// Cheap ones first.
const STEPS: &[Step] = &[
    Step { name: "toolchain", run: toolchain },
    Step { name: "format", run: || shell::run(&mut cargo(&["fmt", "--all", "--check"])) },
    Step { name: "clippy", run: clippy },
    Step { name: "documentation", run: documentation },
    Step { name: "tests", run: || shell::run(&mut cargo(&["test", "--workspace", "--locked"])) },
    Step { name: "tests with Python programs", run: with_python },
    Step { name: MATRIX, run: matrix::run },
    Step { name: "Python package, format, lint and types", run: package::read },
    Step { name: "wheel", run: || wheel::build().map(drop) },
    Step { name: "wheel in a fresh environment", run: package::fresh },
    Step { name: "wheel with the newest botocore", run: || package::NEWEST.run() },
    Step { name: "wheel with the oldest botocore", run: || package::OLDEST.run() },
    Step { name: "wheel with aiobotocore", run: || package::AIO.run() },
    Step { name: "wheel with aioboto3", run: || package::AIOBOTO3.run() },
    Step { name: "wheel, no test left out everywhere", run: package::none_left_out },
    Step { name: "wheel under botocore's own suites", run: package::botocore },
];

/// Runs all steps, or those whose name has this word in it.
pub(crate) fn run(only: Option<&str>) -> Outcome {
    let steps: Vec<&Step> =
        STEPS.iter().filter(|step| only.is_none_or(|word| step.name.contains(word))).collect();
    if steps.is_empty() {
        let names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        return Err(format!("no step has that in its name; there are: {}", names.join(", ")));
    }
    for Step { name, run } in &steps {
        run().map_err(|why| format!("step `{name}`: {why}"))?;
    }
    shell::say("");
    // A matrix with clients left out has not passed.
    let left_out = matrix::left_out();
    let whole = |name| name != MATRIX || left_out.is_empty();
    for Step { name, .. } in steps.iter().filter(|step| whole(step.name)) {
        shell::say(&format!("ok  {name}"));
    }
    for client in &left_out {
        shell::say(&format!("NOT RUN  {MATRIX}, {client}"));
    }
    let passed = steps.iter().filter(|step| whole(step.name)).count();
    let not_run = match STEPS.len() - passed {
        0 => String::new(),
        number => format!(", {number} NOT RUN"),
    };
    shell::say(&format!("steps: {passed} passed, 0 failed{not_run}"));
    Ok(())
}

fn toolchain() -> Outcome {
    for (command, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        let works = cargo(&[command, "--version"]).output().is_ok_and(|run| run.status.success());
        if !works {
            return Err(format!(
                "{component} is missing; install it: rustup component add {component}"
            ));
        }
    }
    if shell::works("cc", &["--version"]) {
        return Ok(());
    }
    Err("a C compiler is missing (TLS is partly C); install one (Debian: apt-get install gcc)"
        .into())
}

fn clippy() -> Outcome {
    let arguments =
        ["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"];
    shell::run(&mut cargo(&arguments))
}

fn documentation() -> Outcome {
    let arguments = ["doc", "--workspace", "--no-deps", "--locked", "--document-private-items"];
    shell::run(cargo(&arguments).env("RUSTDOCFLAGS", "--deny warnings"))
}

/// An independent STS (moto), the AWS CLI and boto3, from a virtual environment under `target/`.
fn with_python() -> Outcome {
    let venv = python::CLIENTS.ready()?;
    // Of the whole workspace: for one package alone, cargo would build every dependency anew.
    let arguments = ["test", "--workspace", "--locked", "--test", "cli", "--", "--ignored"];
    let mut tests: Command = cargo(&arguments);
    shell::run(tests.env("ROLEKEEPER_TEST_VENV", venv.path()))
}
