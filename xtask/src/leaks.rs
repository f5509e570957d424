//! `cargo xtask leaks`: what a process weighs after ten million reads and ten thousand refreshes. It
//! prints the figures, and fails where something is left over.
//!
//! | what | with what | how much of it |
//! |---|---|---|
//! | the library, by itself | resident memory, ten times on the way | all |
//! | the library | heaptrack: what is on the heap at the end and was at most, for a tenth of it and all | all |
//! | the wheel, a function's sessions and a sandbox's | resident memory, Python's objects, blocks and references | all |

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    package, programs, python,
    shell::{self, Outcome, cargo},
    wheel,
};

const READS: u64 = 10_000_000;
const REFRESHES: u64 = 10_000;

/// From the second tenth to the last, resident memory may grow by so much: a page here and there that
/// was never touched before. 64 bytes lost at each refresh would be twice that, one at each read thirty
/// times.
const LARGEST_GROWTH_KIB: u64 = 256;

const DEBIAN: &[&str] = &["heaptrack"];

pub(crate) fn run() -> Outcome {
    let needs = [("heaptrack", "--version")];
    let missing = programs::missing_after_install(&needs, DEBIAN);
    // As the tests are built, so that nothing is built anew.
    shell::run(&mut cargo(&["build", "--workspace", "--locked", "--examples"]))?;
    let program = shell::target().join("debug/examples/many_reads");
    by_itself(Command::new(&program).args(words([READS, REFRESHES])))?;
    match &missing {
        None => under_heaptrack(&program)?,
        Some(missing) => shell::say(&format!("NOT RUN  heaptrack: {missing}")),
    }
    let wheel = wheel::build()?;
    let venv = python::NEWEST.ready()?;
    venv.install_wheel(&wheel)?;
    let script = shell::root().join("crates/python/tests/programs/many_reads.py");
    by_itself(package::elsewhere(&venv, "python")?.arg(script).args(words([READS, REFRESHES])))?;
    match missing {
        None => shell::say("\nok  nothing is left over"),
        Some(_) => shell::say("\nok  resident memory stays; the heap was NOT looked at"),
    }
    Ok(())
}

fn words(numbers: [u64; 2]) -> [String; 2] {
    numbers.map(|number| number.to_string())
}

/// What it prints, which must be well.
fn output(command: &mut Command) -> Outcome<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let run = command.stdin(Stdio::null()).output();
    let run = run.map_err(|error| format!("cannot start {name}: {error}"))?;
    let told = String::from_utf8_lossy(&run.stdout).into_owned();
    if run.status.success() {
        return Ok(told);
    }
    let why = String::from_utf8_lossy(&run.stderr).into_owned();
    Err(format!("{name} failed ({}): {told}{why}", run.status))
}

/// Its resident memory doesn't grow from the second tenth of its work to the last.
fn by_itself(command: &mut Command) -> Outcome {
    let told = output(command)?;
    shell::say(&told);
    let weights: Vec<u64> = told.lines().filter_map(kib).collect();
    let [_, first, .., last] = weights[..] else {
        return Err(format!("{} weights were told, not ten", weights.len()));
    };
    if last.saturating_sub(first) > LARGEST_GROWTH_KIB {
        return Err(format!("it grew from {first} to {last} KiB"));
    }
    Ok(())
}

/// The number before `KiB`.
fn kib(line: &str) -> Option<u64> {
    line.split_once(" KiB")?.0.rsplit(' ').next()?.parse().ok()
}

/// What is on the heap at the end is a few things made once, the same for a tenth of the work and for
/// all of it.
fn under_heaptrack(program: &Path) -> Outcome {
    let mut left = Vec::new();
    for share in [10, 1] {
        let file = shell::target().join(format!("heaptrack-{share}"));
        let mut tracked = Command::new("heaptrack");
        tracked.arg("--output").arg(&file).arg(program);
        output(tracked.args(words([READS / share, REFRESHES / share])))?;
        let file = written(&file)?;
        let mut print = Command::new("heaptrack_print");
        let told = output(print.args(["--shorten-templates", "1", "--file"]).arg(&file))?;
        let summary = told.lines().filter(|line| {
            ["calls to allocation functions", "peak heap memory", "total memory leaked"]
                .iter()
                .any(|start| line.starts_with(start))
        });
        for line in summary {
            shell::say(&format!("heaptrack, {} reads: {line}", READS / share));
        }
        let leaked = told.lines().find_map(|line| line.strip_prefix("total memory leaked: "));
        left.push(leaked.ok_or("heaptrack_print tells of no leaked memory")?.to_owned());
        let _ = fs::remove_file(file);
    }
    if left[0] != left[1] {
        return Err(format!("on the heap at the end: {} after a tenth, then {}", left[0], left[1]));
    }
    Ok(())
}

/// heaptrack adds the name of its compression.
fn written(file: &Path) -> Outcome<PathBuf> {
    let named = |ending: &str| PathBuf::from(format!("{}.{ending}", file.display()));
    let mut endings = ["zst", "gz"].into_iter().map(named);
    endings.find(|path| path.exists()).ok_or_else(|| "heaptrack wrote nothing".to_owned())
}
