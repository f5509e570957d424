//! The SDK matrix: real clients of many languages, kept supplied by one agent (`sdk-matrix/`). Decided
//! here is only what each of them has to be made from; what is missing is left out, and named.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

use crate::{
    programs::{self, Program},
    python,
    shell::{self, Outcome, cargo},
};

/// A client, and how it comes to be here.
struct Client {
    /// As `sdk-matrix/clients.py` calls it.
    name: &'static str,
    needs: &'static [Program],
    /// The Debian packages that have them; empty where a toolchain is not ours to install.
    debian: &'static [&'static str],
    make: fn() -> Outcome,
}

const CLIENTS: &[Client] = &[
    Client {
        name: "AWS SDK for JavaScript v3",
        needs: &[("node", "--version"), ("npm", "--version")],
        debian: &[],
        make: javascript,
    },
    Client { name: "AWS SDK for Go v2", needs: &[("go", "version")], debian: &[], make: go },
    Client {
        name: "AWS SDK for Java v2",
        needs: &[("java", "-version"), ("javac", "-version"), ("mvn", "--version")],
        debian: &[],
        make: java,
    },
    debian("rclone", &[("rclone", "version")], &["rclone"]),
    debian("rclone copy", &[("rclone", "version")], &["rclone"]),
    debian("restic", &[("restic", "version")], &["restic"]),
    debian("s3cmd", &[("s3cmd", "--version")], &["s3cmd"]),
    // What needs sessions that last longer than a test does.
    Client {
        name: "a fast clock",
        needs: &[("faketime", "--version")],
        debian: &["faketime"],
        make: clock_of_libc,
    },
];

const fn debian(
    name: &'static str,
    needs: &'static [Program],
    debian: &'static [&'static str],
) -> Client {
    Client { name, needs, debian, make: || Ok(()) }
}

/// Of the whole workspace, and with the features of its tests: what they built is built.
const BUILD: &[&str] = &["build", "--workspace", "--bins", "--examples", "--locked"];

/// `rolekeeper`, asking the C library for the time.
const WITH_CLOCK_OF_LIBC: &str = "rolekeeper-with-the-clock-of-libc";

/// What the run left out, and why.
static LEFT_OUT: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// What the last run left out, for the summary.
pub(crate) fn left_out() -> Vec<String> {
    LEFT_OUT.lock().map(|told| told.clone()).unwrap_or_default()
}

/// Makes all clients, and runs the matrix with those that could be made.
pub(crate) fn run() -> Outcome {
    let (clients, aio) = (python::CLIENTS.ready()?, python::AIO.ready()?);
    let mut missing = Vec::new();
    for client in CLIENTS {
        let why = match programs::missing_after_install(client.needs, client.debian) {
            Some(why) => why,
            None => match (client.make)() {
                Ok(()) => continue,
                // Its packages come from a registry, which may be out of reach: that is named too.
                Err(why) if client.debian.is_empty() => why,
                Err(why) => return Err(format!("{}: {why}", client.name)),
            },
        };
        missing.push(format!("{}={why}", client.name));
    }
    shell::run(&mut cargo(BUILD))?;
    let debug = shell::target().join("debug");
    let mut matrix = Command::new(clients.program("python"));
    matrix
        .arg(source("run.py"))
        .args(["--rolekeeper".as_ref(), debug.join("rolekeeper").as_os_str()])
        .args(["--libc-rolekeeper".as_ref(), built(WITH_CLOCK_OF_LIBC).as_os_str()])
        .args(["--built".as_ref(), built("").as_os_str()])
        .args(["--debug".as_ref(), debug.as_os_str()])
        .args(["--venv".as_ref(), clients.path().as_os_str()])
        .args(["--aio".as_ref(), aio.path().as_os_str()])
        .args(missing.iter().flat_map(|client| ["--left-out", client]))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    if let Ok(mut told) = LEFT_OUT.lock() {
        *told = missing.iter().map(|client| client.replacen('=', ": ", 1)).collect();
    }
    shell::run(&mut matrix)
}

// === what each is made from ===

fn javascript() -> Outcome {
    let folder = made("javascript")?;
    for name in ["package.json", "package-lock.json", "client.js"] {
        let (from, to) = (source("javascript").join(name), folder.join(name));
        fs::copy(&from, &to).map_err(|error| format!("cannot copy {}: {error}", from.display()))?;
    }
    once(&folder, &source("javascript/package-lock.json"), || {
        let arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"];
        shell::run(Command::new("npm").args(arguments).current_dir(&folder))
    })
}

fn go() -> Outcome {
    let folder = made("go")?;
    shell::run(
        Command::new("go")
            .args(["build", "-mod=readonly", "-modcacherw", "-buildvcs=false", "-o"])
            .args([folder.join("client").as_os_str(), ".".as_ref()])
            .current_dir(source("go"))
            .env_remove("GOFLAGS")
            .env("GOTOOLCHAIN", "local")
            .env("GOMODCACHE", folder.join("modules"))
            .env("GOCACHE", folder.join("cache")),
    )
}

fn java() -> Outcome {
    // One plugin, at one version, is all of Maven that is needed: it finds what there is to find.
    const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";
    let folder = made("java")?;
    let option = |name: &str, value: &Path| format!("-D{name}={}", value.display());
    once(&folder, &source("java/pom.xml"), || {
        let jars = folder.join("jars");
        let _ = fs::remove_dir_all(&jars);
        shell::run(
            Command::new("mvn")
                .args(["--quiet", "--batch-mode", COPY, "-DincludeScope=runtime"])
                .args([option("outputDirectory", &jars)])
                .args([option("maven.repo.local", &folder.join("repository"))])
                .current_dir(source("java")),
        )
    })?;
    let jars = folder.join("jars").join("*");
    let class_path: [&OsStr; 2] = ["-classpath".as_ref(), jars.as_os_str()];
    shell::run(
        Command::new("javac")
            .args(class_path)
            .args(["-d".as_ref(), folder.join("classes").as_os_str()])
            .arg(source("java/Client.java")),
    )
}

/// `faketime` answers for the C library, which `rolekeeper` otherwise does not ask.
fn clock_of_libc() -> Outcome {
    shell::run(cargo(BUILD).args(["--features", "sdk-matrix-client/libc-clock"]))?;
    let (from, to) = (shell::target().join("debug/rolekeeper"), built(WITH_CLOCK_OF_LIBC));
    // A new file: the old one may be running.
    let _ = fs::remove_file(&to);
    fs::copy(&from, &to)
        .map(drop)
        .map_err(|error| format!("cannot copy {}: {error}", from.display()))
}

/// `rolekeeper`, asking the C library for the time, for others who set clocks.
pub(crate) fn with_clock_of_libc() -> Outcome<PathBuf> {
    made("")?;
    clock_of_libc()?;
    // In its usual place there is the usual one again.
    shell::run(&mut cargo(BUILD))?;
    Ok(built(WITH_CLOCK_OF_LIBC))
}

/// Does it unless that was done with the same lock file.
fn once(folder: &Path, lock: &Path, work: impl FnOnce() -> Outcome) -> Outcome {
    let stamp = folder.join("installed");
    let wanted =
        fs::read(lock).map_err(|error| format!("cannot read {}: {error}", lock.display()))?;
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    work()?;
    fs::write(&stamp, wanted).map_err(|error| format!("cannot write {}: {error}", stamp.display()))
}

fn source(name: &str) -> PathBuf {
    shell::root().join("sdk-matrix").join(name)
}

fn built(name: &str) -> PathBuf {
    shell::target().join("sdk-matrix").join(name)
}

fn made(name: &str) -> Outcome<PathBuf> {
    let folder = built(name);
    fs::create_dir_all(&folder)
        .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    Ok(folder)
}
