//! Running programs, and the only way to print.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What a chore comes to; the error is one line for the person who called it.
pub(crate) type Outcome<T = ()> = Result<T, String>;

pub(crate) fn say(line: &str) {
    // Whoever doesn't listen any more needs no telling.
    let _ = writeln!(std::io::stdout(), "{line}");
}

pub(crate) fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// `target/`, or wherever cargo was told to build.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The cargo that runs us, so that both are of one toolchain.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// The machine that rustc builds for by itself.
pub(crate) fn host() -> Outcome<String> {
    let told = Command::new("rustc").arg("-vV").output();
    let told = told.map_err(|error| format!("cannot start rustc: {error}"))?;
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc tells no host".to_owned())
}

/// Runs it to its end, its output shown.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let words = words(command);
    say(&format!("\n$ {words}"));
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("cannot start `{words}`: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{words}` failed ({status})")) }
}

/// Whether it runs at all and ends well; its output is not shown.
pub(crate) fn works(program: impl AsRef<Path>, arguments: &[&str]) -> bool {
    let status = Command::new(program.as_ref())
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

fn words(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let all = std::iter::once(program).chain(command.get_args());
    all.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
