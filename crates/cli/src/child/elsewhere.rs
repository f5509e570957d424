//! Ctrl-C is all there is, and a program can't take another's place.

use std::{
    future::pending,
    io,
    process::{Command, ExitStatus},
};

use tokio::process::Child;

pub(crate) struct Signals(());

impl Signals {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self(()))
    }

    pub(super) async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            pending::<()>().await;
        }
    }
}

/// A console sends Ctrl-C to the program too; we only must not die of it first.
pub(super) fn hand_on(_: &Child, (): ()) {}

/// The signal that has ended a program.
pub(super) fn ended_by(_: ExitStatus) -> Option<i32> {
    None
}

/// Runs it beside us, to its end.
pub(super) fn become_program(mut command: Command) -> io::Result<ExitStatus> {
    command.status()
}
