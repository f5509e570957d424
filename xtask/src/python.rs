//! The virtual environment with the Python programs that tests run against: an independent STS and
//! real clients.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::shell::{self, Outcome};

/// What is installed, with pinned versions.
const REQUIREMENTS: &str = "crates/cli/tests/requirements.txt";

/// Makes `target/venv` what the requirements say, and returns its path.
pub(crate) fn environment() -> Outcome<PathBuf> {
    let requirements = shell::root().join(REQUIREMENTS);
    let wanted = fs::read_to_string(&requirements)
        .map_err(|error| format!("cannot read {REQUIREMENTS}: {error}"))?;
    let venv = shell::target().join("venv");
    let stamp = venv.join("installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(venv);
    }
    if venv.exists() {
        fs::remove_dir_all(&venv)
            .map_err(|error| format!("cannot remove {}: {error}", venv.display()))?;
    }
    let python = interpreter()?;
    shell::run(Command::new(python).arg("-m").arg("venv").arg(&venv))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    shell::run(Command::new(program(&venv, "python")).args(pip).arg(&requirements))?;
    fs::write(&stamp, wanted)
        .map_err(|error| format!("cannot write {}: {error}", stamp.display()))?;
    Ok(venv)
}

/// A program of the environment.
pub(crate) fn program(venv: &Path, name: &str) -> PathBuf {
    venv.join(if cfg!(windows) { "Scripts" } else { "bin" }).join(name)
}

/// A Python that can make virtual environments; on Debian, as root, it is installed where it is
/// missing.
fn interpreter() -> Outcome<&'static str> {
    const CAN_MAKE_ONE: &[&str] = &["-c", "import venv, ensurepip"];
    let found = || ["python3", "python"].into_iter().find(|name| shell::works(name, CAN_MAKE_ONE));
    if let Some(python) = found() {
        return Ok(python);
    }
    if shell::works("sh", &["-c", "test \"$(id -u)\" = 0 && command -v apt-get"]) {
        shell::run(Command::new("apt-get").args(["update", "-qq"]))?;
        shell::run(Command::new("apt-get").args(["install", "-y", "-qq", "python3-venv"]))?;
    }
    found().ok_or_else(|| {
        "python3 with venv is missing; install it (Debian: apt-get install python3-venv)".to_owned()
    })
}
