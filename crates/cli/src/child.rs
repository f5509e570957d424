//! Running a program so that it doesn't notice us: its signals reach it, its exit status is ours.

use std::{ffi::OsString, io, process::ExitStatus};

use tokio::process::{Child, Command};

pub(crate) use signals::Signals;

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

/// Waits for the program's end and hands on the signals that we get meanwhile. `signals` were
/// listened to from before its start: one that came a moment after it would end us and leave the
/// program behind.
pub(crate) async fn see_through(mut child: Child, mut signals: Signals) -> io::Result<Status> {
    loop {
        tokio::select! {
            exit = child.wait() => return exit.map(status),
            signal = signals.next() => signals::hand_on(&child, signal),
        }
    }
}

#[cfg(not(unix))]
mod signals {
    use std::io;

    use tokio::process::Child;

    pub(crate) struct Signals(());

    impl Signals {
        pub(crate) fn listen() -> io::Result<Self> {
            Ok(Self(()))
        }

        pub(super) async fn next(&mut self) {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending().await
            }
        }
    }

    /// A console sends Ctrl-C to the program too; we only must not die of it first.
    pub(super) fn hand_on(_: &Child, (): ()) {}
}

#[cfg(unix)]
mod signals {
    use std::{fs::File, future::poll_fn, io, task::Poll};

    use rustix::process::{Pid, Signal, getpgrp, kill_process};
    use tokio::{
        process::Child,
        signal::unix::{self, SignalKind},
    };

    pub(crate) struct Signals(Vec<(Signal, unix::Signal)>);

    impl Signals {
        /// From here on they don't end us. What we were started to ignore (as by nohup) is left
        /// alone, so that the program ignores it too: a handler would be taken from it at its
        /// start, and an ignored signal is not.
        pub(crate) fn listen() -> io::Result<Self> {
            let ignored = ignored();
            let all = [
                (Signal::INT, SignalKind::interrupt()),
                (Signal::QUIT, SignalKind::quit()),
                (Signal::TERM, SignalKind::terminate()),
                (Signal::HUP, SignalKind::hangup()),
                (Signal::USR1, SignalKind::user_defined1()),
                (Signal::USR2, SignalKind::user_defined2()),
            ];
            all.into_iter()
                .filter(|(signal, _)| ignored & (1 << (signal.as_raw() - 1)) == 0)
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

    /// A bit for each ignored signal, the lowest for signal 1. Only Linux tells it without unsafe
    /// code; elsewhere none counts as ignored.
    fn ignored() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
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

    /// Ctrl-C and Ctrl-\ go to the whole foreground group: the program has had them already. The
    /// terminal is asked itself, since stdin may be a file.
    fn is_from_terminal(signal: Signal) -> bool {
        matches!(signal, Signal::INT | Signal::QUIT)
            && File::open("/dev/tty")
                .and_then(|terminal| Ok(rustix::termios::tcgetpgrp(terminal)?))
                .is_ok_and(|group| group == getpgrp())
    }
}
