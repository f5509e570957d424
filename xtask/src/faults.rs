//! The faults (`tests/faults`): the wheel and its command as people have them, while services, networks
//! and the operating system fail. Decided here is only what they need; what is missing is left out,
//! and named.

use std::{path::PathBuf, process::Command, sync::Mutex};

use crate::{
    matrix, package, programs,
    python::{self, Venv},
    shell::{self, Outcome},
    wheel,
};

/// Something that not every machine has, by the name that the tests call it by, and why this one
/// hasn't.
struct Need {
    name: &'static str,
    /// Which tests.
    what: &'static str,
    missing: fn() -> Option<String>,
}

const NEEDS: &[Need] = &[
    Need {
        name: "strace",
        what: "kills within a system call",
        missing: || programs::missing_after_install(&[("strace", "--version")], &["strace"]),
    },
    Need {
        name: "faketime",
        what: "clocks that are set, machines that sleep",
        missing: || programs::missing_after_install(&[("faketime", "--version")], &["faketime"]),
    },
    Need { name: "mounts", what: "full disks, names that nobody knows", missing: why_no_mounts },
];

/// Most of a test is waiting for sessions to end: so many at once keep two processors half busy.
const AT_ONCE: &str = "10";

/// What the last run left out, for the summary.
static LEFT_OUT: Mutex<Vec<String>> = Mutex::new(Vec::new());

pub(crate) fn left_out() -> Vec<String> {
    LEFT_OUT.lock().map(|told| told.clone()).unwrap_or_default()
}

/// Runs all, and compares what is told with the table of docs/reliability.md.
pub(crate) fn run() -> Outcome {
    pytest(&[])
}

/// Runs all, and writes the table.
pub(crate) fn write() -> Outcome {
    wheel::build()?;
    pytest(&["--write-table"])
}

/// The same rules as for the package.
pub(crate) fn read() -> Outcome {
    let tools = python::TOOLS.ready()?;
    let ruff = |words: &[&str]| {
        let mut command = Command::new(tools.program("ruff"));
        command.args(words).arg("--no-cache").arg("--config");
        command.arg(shell::root().join("crates/python/pyproject.toml")).arg(folder());
        shell::run(&mut command)
    };
    ruff(&["format", "--check"])?;
    ruff(&["check"])
}

fn pytest(more: &[&str]) -> Outcome {
    let venv = python::FAULTS.ready()?;
    venv.install_wheel(&wheel::built().or_else(|_| wheel::build())?)?;
    let missing: Vec<_> = NEEDS.iter().filter_map(|need| Some((need, (need.missing)()?))).collect();
    let line = |(need, why): &(&Need, String)| format!("{}={why}", need.name);
    let mut pytest = tests(&venv)?;
    pytest
        .args(more)
        .env("ROLEKEEPER_FAULTS_LEFT_OUT", missing.iter().map(line).collect::<Vec<_>>().join("\n"));
    if !missing.iter().any(|(need, _)| need.name == "faketime") {
        pytest.env("ROLEKEEPER_FAULTS_LIBC_COMMAND", matrix::with_clock_of_libc()?);
    }
    if let Ok(mut told) = LEFT_OUT.lock() {
        *told = missing.iter().map(|(need, why)| format!("{}: {why}", need.what)).collect();
    }
    shell::run(&mut pytest)
}

fn tests(venv: &Venv) -> Outcome<Command> {
    let mut pytest = package::elsewhere(venv, "pytest")?;
    pytest
        .args(["--quiet", "-p", "no:cacheprovider", "--numprocesses", AT_ONCE])
        .args(["--dist", "worksteal"])
        .arg("-c")
        .arg(folder().join("pytest.ini"))
        .arg("--rootdir")
        .arg(folder())
        .arg(folder());
    Ok(pytest)
}

fn folder() -> PathBuf {
    shell::root().join("tests/faults")
}

/// Only root can mount, and not everywhere.
fn why_no_mounts() -> Option<String> {
    let mount = ["--mount", "sh", "-c", "mount -t tmpfs tmpfs /mnt"];
    let can_mount = shell::works("unshare", &mount);
    (!can_mount).then(|| "only root can mount disks, and not everywhere (CAP_SYS_ADMIN)".to_owned())
}
