//! `rolekeeper`: AWS role sessions that never run out, for any program.
//!
//! One file a verb in `commands/`; everything about refreshing is the library's.

mod aws_cache;
mod aws_files;
mod child;
mod commands;
mod environment;
mod events;
mod exit;
mod identity;
mod output;
mod signals;
mod store;
mod values;

use clap::{CommandFactory, FromArgMatches, Parser};

use commands::Command;
use exit::Status;
use output::Printer;

/// Whatever is freed is wiped: buffers of HTTP, TLS and XML, which are others' and know of no secrets,
/// would keep a session for long after it was replaced.
#[global_allocator]
static MEMORY: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

/// AWS role sessions that never run out.
///
/// Temporary AWS credentials end after an hour; rolekeeper replaces them long before, so that the
/// program which uses them never notices.
#[derive(Parser)]
#[command(
    name = "rolekeeper",
    version,
    max_term_width = 100,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = exit::HELP,
)]
struct Arguments {
    /// Say more on stderr: -v what happens to sessions, -vv also details
    #[arg(short, long, action = clap::ArgAction::Count, global = true, display_order = LAST)]
    verbose: u8,

    #[command(subcommand)]
    command: Command,
}

/// After a command's own options, before --help.
const LAST: usize = 900;

fn main() -> std::process::ExitCode {
    harden();
    let printer = Printer::new();
    let parsed = commands::quickly().map_or_else(parse, |command| Ok((0, command)));
    let (verbose, command) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return exit::for_usage(&error).into(),
    };
    let status = commands::run(command, verbose, &printer).unwrap_or_else(|trouble| {
        printer.trouble(&trouble);
        trouble.status
    });
    output::flush_log();
    Status::into(status)
}

fn parse() -> Result<(u8, Command), clap::Error> {
    let matches = Arguments::command().try_get_matches()?;
    let Arguments { verbose, command } = Arguments::from_arg_matches(&matches)?;
    Ok((verbose, command))
}

/// Credentials are in this process' memory: other processes of the same user may not read it, and
/// no core dump may hold it.
fn harden() {
    // Not every system does it, and some containers forbid it; then it is as it was.
    let _ = rolekeeper_agent::hardening::not_dumpable();
}
