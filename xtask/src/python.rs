//! The virtual environments that the Python programs of the tests live in, each made from a file of
//! pinned versions, and anew when that file changes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::shell::{self, Outcome};

/// A virtual environment that may not be there yet.
pub(crate) struct Environment {
    /// Below `target/`.
    folder: &'static str,
    /// What is installed, with pinned versions; below the root.
    requirements: &'static str,
    /// The interpreter it is meant for; where that is missing, any will do.
    prefers: &'static str,
}

/// A virtual environment that is there.
pub(crate) struct Venv(PathBuf);

/// An independent STS and real clients, for the tests of the command.
pub(crate) const CLIENTS: Environment =
    Environment { folder: "venv", requirements: "crates/cli/tests/requirements.txt", prefers: ANY };

/// What builds the wheel, and what checks the package without running it.
pub(crate) const TOOLS: Environment = Environment {
    folder: "python/tools",
    requirements: "crates/python/tests/requirements/tools.txt",
    prefers: ANY,
};

/// boto3 and nothing else.
pub(crate) const FRESH: Environment = Environment {
    folder: "python/fresh",
    requirements: "crates/python/tests/requirements/fresh.txt",
    prefers: ANY,
};

/// The newest botocore, moto, and the packages that the adapters serve.
pub(crate) const NEWEST: Environment = Environment {
    folder: "python/newest",
    requirements: "crates/python/tests/requirements/newest.txt",
    prefers: ANY,
};

/// The oldest botocore, on the oldest Python.
pub(crate) const OLDEST: Environment = Environment {
    folder: "python/oldest",
    requirements: "crates/python/tests/requirements/oldest.txt",
    prefers: "python3.10",
};

/// The newest aiobotocore, and s3fs over it.
pub(crate) const AIO: Environment = Environment {
    folder: "python/aio",
    requirements: "crates/python/tests/requirements/aio.txt",
    prefers: ANY,
};

/// aioboto3, over an aiobotocore of its own choice.
pub(crate) const AIOBOTO3: Environment = Environment {
    folder: "python/aioboto3",
    requirements: "crates/python/tests/requirements/aioboto3.txt",
    prefers: ANY,
};

/// The peers that live with the newest botocore.
pub(crate) const COMPARE: Environment = Environment {
    folder: "compare/python",
    requirements: "bench/compare/requirements.txt",
    prefers: ANY,
};

/// aiobotocore, which wants a botocore of its own choice.
pub(crate) const COMPARE_AIO: Environment = Environment {
    folder: "compare/aio",
    requirements: "bench/compare/requirements-aio.txt",
    prefers: ANY,
};

/// What the tests of faults are run with.
pub(crate) const FAULTS: Environment = Environment {
    folder: "python/faults",
    requirements: "tests/faults/requirements.txt",
    prefers: ANY,
};

/// What looks at where everything comes from.
pub(crate) const SUPPLY: Environment = Environment {
    folder: "python/supply",
    requirements: "xtask/requirements/supply.txt",
    prefers: ANY,
};

const ANY: &str = "python3";

// === impl Environment ===

impl Environment {
    /// Makes it what the requirements say, unless it is that already.
    pub(crate) fn ready(&self) -> Outcome<Venv> {
        let python = self.interpreter()?;
        let wanted = format!("# {}\n{}", python.display(), self.wanted()?);
        let venv = self.venv();
        let stamp = venv.0.join("installed.txt");
        if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
            return Ok(venv);
        }
        self.bare()?;
        self.install(&venv)?;
        write(&stamp, &wanted)?;
        Ok(venv)
    }

    /// Makes it anew, with nothing installed.
    pub(crate) fn bare(&self) -> Outcome<Venv> {
        let venv = self.venv();
        if venv.0.exists() {
            fs::remove_dir_all(&venv.0)
                .map_err(|error| format!("cannot remove {}: {error}", venv.0.display()))?;
        }
        shell::run(Command::new(self.interpreter()?).args(["-m", "venv"]).arg(&venv.0))?;
        Ok(venv)
    }

    /// Installs what the requirements say.
    pub(crate) fn install(&self, venv: &Venv) -> Outcome {
        shell::run(venv.pip().arg("-r").arg(shell::root().join(self.requirements)))
    }

    pub(crate) fn name(&self) -> &'static str {
        self.folder.rsplit('/').next().unwrap_or(self.folder)
    }

    fn venv(&self) -> Venv {
        Venv(shell::target().join(self.folder))
    }

    fn wanted(&self) -> Outcome<String> {
        fs::read_to_string(shell::root().join(self.requirements))
            .map_err(|error| format!("cannot read {}: {error}", self.requirements))
    }

    /// A Python that can make virtual environments: on PATH, or of pyenv's; on Debian, as root, it
    /// is installed where there is none.
    fn interpreter(&self) -> Outcome<PathBuf> {
        const CAN_MAKE_ONE: &[&str] = &["-c", "import venv, ensurepip"];
        let works = |python: &PathBuf| shell::works(python, CAN_MAKE_ONE);
        let preferred = [PathBuf::from(self.prefers)].into_iter().chain(of_pyenv(self.prefers));
        if let Some(python) = preferred.into_iter().find(works) {
            return Ok(python);
        }
        let any = || [ANY, "python"].into_iter().map(PathBuf::from).find(works);
        if let Some(python) = any() {
            shell::say(&format!("{} is not here; {} takes its place", self.prefers, ANY));
            return Ok(python);
        }
        if shell::works("sh", &["-c", "test \"$(id -u)\" = 0 && command -v apt-get"]) {
            shell::run(Command::new("apt-get").args(["update", "-qq"]))?;
            shell::run(Command::new("apt-get").args(["install", "-y", "-qq", "python3-venv"]))?;
        }
        any().ok_or_else(|| {
            "python3 with venv is missing; install it (Debian: apt-get install python3-venv)"
                .to_owned()
        })
    }
}

/// The interpreters of that name that pyenv has installed; on PATH it shows the selected ones only.
fn of_pyenv(name: &str) -> Vec<PathBuf> {
    let Some(root) = std::env::var_os("PYENV_ROOT") else { return Vec::new() };
    let versions = fs::read_dir(Path::new(&root).join("versions")).into_iter().flatten().flatten();
    versions.map(|version| version.path().join("bin").join(name)).collect()
}

// === impl Venv ===

impl Venv {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// One of its programs.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.0.join(if cfg!(windows) { "Scripts" } else { "bin" }).join(name)
    }

    /// Installs this wheel, unless the one that is installed is the same to the byte.
    pub(crate) fn install_wheel(&self, wheel: &Path) -> Outcome {
        let stamp = self.0.join("installed.whl");
        let read = |path| fs::read(path).map_err(|error| format!("cannot read the wheel: {error}"));
        let wanted = read(wheel)?;
        if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
            return Ok(());
        }
        shell::run(self.pip().args(["--force-reinstall", "--no-deps"]).arg(wheel))?;
        write(&stamp, &wanted)
    }

    fn pip(&self) -> Command {
        let mut pip = Command::new(self.program("python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        pip
    }
}

fn write(path: &Path, content: impl AsRef<[u8]>) -> Outcome {
    fs::write(path, content).map_err(|error| format!("cannot write {}: {error}", path.display()))
}
