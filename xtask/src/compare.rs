//! `cargo xtask compare [PART…] [--quick]`: rolekeeper beside its peers, in one run. Builds what is
//! compared, has each part measure, and writes `bench/COMPARISON.md` and its two plots.
//!
//! A part is a program that prints one JSON document. One that can't be built or that fails is
//! named in the table, with the reason; the others are measured all the same.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    package, programs,
    python::{self, Environment},
    shell::{self, Outcome, cargo},
    wheel,
};

const FOLDER: &str = "bench/compare";

/// With fewer rounds: shows that it works, no more.
const QUICK: &str = "--quick";

/// One of the programs that measure.
struct Part {
    name: &'static str,
    /// Builds what it compares, and says how it is begun.
    prepare: fn() -> Outcome<Command>,
}

const PARTS: &[Part] = &[
    Part { name: "python", prepare: || prepare_python(&python::COMPARE, "threads") },
    Part { name: "asyncio", prepare: || prepare_python(&python::COMPARE_AIO, "asyncio") },
    Part { name: "rust", prepare: prepare_rust },
    Part { name: "servers", prepare: prepare_servers },
];

/// All parts, and the report of them; or those that are named, printed and not written.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let (quick, only): (Vec<&str>, Vec<&str>) = arguments.iter().partition(|word| **word == QUICK);
    if let Some(unknown) = only.iter().find(|word| PARTS.iter().all(|part| part.name != **word)) {
        let known: Vec<_> = PARTS.iter().map(|part| part.name).collect();
        return Err(format!("there is no part {unknown}, but {}", known.join(", ")));
    }
    // The wheel's build makes the command of the release profile too, whose sandbox all call.
    let wheel = wheel::build()?;
    for environment in [python::COMPARE, python::COMPARE_AIO] {
        environment.ready()?.install_wheel(&wheel)?;
    }
    let chosen = PARTS.iter().filter(|part| only.is_empty() || only.contains(&part.name));
    // All is built before anything is measured, which building would disturb.
    let prepared: Vec<_> = chosen.map(|part| (part.name, (part.prepare)())).collect();
    let results = results()?;
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    for (name, command) in prepared {
        let found = command.and_then(|mut command| measure(command.args(&quick)));
        let (ending, content) = match found {
            Ok(document) => ("json", document),
            Err(why) => {
                shell::complain(&format!("{name}: {why}"));
                ("failed", why)
            }
        };
        let path = results.join(name).with_extension(ending);
        fs::write(&path, content)
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    let mut report = Command::new(python::COMPARE.ready()?.program("python"));
    report.current_dir(shell::root()).arg("bench/compare/report.py").arg("--parts").arg(&results);
    if only.is_empty() && quick.is_empty() {
        let load = load.split_whitespace().next().unwrap_or("unknown");
        report.args(["--into", "bench", "--load-before", load]);
    }
    shell::run(&mut report)
}

/// Where the parts' documents go, with none of an earlier run in it.
fn results() -> Outcome<PathBuf> {
    let folder = shell::target().join("compare/parts");
    let made = fs::remove_dir_all(&folder).or(Ok(())).and_then(|()| fs::create_dir_all(&folder));
    made.map_err(|error: std::io::Error| format!("cannot make {}: {error}", folder.display()))?;
    Ok(folder)
}

/// What it prints; what it says meanwhile goes to stderr.
fn measure(command: &mut Command) -> Outcome<String> {
    let told = format!("{command:?}");
    let run = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot start {told}: {error}"))?;
    if !run.status.success() {
        return Err(format!("it failed ({})", run.status));
    }
    String::from_utf8(run.stdout).map_err(|_| "it printed what is no text".to_owned())
}

fn prepare_python(environment: &Environment, face: &str) -> Outcome<Command> {
    let mut python = package::elsewhere(&environment.ready()?, "python")?;
    python.arg(shell::root().join(FOLDER).join("python/libraries.py")).arg(face);
    Ok(python)
}

/// A package of its own, with a lock file of its own: what it is compared to never gets into ours.
fn prepare_rust() -> Outcome<Command> {
    let folder = shell::target().join("compare/rust");
    shell::run(
        cargo(&["build", "--release", "--locked", "--manifest-path"])
            .arg(Path::new(FOLDER).join("rust/Cargo.toml"))
            .arg("--target-dir")
            .arg(&folder),
    )?;
    let mut libraries = Command::new(folder.join("release/compare-libraries"));
    libraries.arg("--program").arg(program("release"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            libraries.env_remove(name);
        }
    }
    Ok(libraries)
}

/// Those that are written in Go are built where there is a Go; what can't be had, the part names.
fn prepare_servers() -> Outcome<Command> {
    shell::run(&mut cargo(&[
        "build",
        "--locked",
        "--package",
        "rolekeeper-cli",
        "--profile",
        "dist",
    ]))?;
    // What is still missing then, the part names.
    if !shell::works("sh", &["-c", "command -v wrk && command -v openssl && command -v aws"]) {
        programs::install(&["wrk", "openssl", "awscli"]);
    }
    let folder = shell::root().join(FOLDER).join("servers");
    let peers = shell::target().join("compare/go");
    shell::run(Command::new("python3").arg(folder.join("build.py")).arg("--into").arg(&peers))?;
    let mut servers = Command::new("python3");
    servers
        .current_dir(shell::root())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg(folder.join("run.py"))
        .arg("--rolekeeper")
        .arg(program("release"))
        .arg("--dist")
        .arg(program("dist"))
        .arg("--peers")
        .arg(peers.join("bin"));
    Ok(servers)
}

/// The command, of this profile.
fn program(profile: &str) -> PathBuf {
    shell::target().join(profile).join("rolekeeper")
}
