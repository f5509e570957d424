//! The project's own chores: `cargo xtask test`, `cargo xtask bench`, `cargo xtask wheel`.
//!
//! Each sets up for itself what it needs, inside `target/`, or says in one line which program is
//! missing and how to install it.

mod bench;
mod matrix;
mod package;
mod programs;
mod python;
mod shell;
mod test;
mod wheel;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  test     format check, clippy, documentation, all tests: what has to pass before anything lands;
           with a WORD, the steps alone that have it in their names
  bench    the benchmark: ratios side by side in one run; writes bench/RESULTS.md;
           `bench agent`: the agent's part alone, printed and not written
  wheel    the Python package, with the command in it; into target/wheels";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let outcome = match (arguments.next().as_deref(), arguments.next()) {
        (Some("test"), only) => test::run(only.as_deref()),
        (Some("bench"), None) => bench::run(),
        (Some("bench"), Some(part)) if part == "agent" => bench::agent(),
        (Some("wheel"), None) => {
            wheel::build().map(|wheel| shell::say(&format!("\n{}", wheel.display())))
        }
        (Some("help" | "--help" | "-h"), None) => {
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
