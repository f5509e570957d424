//! Where secrets are not: whatever a command does and whatever goes wrong, at the most talkative
//! level, in what is told, in what is written, in what the system tells of a process; and, once a
//! session was replaced, in the agent's memory.

mod agent;
mod commands;
mod faults;
mod files;
mod forms;
mod memory;
mod misplaced;
mod processes;
mod shapes;
mod tap;

use rustix::process::Signal;

use crate::support::Invocation;

use files::files_in;
use forms::Known;
use tap::Tap;

/// By which programs and libraries are asked to tell all they can: ours, the SDK's, Rust's.
const TALKATIVE: [(&str, &str); 6] = [
    ("RUST_LOG", "trace"),
    ("ROLEKEEPER_LOG", "trace"),
    ("AWS_LOG", "trace"),
    ("RUST_BACKTRACE", "full"),
    ("LOG_SENSITIVE_BODIES", "true"),
    ("LOG_SIGNABLE_BODY", "true"),
];

fn talkative(invocation: Invocation) -> Invocation {
    TALKATIVE.iter().fold(invocation, |invocation, (name, value)| invocation.env(name, value))
}

/// Runs it until it says that there will be another try, or to its end: its status, if it has one of
/// its own, and all that it told.
fn run_until_told(invocation: Invocation) -> (Option<i32>, String) {
    let mut started = invocation.start();
    let mut told = String::new();
    while let Some(line) = started.told() {
        told.push_str(&line);
        if line.contains("no new session") {
            started.signal(Signal::INT);
        }
    }
    let (status, stdout, stderr) = started.output();
    (status.code(), told + &stdout + &stderr)
}
