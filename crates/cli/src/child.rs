//! Running a program so that it doesn't notice us: its signals reach it, its exit status is ours.

use std::{ffi::OsString, io, process::ExitStatus};

use tokio::process::{Child, Command};

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

pub(crate) fn status(exit: ExitStatus) -> Status {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&exit) {
        return Status::of_signal(signal);
    }
    exit.code().map_or(Status::FAILED, Status::of_program)
}

/// Waits for the program's end and hands on the signals that we get meanwhile.
pub(crate) async fn see_through(mut child: Child) -> io::Result<Status> {
    #[cfg(unix)]
    {
        let mut signals = signals::Signals::listen()?;
        loop {
            tokio::select! {
                exit = child.wait() => return exit.map(status),
                signal = signals.next() => signals::hand_on(&child, signal),
            }
        }
    }
    #[cfg(not(unix))]
    {
        // A console sends Ctrl-C to the child too; we only must not die of it first.
        loop {
            tokio::select! {
                exit = child.wait() => return exit.map(status),
                _ = tokio::signal::ctrl_c() => {}
            }
        }
    }
}

#[cfg(unix)]
mod signals {
    use std::{fs::File, future::poll_fn, io, task::Poll};

    use rustix::process::{Pid, Signal, getpgrp, kill_process};
    use tokio::{
        process::Child,
        signal::unix::{self, SignalKind},
    };

    pub(super) struct Signals(Vec<(Signal, unix::Signal)>);

    impl Signals {
        /// From here on they don't end us.
        pub(super) fn listen() -> io::Result<Self> {
            let all = [
                (Signal::INT, SignalKind::interrupt()),
                (Signal::QUIT, SignalKind::quit()),
                (Signal::TERM, SignalKind::terminate()),
                (Signal::HUP, SignalKind::hangup()),
                (Signal::USR1, SignalKind::user_defined1()),
                (Signal::USR2, SignalKind::user_defined2()),
            ];
            all.into_iter()
                .map(|(signal, kind)| Ok((signal, unix::signal(kind)?)))
                .collect::<io::Result<_>>()
                .map(Self)
        }

        pub(super) async fn next(&mut self) -> Signal {
            poll_fn(|cx| {
                for (signal, stream) in &mut self.0 {
                    if stream.poll_recv(cx).is_ready() {
                        return Poll::Ready(*signal);
                    }
                }
                Poll::Pending
            })
            .await
        }
    }

    pub(super) fn hand_on(child: &Child, signal: Signal) {
        if is_from_terminal(signal) {
            return;
        }
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended a moment ago; then its status comes next.
            let _ = kill_process(pid, signal);
        }
    }

    /// Ctrl-C and Ctrl-\ go to the whole foreground group: the program has had them already. The terminal is asked
    /// itself, since stdin may be a file.
    fn is_from_terminal(signal: Signal) -> bool {
        matches!(signal, Signal::INT | Signal::QUIT)
            && File::open("/dev/tty")
                .and_then(|terminal| Ok(rustix::termios::tcgetpgrp(terminal)?))
                .is_ok_and(|group| group == getpgrp())
    }
}
