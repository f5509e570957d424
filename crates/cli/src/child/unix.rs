//! Signals, and one program in the place of another.

use std::{
    fs::File,
    future::poll_fn,
    io,
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Command, ExitStatus},
    task::Poll,
};

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

/// The signal that has ended a program.
pub(super) fn ended_by(exit: ExitStatus) -> Option<i32> {
    exit.signal()
}

/// Comes back only if it could not be done.
pub(super) fn become_program(mut command: Command) -> io::Result<ExitStatus> {
    Err(command.exec())
}
