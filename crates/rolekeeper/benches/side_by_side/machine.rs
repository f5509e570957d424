//! Where this ran, and what this process uses of it.

use std::{fs, path::Path, process::Command};

use rolekeeper::Clock;

/// The machine before anything was measured.
pub(crate) struct Machine {
    load_before: String,
}

/// Their versions decide what is compared.
const PACKAGES: &[&str] = &["rolekeeper", "arc-swap", "aws-smithy-runtime", "aws-sdk-sts", "tokio"];

// === impl Machine ===

impl Machine {
    pub(crate) fn look() -> Self {
        Self { load_before: load() }
    }

    /// Lines of `name: value`.
    pub(crate) fn told(&self) -> Vec<(&'static str, String)> {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let kernel = rustix::system::uname();
        let kernel = [kernel.sysname(), kernel.release(), kernel.machine()]
            .map(|part| part.to_string_lossy().into_owned());
        vec![
            ("date", Clock::System.now().wall.to_string()),
            ("command", "cargo xtask bench".into()),
            ("CPU", format!("{}, {cores} cores", cpu_model())),
            ("kernel", kernel.join(" ")),
            ("load", format!("{} at the beginning, {} at the end", self.load_before, load())),
            ("compiler", compiler()),
            ("versions", versions()),
        ]
    }
}

fn read(path: &str) -> String {
    // Other systems have no /proc; what is not known is told as such.
    fs::read_to_string(path).unwrap_or_default()
}

fn load() -> String {
    read("/proc/loadavg").split_whitespace().next().unwrap_or("unknown").to_owned()
}

fn cpu_model() -> String {
    let info = read("/proc/cpuinfo");
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or_else(|| "unknown".into(), |(_, name)| name.trim().to_owned())
}

fn compiler() -> String {
    let run = Command::new("rustc").arg("--version").output();
    run.map_or_else(
        |_| "unknown".into(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

/// As the lock file has them.
fn versions() -> String {
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock");
    let lock = fs::read_to_string(lock).unwrap_or_default();
    let version = |package: &&str| {
        let (_, rest) = lock.split_once(&format!("name = \"{package}\"\nversion = \""))?;
        let (version, _) = rest.split_once('"')?;
        Some(format!("{package} {version}"))
    };
    PACKAGES.iter().filter_map(version).collect::<Vec<_>>().join(", ")
}

/// What the process has in memory; 0 where there is no /proc.
pub(crate) fn resident_bytes() -> i64 {
    1024 * of_process("VmRSS:")
}

/// How many threads the process has; 0 where there is no /proc.
pub(crate) fn threads() -> i64 {
    of_process("Threads:")
}

/// Open files; a timer of the system's would be one.
pub(crate) fn files() -> i64 {
    fs::read_dir("/proc/self/fd").map_or(0, |files| files.count()).try_into().unwrap_or(0)
}

fn of_process(field: &str) -> i64 {
    let status = read("/proc/self/status");
    let value = status.lines().find_map(|line| line.strip_prefix(field));
    value.and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
