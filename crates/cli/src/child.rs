//! Running a program so that it doesn't notice us: its signals reach it, its exit status is ours.

#[cfg_attr(unix, path = "child/unix.rs")]
#[cfg_attr(not(unix), path = "child/elsewhere.rs")]
mod system;

use std::{
    ffi::OsString,
    io,
    process::{Command as StdCommand, ExitStatus},
};

use tokio::process::{Child, Command};

pub(crate) use system::Signals;

use crate::{
    environment::{CREDENTIAL_VARIABLES, Variables},
    exit::{Status, Trouble},
};

/// The program, with no credentials in its environment but `variables`.
pub(crate) fn command(program: &[OsString], variables: Variables) -> Command {
    let mut command = Command::new(&program[0]);
    command.args(&program[1..]);
    for name in CREDENTIAL_VARIABLES {
        command.env_remove(name);
    }
    command.envs(variables);
    command
}

/// A program that can't be started: 127 if there is none, 126 otherwise, as shells have it.
pub(crate) fn cannot_start(program: &OsString, error: &io::Error) -> Trouble {
    let (status, hint) = match error.kind() {
        io::ErrorKind::NotFound => (Status::NOT_FOUND, "check the spelling and PATH"),
        io::ErrorKind::PermissionDenied => (Status::CANNOT_EXECUTE, "is it executable?"),
        _ => (Status::CANNOT_EXECUTE, "see what the operating system says above"),
    };
    let message = format!("cannot start {}: {error}", program.display());
    Trouble { status, message, hint: Some(hint.to_owned()) }
}

fn status(exit: ExitStatus) -> Status {
    if let Some(signal) = system::ended_by(exit) {
        return Status::of_signal(signal);
    }
    exit.code().map_or(Status::FAILED, Status::of_program)
}

/// Waits for the program's end and hands on the signals that we get meanwhile. `signals` were
/// listened to from before its start: one that came a moment after it would end us and leave the
/// program behind.
pub(crate) async fn see_through(mut child: Child, mut signals: Signals) -> io::Result<Status> {
    loop {
        tokio::select! {
            exit = child.wait() => return exit.map(status),
            signal = signals.next() => system::hand_on(&child, signal),
        }
    }
}

/// The program takes our place, where that is possible.
pub(crate) fn become_program(command: StdCommand, program: &OsString) -> Result<Status, Trouble> {
    system::become_program(command).map(status).map_err(|error| cannot_start(program, &error))
}
