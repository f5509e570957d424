//! `cargo xtask test [WORD]`: everything that has to pass before anything lands. It stops at the first
//! step that fails: what did not run is not counted as passed.

use std::process::Command;

use crate::{
    faults, matrix, package,
    programs::{self, Program},
    python,
    shell::{self, Outcome, cargo},
    wheel,
};

struct Step {
    name: &'static str,
    run: fn() -> Outcome,
}

const MATRIX: &str = "SDK matrix";
const FAULTS: &str = "faults";
const AS_ROOT: &str = "tests with other users and disks";
const REDIS: &str = "tests with Redis";

/// Cheap ones first.
const STEPS: &[Step] = &[
    Step { name: "toolchain", run: toolchain },
    Step { name: "format", run: || shell::run(&mut cargo(&["fmt", "--all", "--check"])) },
    Step { name: "clippy", run: clippy },
    Step { name: "documentation", run: documentation },
    Step { name: "tests", run: || shell::run(&mut cargo(&["test", "--workspace", "--locked"])) },
    Step { name: AS_ROOT, run: as_root },
    Step { name: REDIS, run: with_redis },
    Step { name: "tests with Python programs", run: with_python },
    Step { name: MATRIX, run: matrix::run },
    Step { name: "Python package, format, lint and types", run: python_texts },
    Step { name: "wheel", run: || wheel::build().map(drop) },
    Step { name: "wheel in a fresh environment", run: package::fresh },
    Step { name: "wheel with the newest botocore", run: || package::NEWEST.run() },
    Step { name: "wheel with the oldest botocore", run: || package::OLDEST.run() },
    Step { name: "wheel with aiobotocore", run: || package::AIO.run() },
    Step { name: "wheel with aioboto3", run: || package::AIOBOTO3.run() },
    Step { name: "wheel, no test left out everywhere", run: package::none_left_out },
    Step { name: "wheel under botocore's own suites", run: package::botocore },
    Step { name: FAULTS, run: faults::run },
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
    // A step of which something was left out has not passed.
    let (whole, rest): (Vec<_>, Vec<_>) =
        steps.into_iter().partition(|step| left_out(step.name).is_empty());
    for Step { name, .. } in &whole {
        shell::say(&format!("ok  {name}"));
    }
    for Step { name, .. } in rest {
        for what in left_out(name) {
            shell::say(&format!("NOT RUN  {name}, {what}"));
        }
    }
    let passed = whole.len();
    let not_run = match STEPS.len() - passed {
        0 => String::new(),
        number => format!(", {number} NOT RUN"),
    };
    shell::say(&format!("steps: {passed} passed, 0 failed{not_run}"));
    Ok(())
}

/// What this machine can't run of a step.
fn left_out(step: &str) -> Vec<String> {
    match step {
        MATRIX => matrix::left_out(),
        FAULTS => faults::left_out(),
        REDIS => programs::missing(REDIS_NEEDS, REDIS_DEBIAN).into_iter().collect(),
        AS_ROOT => why_not_as_root().into_iter().collect(),
        _ => Vec::new(),
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|id| id.stdout.trim_ascii() == b"0")
}

/// Only root can act as another user, and not everywhere can root mount a disk.
fn why_not_as_root() -> Option<String> {
    if !is_root() {
        return Some("only root can act as another user and mount disks".to_owned());
    }
    let mount = ["--mount", "sh", "-c", "mount -t tmpfs tmpfs /mnt"];
    let can_mount = shell::works("unshare", &mount);
    (!can_mount).then(|| "this machine lets nobody mount a disk (CAP_SYS_ADMIN)".to_owned())
}

/// Who is not the agent's user is kept out of what is only for that one; and disks that are full, or
/// can't be written to.
fn as_root() -> Outcome {
    let mut filters = Vec::new();
    if is_root() {
        filters.extend(["another_user", "in_memory"]);
    }
    if why_not_as_root().is_none() {
        filters.push("on_a_disk");
    }
    if filters.is_empty() {
        return Ok(());
    }
    // Of the whole workspace: for one package alone, cargo would build every dependency anew.
    let arguments = ["test", "--workspace", "--locked", "--test", "agent", "--test", "cli"];
    shell::run(cargo(&arguments).args(["--", "--ignored"]).args(filters))
}

/// A sentinel is the same program by another name.
const REDIS_NEEDS: &[Program] = &[("redis-server", "--version"), ("redis-cli", "--version")];
const REDIS_DEBIAN: &[&str] = &["redis-server"];

/// The store that hosts share, with servers that are killed, stopped, filled and moved.
fn with_redis() -> Outcome {
    if programs::missing_after_install(REDIS_NEEDS, REDIS_DEBIAN).is_some() {
        return Ok(());
    }
    // Of the whole workspace: for one package alone, cargo would build every dependency anew.
    let arguments = ["test", "--workspace", "--locked", "--test", "stores", "--test", "cli"];
    shell::run(cargo(&arguments).args(["--", "--ignored", "redis"]))
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

fn python_texts() -> Outcome {
    package::read()?;
    faults::read()
}

/// An independent STS (moto), the AWS CLI and boto3, from a virtual environment under `target/`.
fn with_python() -> Outcome {
    let venv = python::CLIENTS.ready()?;
    // Of the whole workspace: for one package alone, cargo would build every dependency anew.
    let arguments = ["test", "--workspace", "--locked", "--test", "cli", "--", "--ignored"];
    let mut tests: Command = cargo(&arguments);
    shell::run(tests.env("ROLEKEEPER_TEST_VENV", venv.path()))
}
