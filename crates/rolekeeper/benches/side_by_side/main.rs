//! Side by side: rolekeeper, the AWS SDK's own identity cache and the bare floor, in one process
//! and one run. `cargo xtask bench` builds, runs and writes `bench/RESULTS.md`. It is a report, not
//! a test: it fails only when it can't measure, and a requirement that is not met is printed as
//! such.
//!
//! # Method
//!
//! **Figures that have to be small** (reads): all contenders take turns in one process, a batch of
//! about 2 ms each in every round (A B C A B C …), so that whatever else the machine does hits all
//! alike. What is counted is the CPU time of the reading thread (`CLOCK_THREAD_CPUTIME_ID`) per
//! call. The ratio of two contenders is taken round by round, from batches that lie milliseconds
//! apart, and the median of these ratios is reported, beside the medians of the figures themselves.
//! With eight threads all of them run the same contender between two barriers. A call includes the
//! dropping of what it returned, and `black_box` stands at its end.
//!
//! *The floor* is `ArcSwap::load` and one read of the coarse clock: no correct cache with an end
//! can do less. *The SDK's cache* is `aws_smithy_runtime`'s `IdentityCache::lazy()`, called as a
//! client's orchestrator calls it, with the runtime components of a real client (taken out of one
//! by an interceptor) and inside a tokio runtime. Our `adapters::IdentityCache`, and our
//! `ProvideCredentials` behind `no_cache()`, are called through that same interface.
//!
//! **Figures that must not grow** (stalls): 64 tasks on a multi-threaded runtime read about every
//! millisecond for half a second, with a refresh in the middle and without one, in alternation,
//! with the SDK's cache in the same turns. What is counted is the wall time around each read.
//!
//! **Memory** is the process' resident set before and after, since this workspace allows no
//! `unsafe`, and so no allocator that counts. It is measured first, in a fresh heap.
//!
//! **Commands** take turns too: wall time from before the start to after the end. The STS they call
//! is the sandbox, in this process.
//!
//! A part of it alone, printed and not written: `cargo bench -p rolekeeper --bench side_by_side --
//! reads`, or `roles`, `stalls`, `cold`, `commands`.
//!
//! Other load on the machine moves the absolute figures more than the ratios, but it moves these
//! too: with the other core busy, a read has been seen at 1.4 times the floor that took 1.0 times
//! it alone. So the load average at the beginning and at the end is printed.

mod cold;
mod command;
mod keyring;
mod machine;
mod measure;
mod reads;
mod report;
mod sdk;
mod source;
mod stalls;

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use report::{Report, Row};

/// Cores are few where benchmarks run; the SDK's cache and we get the same ones.
const WORKERS: usize = 2;

fn main() -> ExitCode {
    // `cargo test --all-targets` comes here too, and is no time to measure anything.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Whoever closed stderr does not want to know.
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    let only: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    let machine = machine::Machine::look();
    let mut rows = Vec::new();
    // Says what is going on: the whole takes about a minute and a half.
    let mut step = |name: &str, measure: &dyn Fn() -> io::Result<Vec<Row>>| {
        if only.is_empty() || only.iter().any(|wanted| wanted == name) {
            let _ = writeln!(io::stderr(), "measuring: {name}");
            rows.extend(measure()?);
        }
        io::Result::Ok(())
    };
    // Memory in a fresh heap; it stands last in the table.
    let components = runtime.block_on(sdk::components());
    step("roles", &|| Ok(runtime.block_on(keyring::rows())))?;
    step("reads", &|| Ok(reads::rows(&runtime, &components)))?;
    step("stalls", &|| Ok(runtime.block_on(stalls::rows(&components))))?;
    step("cold", &|| Ok(runtime.block_on(cold::rows(&components))))?;
    step("commands", &|| runtime.block_on(command::rows()))?;
    if only.is_empty() {
        rows.rotate_left(1);
    }

    let report = Report { machine: machine.told(), rows };
    writeln!(io::stdout(), "{}", report.text())?;
    if !only.is_empty() {
        return Ok(());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench/RESULTS.md");
    std::fs::create_dir_all(path.parent().unwrap_or(&path))?;
    std::fs::write(path, report.markdown())
}
