//! The verbs. Each file parses nothing twice and decides nothing about refreshing.

mod cache;
mod completions;
mod credential_process;
mod demo;
mod doctor;
mod exec;
mod export;
mod sandbox;
mod serve;
mod simulate;
mod status;
mod whoami;
mod write;

use std::time::Duration;

use clap::{Args, FromArgMatches, Subcommand};

use crate::{
    exit::{Status, Trouble},
    output::{self, Logging, Printer},
};

/// How long a command waits for its first session, through failures that time may mend.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run a program with credentials that refresh under it
    Exec(exec::Arguments),
    /// Serve roles to any program of this machine, through endpoints that every SDK reads
    Serve(serve::Arguments),
    /// Print how it is with each role that `serve` serves
    Status(status::Arguments),
    /// Keep a section of the credentials file fresh, for short-lived programs
    Write(write::Arguments),
    /// Print one session as `credential_process` in ~/.aws/config wants it
    CredentialProcess(credential_process::Arguments),
    /// Print one session for a shell or a program
    Export(export::Arguments),
    /// Print who the session is, as STS sees it
    Whoami(whoami::Arguments),
    /// List or clear the sessions that commands of this user share
    Cache(cache::Arguments),
    /// Find out what works and what does not: base identity, STS, clock, role
    Doctor(doctor::Arguments),
    /// Watch sessions being refreshed against a local STS; needs no AWS account
    Demo(demo::Arguments),
    /// Run a local STS that really checks, really expires, and misbehaves on request
    Sandbox(sandbox::Arguments),
    /// Simulate a day of up to a million workers, and what it asks of STS
    Simulate(simulate::Arguments),
    /// Print a completion script for a shell
    Completions(completions::Arguments),
}

impl Command {
    pub(crate) fn logging(&self) -> Logging {
        match self {
            Self::Serve(arguments) => Logging::Service(arguments.log),
            // Log lines would get in between.
            Self::Demo(_) => Logging::Nothing,
            _ => Logging::Warnings,
        }
    }
}

/// The verb that is started for each answer, read without the options of all the others: that
/// takes as long as the rest of its work. `None`, also for what it makes no sense of, is for the
/// whole command line.
pub(crate) fn quickly() -> Option<Command> {
    const NAME: &str = "credential-process";
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    if words.first()? != NAME {
        return None;
    }
    let parser = credential_process::Arguments::augment_args(clap::Command::new(NAME));
    let matches = parser.try_get_matches_from(words).ok()?;
    let arguments = credential_process::Arguments::from_arg_matches(&matches).ok()?;
    Some(Command::CredentialProcess(arguments))
}

pub(crate) fn run(command: Command, verbose: u8, printer: &Printer) -> Result<Status, Trouble> {
    let logging = command.logging();
    let log = move || output::log(verbose, logging);
    match command {
        // To set up a log takes longer than to ask an agent, which has nothing to log.
        Command::CredentialProcess(arguments) if verbose == 0 => {
            credential_process::run(arguments, log, printer)
        }
        command => {
            log();
            run_logged(command, printer)
        }
    }
}

fn run_logged(command: Command, printer: &Printer) -> Result<Status, Trouble> {
    match command {
        Command::Exec(arguments) => exec::run(arguments, printer),
        Command::Serve(arguments) => serve::run(&arguments, printer),
        Command::Status(arguments) => status::run(&arguments, printer),
        Command::Write(arguments) => write::run(arguments, printer),
        Command::CredentialProcess(arguments) => credential_process::run(arguments, || {}, printer),
        Command::Export(arguments) => export::run(arguments, printer),
        Command::Whoami(arguments) => whoami::run(arguments, printer),
        Command::Cache(arguments) => cache::run(&arguments, printer),
        Command::Doctor(arguments) => doctor::run(arguments, printer),
        Command::Demo(arguments) => demo::run(&arguments, printer),
        Command::Sandbox(arguments) => sandbox::run(&arguments, printer),
        Command::Simulate(arguments) => simulate::run(&arguments, printer),
        Command::Completions(arguments) => Ok(completions::run(&arguments, printer)),
    }
}

/// Runs a command's asynchronous part on this thread alone: it waits far more than it works.
fn block_on<T>(work: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Trouble::system("cannot start", error))?
        .block_on(work)
}
