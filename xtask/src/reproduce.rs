//! `cargo xtask supply reproduce`: the command as it is shipped, built twice from the last commit, in
//! two folders of different names. Whoever builds that commit with this toolchain gets the same bytes.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    shell::{self, Outcome, cargo},
    wheel,
};

/// What a command may weigh that a container image gets for one purpose: 14.2 MB now.
const LARGEST: u64 = 16_000_000;

/// Of different lengths, so that a path that has got into the file moves all that follows.
const FOLDERS: [&str; 2] = ["one", "the-other-one"];

pub(crate) fn run() -> Outcome {
    // Both before either is built: there may be a new commit by then.
    let [one, other] = FOLDERS.map(cloned);
    let (one, other) = (built(&one?)?, built(&other?)?);
    let [first, second] = [&one, &other].map(|path| {
        fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
    });
    let (first, second) = (first?, second?);
    if let Some(at) = difference(&first, &second) {
        let (one, other) = (one.display(), other.display());
        return Err(format!("{one} and {other} differ from byte {at} on"));
    }
    wheel::within(&one, LARGEST)?;
    shell::say(&format!("\nok  twice the same {} bytes: {}", first.len(), one.display()));
    Ok(())
}

/// A folder in which nothing lies that isn't committed.
fn cloned(folder: &str) -> Outcome<PathBuf> {
    let clone = shell::target().join("reproduce").join(folder);
    if clone.exists() {
        fs::remove_dir_all(&clone).map_err(|error| format!("{}: {error}", clone.display()))?;
    }
    let mut git = Command::new("git");
    git.args(["clone", "--quiet", "--no-hardlinks"]).arg(shell::root()).arg(&clone);
    shell::run(&mut git)?;
    Ok(clone)
}

fn built(clone: &Path) -> Outcome<PathBuf> {
    let mut build =
        cargo(&["build", "--locked", "--profile", "dist", "--package", "rolekeeper-cli"]);
    build.current_dir(clone).env_remove("CARGO_TARGET_DIR").env_remove("RUSTFLAGS");
    shell::run(build.env("CARGO_ENCODED_RUSTFLAGS", flags(clone)?))?;
    Ok(clone.join("target/dist").join(format!("rolekeeper{}", env::consts::EXE_SUFFIX)))
}

/// A panic tells where it was: not by the paths of who has built it.
fn flags(sources: &Path) -> Outcome<String> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(env::home_dir()?.join(".cargo")));
    let home = home.ok_or("no home folder is known")?;
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    Ok([remap(&home, "/cargo"), remap(sources, "/rolekeeper")].join("\u{1f}"))
}

fn difference(one: &[u8], other: &[u8]) -> Option<usize> {
    let at = one.iter().zip(other).position(|(one, other)| one != other);
    at.or_else(|| (one.len() != other.len()).then(|| one.len().min(other.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_that_differs_is_told() {
        assert_eq!(difference(b"same", b"same"), None);
        assert_eq!(difference(b"same", b"some"), Some(1));
        assert_eq!(difference(b"same", b"same and more"), Some(4));
    }
}
