//! `cargo xtask test`: everything that has to pass before anything lands. It stops at the first
//! step that fails.

use std::process::Command;

use crate::{
    python,
    shell::{self, Outcome, cargo},
};

struct Step {
    name: &'static str,
    run: fn() -> Outcome,
}

/// Cheap ones first.
const STEPS: &[Step] = &[
    Step { name: "toolchain", run: toolchain },
    Step { name: "format", run: || shell::run(&mut cargo(&["fmt", "--all", "--check"])) },
    Step { name: "clippy", run: clippy },
    Step { name: "documentation", run: documentation },
    Step { name: "tests", run: || shell::run(&mut cargo(&["test", "--workspace", "--locked"])) },
    Step { name: "tests with Python programs", run: with_python },
];

pub(crate) fn run() -> Outcome {
    for Step { name, run } in STEPS {
        run().map_err(|why| format!("step `{name}`: {why}"))?;
    }
    shell::say("");
    for Step { name, .. } in STEPS {
        shell::say(&format!("ok  {name}"));
    }
    shell::say(&format!("steps: {} passed, 0 failed", STEPS.len()));
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
    let venv = python::environment()?;
    // Of the whole workspace: for one package alone, cargo would build every dependency anew.
    let arguments = ["test", "--workspace", "--locked", "--test", "cli", "--", "--ignored"];
    let mut tests: Command = cargo(&arguments);
    shell::run(tests.env("ROLEKEEPER_TEST_VENV", venv))
}
