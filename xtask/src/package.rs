//! The tests of the Python package: the wheel, installed into one environment after the other.

use std::{collections::BTreeSet, fs, path::PathBuf, process::Command};

use crate::{
    python::{self, Environment, Venv},
    shell::{self, Outcome},
    wheel,
};

const PACKAGE: &str = "crates/python";

/// Some of the test files, and the environment that they are meant for.
pub(crate) struct Suite {
    environment: Environment,
    /// Told by its name below `crates/python/tests`.
    has: fn(&str) -> bool,
}

// === the suites ===

/// All that can live with the newest botocore: aiobotocore can't.
pub(crate) const NEWEST: Suite =
    Suite { environment: python::NEWEST, has: |file| !is_for_asyncio(file) };

pub(crate) const OLDEST: Suite =
    Suite { environment: python::OLDEST, has: |file| !is_for_asyncio(file) };

/// s3fs is an adapter's package, and stands on aiobotocore.
pub(crate) const AIO: Suite = Suite {
    environment: python::AIO,
    has: |file| is_for_asyncio(file) || file.starts_with("test_adapters"),
};

pub(crate) const AIOBOTO3: Suite = Suite { environment: python::AIOBOTO3, has: is_for_asyncio };

fn is_for_asyncio(file: &str) -> bool {
    file.starts_with("test_aio")
}

/// Where each suite's tests are told: passed, or left out.
const LEDGERS: &str = "python/ledgers";

/// Formatting, lint and types, as mypy and pyright see them; no code of ours runs.
pub(crate) fn read() -> Outcome {
    let tools = python::TOOLS.ready()?;
    let tool = |name: &str| {
        let mut command = Command::new(tools.program(name));
        command.current_dir(shell::root().join(PACKAGE));
        command
    };
    shell::run(tool("ruff").args(["format", "--check", "--no-cache", "."]))?;
    shell::run(tool("ruff").args(["check", "--no-cache", "."]))?;
    // What the package imports is read where it is installed: most of it is here.
    let python = python::AIO.ready()?.program("python");
    let cache = shell::target().join("python/mypy");
    shell::run(
        tool("mypy")
            .args(["--strict", "--cache-dir"])
            .arg(cache)
            .arg("--python-executable")
            .arg(&python)
            .arg("python/rolekeeper"),
    )?;
    shell::run(tool("pyright").arg("--pythonpath").arg(&python).arg("python/rolekeeper"))
}

/// What somebody has who installs the wheel: first with nothing beside it, then with boto3.
pub(crate) fn fresh() -> Outcome {
    let venv = python::FRESH.bare()?;
    venv.install_wheel(&wheel::built()?)?;
    let script = |name: &str| {
        let mut python = elsewhere(&venv, "python")?;
        shell::run(python.arg(shell::root().join(PACKAGE).join("tests/fresh").join(name)))
    };
    script("alone.py")?;
    python::FRESH.install(&venv)?;
    script("five_lines.py")
}

/// botocore's own tests of its classes, with ours in their place.
pub(crate) fn botocore() -> Outcome {
    let venv = python::NEWEST.ready()?;
    venv.install_wheel(&wheel::built()?)?;
    let runner = shell::root().join(PACKAGE).join("tests/botocore_suites/run.py");
    let sources = made("python/botocore")?;
    shell::run(elsewhere(&venv, "python")?.arg(runner).arg(sources))
}

/// Every test that one environment had to leave out has passed in another.
pub(crate) fn none_left_out() -> Outcome {
    let (mut passed, mut left_out) = (BTreeSet::new(), BTreeSet::new());
    for suite in [&NEWEST, &OLDEST, &AIO, &AIOBOTO3] {
        let path = shell::target().join(LEDGERS).join(suite.environment.name());
        let ledger = fs::read_to_string(path.with_extension("txt"))
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        for (what, test) in ledger.lines().filter_map(|line| line.split_once('\t')) {
            let tests = if what == "passed" { &mut passed } else { &mut left_out };
            tests.insert(test.to_owned());
        }
    }
    let nowhere: Vec<_> = left_out.difference(&passed).map(String::as_str).collect();
    if nowhere.is_empty() {
        return Ok(());
    }
    Err(format!("NOT RUN in any environment:\n{}", nowhere.join("\n")))
}

// === impl Suite ===

impl Suite {
    /// Runs it against the wheel, from a folder where the source can't be imported.
    pub(crate) fn run(&self) -> Outcome {
        let wheel = wheel::built()?;
        let venv = self.environment.ready()?;
        venv.install_wheel(&wheel)?;
        let package = shell::root().join(PACKAGE);
        let mut pytest = elsewhere(&venv, "pytest")?;
        pytest
            .arg("-c")
            .arg(package.join("pyproject.toml"))
            .arg("--rootdir")
            .arg(&package)
            .args(["--strict-markers", "--quiet", "-p", "no:cacheprovider"])
            .env("ROLEKEEPER_TEST_WHEEL", wheel)
            .env("ROLEKEEPER_TEST_MOTO", python::NEWEST.ready()?.program("moto_server"))
            .env("ROLEKEEPER_TEST_LEDGER", self.ledger()?)
            .args(self.files()?);
        shell::run(&mut pytest)
    }

    /// Its ledger, empty.
    fn ledger(&self) -> Outcome<PathBuf> {
        let folder = made(LEDGERS)?;
        let path = folder.join(self.environment.name()).with_extension("txt");
        fs::write(&path, "")
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        Ok(path)
    }

    fn files(&self) -> Outcome<Vec<PathBuf>> {
        let folder = shell::root().join(PACKAGE).join("tests");
        let entries = fs::read_dir(&folder)
            .map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
        let mut names: Vec<String> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.starts_with("test_") && name.ends_with(".py") && (self.has)(name))
            .collect();
        names.sort();
        Ok(names.into_iter().map(|name| folder.join(name)).collect())
    }
}

/// A program of the environment, in an empty folder, knowing of no other Python and no AWS.
pub(crate) fn elsewhere(venv: &Venv, program: &str) -> Outcome<Command> {
    let mut command = Command::new(venv.program(program));
    command.current_dir(made("python/elsewhere")?);
    for (name, _) in std::env::vars_os() {
        let told = name.to_string_lossy();
        if ["PYTHON", "AWS_", "ROLEKEEPER_", "PYTEST_"].iter().any(|start| told.starts_with(start))
        {
            command.env_remove(name);
        }
    }
    // Nothing is written into the source.
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(command)
}

/// A folder below `target/`.
fn made(name: &str) -> Outcome<PathBuf> {
    let folder = shell::target().join(name);
    fs::create_dir_all(&folder)
        .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    Ok(folder)
}
