//! `cargo xtask wheel`: the Python package as people install it, the command included.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    python,
    shell::{self, Outcome, cargo},
};

const MANIFEST: &str = "crates/python/Cargo.toml";
/// maturin installs what it finds there beside the interpreter (`tool.maturin.data`).
const SCRIPTS: &str = "crates/python/rolekeeper.data/scripts";

/// What may be downloaded in a second or two, and what a dependency too many would go beyond: the
/// command and the native module take some 13 MB together.
const LARGEST: u64 = 15_000_000;

/// What the command may weigh beside it, not optimised for size as `dist` is: 18.5 MB now.
const LARGEST_COMMAND: u64 = 20_000_000;

/// Builds it into `target/wheels`, where it is then the only one, and returns its path.
pub(crate) fn build() -> Outcome<PathBuf> {
    // Both at once, though maturin would build its half by itself: so each dependency is built with
    // the features that both want, and once.
    let packages = ["--package", "rolekeeper-cli", "--package", "rolekeeper-python"];
    shell::run(cargo(&["build", "--release", "--locked"]).args(packages))?;
    let command = format!("rolekeeper{}", std::env::consts::EXE_SUFFIX);
    within(&shell::target().join("release").join(command), LARGEST_COMMAND)?;
    place_command().map_err(|error| format!("cannot place the command in {SCRIPTS}: {error}"))?;

    let wheels = shell::target().join("wheels");
    if wheels.exists() {
        fs::remove_dir_all(&wheels)
            .map_err(|error| format!("cannot remove {}: {error}", wheels.display()))?;
    }
    let maturin = python::TOOLS.ready()?.program("maturin");
    let mut maturin = Command::new(maturin);
    maturin.args(["build", "--release", "--locked", "--manifest-path", MANIFEST, "--out"]);
    shell::run(maturin.arg(&wheels).current_dir(shell::root()))?;
    let wheel = built()?;
    within(&wheel, LARGEST)?;
    Ok(wheel)
}

/// Its size is within its budget.
pub(crate) fn within(file: &Path, largest: u64) -> Outcome {
    let size = fs::metadata(file).map_err(|error| format!("{}: {error}", file.display()))?.len();
    if size > largest {
        return Err(format!("{} has {size} bytes, more than {largest}", file.display()));
    }
    Ok(())
}

/// The one that was built.
pub(crate) fn built() -> Outcome<PathBuf> {
    let folder = shell::target().join("wheels");
    let is_wheel = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "whl");
    let paths = fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let [wheel]: [PathBuf; 1] =
        paths.filter(is_wheel).collect::<Vec<_>>().try_into().map_err(|found: Vec<_>| {
            format!("{} wheels in {}, not 1", found.len(), folder.display())
        })?;
    Ok(wheel)
}

fn place_command() -> io::Result<()> {
    let name = format!("rolekeeper{}", std::env::consts::EXE_SUFFIX);
    let scripts = shell::root().join(SCRIPTS);
    fs::create_dir_all(&scripts)?;
    fs::copy(shell::target().join("release").join(&name), scripts.join(Path::new(&name)))?;
    Ok(())
}
