//! `cargo xtask fuzz [TARGET] [SECONDS]`: the parsers of outside bytes, fed by libFuzzer (`fuzz/`). It
//! stops at a finding, and names the file that replays it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use crate::{
    programs::{self, Program},
    shell::{self, Outcome, cargo},
};

/// Each target's time if none is told: enough to see that all work. A change to a parser deserves
/// half an hour.
const SECONDS: u32 = 60;

/// What cargo-fuzz passes: the coverage that libFuzzer goes by, and AddressSanitizer for the C and
/// the assembly beneath TLS (our own code has no `unsafe`).
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Cllvm-args=-simplifycfg-branch-fold-threshold=0 -Zsanitizer=address --cfg fuzzing";

/// What holds for every target: an input takes milliseconds, so one that takes 25 s hangs. Leaks are
/// looked for elsewhere: the runtimes' threads allocate beside the input.
const OPTIONS: [&str; 4] =
    ["-timeout=25", "-rss_limit_mb=3000", "-detect_leaks=0", "-print_final_stats=1"];

/// libFuzzer is C++, and comes as source.
const NEEDS: &[Program] = &[("c++", "--version")];
const DEBIAN: &[&str] = &["g++"];

/// One target's run.
struct Run {
    target: String,
    log: PathBuf,
    findings: PathBuf,
    fuzzer: Child,
}

/// What libFuzzer has told last.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    executions: u64,
    per_second: u64,
    edges: u64,
    features: u64,
    corpus: u64,
}

/// All targets, or the one that is named, each for so many seconds; as many at a time as there are
/// cores.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let known = targets()?;
    let (chosen, seconds) = asked(arguments, &known)?;
    let binaries = build()?;
    let width = known.iter().map(String::len).max().unwrap_or_default();
    let at_a_time = thread::available_parallelism().map_or(1, usize::from);
    shell::say(&format!(
        "\n{:width$}  {:>7}  {:>11}  {:>7}  {:>6}  {:>8}  {:>6}",
        "target", "seconds", "executions", "a second", "edges", "features", "corpus"
    ));
    for some in chosen.chunks(at_a_time) {
        let runs: Vec<_> = some.iter().map(|target| start(&binaries, target, seconds)).collect();
        for run in runs {
            let mut run = run?;
            let ended = run.fuzzer.wait().map_err(|error| format!("{}: {error}", run.target))?;
            let log = fs::read_to_string(&run.log).unwrap_or_default();
            let Told { executions, per_second, edges, features, corpus } = told(&log);
            shell::say(&format!(
                "{:width$}  {seconds:>7}  {executions:>11}  {per_second:>8}  {edges:>6}  \
                 {features:>8}  {corpus:>6}",
                run.target
            ));
            if !ended.success() {
                return Err(finding(&run, &log, &binaries));
            }
        }
    }
    shell::say("no findings");
    Ok(())
}

/// Each has a binary of its name.
fn targets() -> Outcome<Vec<String>> {
    let folder = shell::root().join("fuzz/fuzz_targets");
    let entries =
        fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let names = entries.flatten().map(|entry| entry.path());
    let mut names: Vec<_> =
        names.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    Ok(names)
}

fn asked(arguments: &[&str], known: &[String]) -> Outcome<(Vec<String>, u32)> {
    let usage = || format!("cargo xtask fuzz [TARGET] [SECONDS]; targets: {}", known.join(", "));
    let is_known = |word: &str| known.iter().any(|name| name == word);
    let (chosen, seconds) = match *arguments {
        [] => (known.to_vec(), None),
        [one] if is_known(one) => (vec![one.to_owned()], None),
        [seconds] => (known.to_vec(), Some(seconds)),
        [one, seconds] if is_known(one) => (vec![one.to_owned()], Some(seconds)),
        _ => return Err(usage()),
    };
    let seconds = seconds.map_or(Ok(SECONDS), |text| text.parse().map_err(|_| usage()))?;
    Ok((chosen, seconds))
}

/// With the toolchain that is here: these flags need no more of a nightly one than its leave.
fn build() -> Outcome<PathBuf> {
    if let Some(why) = programs::missing_after_install(NEEDS, DEBIAN) {
        return Err(why);
    }
    let host = shell::host()?;
    let folder = shell::target().join("fuzz");
    let mut build = cargo(&["build", "--locked", "--package", "rolekeeper-fuzz"]);
    // With a target named, what runs while it builds has none of these flags.
    build.args(["--features", "libfuzzer", "--bins", "--profile", "fuzz", "--target", &host]);
    build.arg("--target-dir").arg(&folder);
    shell::run(build.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", FLAGS))?;
    Ok(folder.join(host).join("fuzz"))
}

/// From what is checked in, and from what earlier runs have found to be of interest.
fn start(binaries: &Path, target: &str, seconds: u32) -> Outcome<Run> {
    let folder = |kind: &str| {
        let folder = shell::target().join("fuzz").join(kind).join(target);
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok::<_, String>(folder)
    };
    let (corpus, findings) = (folder("corpus")?, folder("findings")?);
    let log = folder("log")?.join("libfuzzer.log");
    let file = fs::File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
    let mut fuzzer = Command::new(binaries.join(target));
    fuzzer.arg(corpus).arg(shell::root().join("fuzz/seeds").join(target)).args(OPTIONS);
    fuzzer.arg(format!("-max_total_time={seconds}"));
    fuzzer.arg(format!("-artifact_prefix={}/", findings.display()));
    let fuzzer = fuzzer.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).spawn();
    let fuzzer = fuzzer.map_err(|error| format!("cannot start the fuzzer {target}: {error}"))?;
    Ok(Run { target: target.to_owned(), log, findings, fuzzer })
}

/// The figures of the last line that has them:
/// `#2048 pulse cov: 812 ft: 1530 corp: 97/12Kb lim: 4096 exec/s: 1024 rss: 240Mb`.
fn told(log: &str) -> Told {
    let mut lines = log.lines().filter(|line| line.starts_with('#') && line.contains(" cov: "));
    let Some(last) = lines.next_back() else { return Told::default() };
    let words: Vec<_> = last.split_whitespace().collect();
    let number = |text: &str| {
        let digits =
            text.split(|letter: char| !letter.is_ascii_digit()).find(|part| !part.is_empty());
        digits.and_then(|digits| digits.parse().ok()).unwrap_or_default()
    };
    let after = |name: &str| {
        let at = words.iter().position(|word| *word == name);
        at.and_then(|at| words.get(at + 1)).map_or(0, |word| number(word))
    };
    Told {
        executions: words.first().map_or(0, |word| number(word)),
        per_second: after("exec/s:"),
        edges: after("cov:"),
        features: after("ft:"),
        corpus: after("corp:"),
    }
}

/// What it was, and how to see it again.
fn finding(run: &Run, log: &str, binaries: &Path) -> String {
    let Run { target, log: path, findings, .. } = run;
    // What was said stands in the line below.
    let is_why = |line: &&str| line.contains("panicked at") || line.contains("ERROR: ");
    let why: Vec<_> = log.lines().skip_while(|line| !is_why(line)).take(2).collect();
    let why = if why.is_empty() { "it has ended by itself".to_owned() } else { why.join(" ") };
    let written = "Test unit written to ";
    let input = log.lines().find_map(|line| Some(line.split_once(written)?.1.trim()));
    let (why, binary) = (why.trim(), binaries.join(target));
    match input {
        Some(input) => format!(
            "{target}: {why}\n  replay it: {} {input}\n  and keep it: cp {input} fuzz/seeds/{target}/",
            binary.display()
        ),
        None => format!("{target}: {why}; see {} and {}", path.display(), findings.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_figures_count() {
        let log = "INFO: seed corpus: files: 2\n\
            #2\tINITED cov: 800 ft: 1000 corp: 2/60b exec/s: 0 rss: 90Mb\n\
            #2048\tpulse  cov: 812 ft: 1530 corp: 97/12Kb lim: 4096 exec/s: 1024 rss: 240Mb\n\
            stat::number_of_executed_units: 2048\n";
        let expected =
            Told { executions: 2048, per_second: 1024, edges: 812, features: 1530, corpus: 97 };
        assert_eq!(told(log), expected);
        assert_eq!(told("it has died"), Told::default());
    }

    #[test]
    fn a_target_and_a_time_can_be_named() {
        let known = ["a", "b"].map(str::to_owned);
        let of = |words: &[&str]| asked(words, &known);
        assert_eq!(of(&[]), Ok((known.to_vec(), SECONDS)));
        assert_eq!(of(&["b"]), Ok((vec!["b".to_owned()], SECONDS)));
        assert_eq!(of(&["90"]), Ok((known.to_vec(), 90)));
        assert_eq!(of(&["a", "7"]), Ok((vec!["a".to_owned()], 7)));
        assert!(of(&["c"]).is_err() && of(&["c", "7"]).is_err() && of(&["a", "x"]).is_err());
    }
}
