//! `cargo xtask races`: the concurrent parts on real threads, watched by ThreadSanitizer.
//!
//! What it covers: the cell over the real `ArcSwap`, the fast lane, the engine, the refresher and the
//! pace on a real tokio, with readers, rejections, refreshes by hand and runtimes that go. That code
//! has no `unsafe`, so what could race is what it stands on; and the stories' own claims (no session
//! half written, none older than the one before) are checked in whatever order the machine takes.
//!
//! What it doesn't: std's own locks, for which `parking_lot`'s stand in, since std comes without
//! ThreadSanitizer's marks and can't be built here; what the last owner of an `Arc` frees; the AWS
//! SDK. Orders that the machine does not happen to take are loom's and shuttle's (`tests/models`).
//! Miri would see more, and is a component of nightly toolchains alone.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::shell::{self, Outcome, cargo};

const PACKAGE: &str = "crates/rolekeeper/tests/races";
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// std is built without it: so it was decided, and is suppressed what comes of it.
const FLAGS: &str = "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer";

/// What ThreadSanitizer makes a program end with that it has something to say of.
const REPORTED: i32 = 66;

pub(crate) fn run() -> Outcome {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err(format!("ThreadSanitizer is set up here for {TARGET} alone"));
    }
    let package = shell::root().join(PACKAGE);
    let folder = shell::target().join("tsan");
    let mut build = cargo(&["build", "--locked", "--target", TARGET, "--manifest-path"]);
    build.arg(package.join("Cargo.toml")).arg("--target-dir").arg(&folder);
    // A stable compiler has the sanitizers, and wants to be told that one means it.
    shell::run(build.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", FLAGS))?;
    let program = folder.join(TARGET).join("debug/rolekeeper-races");
    is_watched(&program)?;
    let suppressions = package.join("suppressions.txt");
    shell::run(Command::new(&program).env("TSAN_OPTIONS", options(Some(&suppressions))))?;
    shell::say("\nok  ThreadSanitizer has nothing to report");
    Ok(())
}

/// A program that nobody watches would pass too.
fn is_watched(program: &PathBuf) -> Outcome {
    let mut watched = Command::new(program);
    watched.arg("watched").env("TSAN_OPTIONS", options(None));
    let status = watched.stdin(Stdio::null()).stderr(Stdio::null()).status();
    match status.map(|status| status.code()) {
        Ok(Some(REPORTED)) => Ok(()),
        Ok(code) => Err(format!("ThreadSanitizer doesn't report what it must (exit {code:?})")),
        Err(error) => Err(format!("cannot start {}: {error}", program.display())),
    }
}

fn options(suppressions: Option<&Path>) -> String {
    let suppressed = suppressions.map(|path| format!(" suppressions={}", path.display()));
    format!("exitcode={REPORTED}{}", suppressed.unwrap_or_default())
}
