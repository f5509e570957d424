//! Rust's libraries side by side: rolekeeper, the AWS SDK's own identity cache and object_store's
//! token cache, in one process and in turns. Prints one JSON document, which
//! `bench/compare/report.py` puts into the table.
//!
//! All get their sessions from `rolekeeper sandbox`, a process of its own whose STS takes 100 ms.
//! Each contender's first session is of such a length that it refreshes soon by its own rule and with
//! its defaults; those that follow live for an hour. object_store can assume no role: it reads from
//! a container endpoint here, which for each request makes one AssumeRole at that same STS.

#[path = "../../../../crates/rolekeeper/benches/side_by_side/measure.rs"]
#[allow(dead_code, reason = "the benchmark's own; only some of it serves here")]
mod measure;
#[path = "../../../../crates/rolekeeper/benches/side_by_side/sdk.rs"]
mod sdk;

mod calls;
mod contenders;
mod document;
mod endpoint;
mod memory;
mod reads;
mod sandbox;
mod stalls;
mod switch;
mod watch;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use document::Document;

/// As many as the machine this was made for has cores; all contenders get the same ones.
const WORKERS: usize = 2;

/// What a person said on the command line.
struct Options {
    /// `rolekeeper`, whose sandbox is the STS.
    program: PathBuf,
    /// Few and short rounds: shows that it works, no more.
    quick: bool,
    only: Vec<String>,
}

fn main() -> ExitCode {
    match Options::parse().and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<()> {
    // What object_store's HTTP client would otherwise look for in vain.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    if let [word, who] = &options.only[..]
        && word == memory::CHILD
    {
        return runtime.block_on(memory::child(who, options));
    }
    let components = runtime.block_on(sdk::components());
    let mut document = Document::new();
    let wanted = |part: &str| {
        let wanted = options.only.is_empty() || options.only.iter().any(|only| only == part);
        if wanted {
            tell(&format!("measuring: Rust, {part}"));
        }
        wanted
    };
    if wanted("reads") {
        reads::measure(&runtime, &components, options, &mut document)?;
    }
    if wanted("stalls") {
        runtime.block_on(stalls::refresh(&components, options, &mut document))?;
    }
    if wanted("outage") {
        runtime.block_on(stalls::outage(&components, options, &mut document))?;
    }
    if wanted("calls") {
        runtime.block_on(calls::measure(&components, options, &mut document))?;
    }
    if wanted("memory") {
        memory::measure(options, &mut document)?;
    }
    writeln!(io::stdout(), "{}", document.json()?)
}

/// Says what is going on: stdout has the document alone.
fn tell(line: &str) {
    // Whoever closed stderr does not want to know.
    let _ = writeln!(io::stderr(), "{line}");
}

// === impl Options ===

impl Options {
    fn parse() -> io::Result<Self> {
        let (mut program, mut quick, mut only) = (None, false, Vec::new());
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--program" => program = words.next().map(PathBuf::from),
                "--quick" => quick = true,
                _ => only.push(word),
            }
        }
        let program = program.ok_or_else(|| io::Error::other("--program PATH is missing"))?;
        Ok(Self { program, quick, only })
    }

    fn rounds(&self, usual: usize) -> usize {
        if self.quick { 1 } else { usual }
    }
}
