//! The project's own chores: `cargo xtask test`, `cargo xtask bench`, `cargo xtask wheel`.
//!
//! Each sets up for itself what it needs, inside `target/`, or says in one line which program is
//! missing and how to install it.

mod bench;
mod compare;
mod faults;
mod fuzz;
mod leaks;
mod matrix;
mod package;
mod programs;
mod python;
mod races;
mod reproduce;
mod shell;
mod soak;
mod supply;
mod test;
mod wheel;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  test     format check, clippy, documentation, all tests: what has to pass before anything lands;
           with a WORD, the steps alone that have it in their names
  bench    the benchmark: ratios side by side in one run; writes bench/RESULTS.md;
           `bench agent`: the agent's part alone, printed and not written
  compare  rolekeeper beside its peers, in one run; writes bench/COMPARISON.md and its plots;
           with PARTs (python, asyncio, rust, servers), those alone, printed and not written;
           --quick shows that it works
  faults   services, networks and systems that fail; writes the table of docs/reliability.md
  wheel    the Python package, with the command in it; into target/wheels
  fuzz     [TARGET] [SECONDS] the parsers of outside bytes, fed by libFuzzer: a minute each, if
           nothing else is said
  supply   licences, sources, duplicates, pinned versions, bills of materials (target/sbom);
           `supply reproduce` builds what is shipped twice, and compares
  races    the concurrent parts on real threads, watched by ThreadSanitizer
  leaks    what a process weighs after ten million reads and ten thousand refreshes
  soak     [SEEDS] the keyring in a million simulated worlds, or as many as are said";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["test"] => test::run(None),
        ["test", only] => test::run(Some(only)),
        ["bench"] => bench::run(),
        ["bench", "agent"] => bench::agent(),
        ["compare", ref rest @ ..] => compare::run(rest),
        ["faults"] => faults::write(),
        ["wheel"] => wheel::build().map(|wheel| shell::say(&format!("\n{}", wheel.display()))),
        ["fuzz", ref rest @ ..] => fuzz::run(rest),
        ["supply", ref rest @ ..] => supply::run(rest),
        ["races"] => races::run(),
        ["leaks"] => leaks::run(),
        ["soak"] => soak::run(None),
        ["soak", seeds] => soak::run(Some(seeds)),
        ["help" | "--help" | "-h"] => {
            shell::say(HELP);
            Ok(())
        }
        _ => {
            shell::complain(HELP);
            return ExitCode::from(64);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            shell::complain(&format!("error: {why}"));
            ExitCode::FAILURE
        }
    }
}
