//! Where MFA codes come from: the command line, a program, or the person at the terminal.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rolekeeper::{
    Failure, Secret,
    sources::{MfaPrompt, MfaRequest},
};

use crate::exit::Trouble;

#[derive(Clone)]
pub(crate) struct Asker(Arc<Inner>);

struct Inner {
    way: Way,
    is_asking: AtomicBool,
    is_finished: AtomicBool,
}

enum Way {
    /// Codes are good once.
    Code {
        code: Secret,
        is_used: AtomicBool,
    },
    Program(String),
    Terminal,
}

impl Asker {
    pub(super) fn new(code: Option<&str>, program: Option<&str>) -> Result<Self, Trouble> {
        let way = match (code, program) {
            (Some(code), _) if code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit()) => {
                Way::Code { code: Secret::new(code), is_used: AtomicBool::new(false) }
            }
            (Some(_), _) => return Err(Trouble::usage("--mfa-code is not 6 digits")),
            (None, Some(program)) => Way::Program(program.to_owned()),
            (None, None) => Way::Terminal,
        };
        let (is_asking, is_finished) = (AtomicBool::new(false), AtomicBool::new(false));
        Ok(Self(Arc::new(Inner { way, is_asking, is_finished })))
    }

    pub(super) fn prompt(&self) -> MfaPrompt {
        let inner = Arc::clone(&self.0);
        MfaPrompt::blocking(move |request: MfaRequest| {
            inner.is_asking.store(true, Ordering::Release);
            let code = inner.ask(&request);
            inner.is_asking.store(false, Ordering::Release);
            code
        })
    }

    pub(super) fn is_asking(&self) -> bool {
        self.0.is_asking.load(Ordering::Acquire)
    }

    pub(super) fn finished(&self) {
        self.0.is_finished.store(true, Ordering::Release);
    }
}

impl Inner {
    fn ask(&self, request: &MfaRequest) -> Result<String, Failure> {
        match &self.way {
            Way::Code { code, is_used } if !is_used.swap(true, Ordering::AcqRel) => {
                Ok(code.expose().to_owned())
            }
            Way::Code { .. } => Err(nobody("the code of --mfa-code has been used")),
            Way::Program(program) => run(program),
            Way::Terminal if self.is_finished.load(Ordering::Acquire) => {
                Err(nobody("the terminal belongs to the program by now"))
            }
            Way::Terminal => ask_terminal(request),
        }
    }
}

fn nobody(why: &str) -> Failure {
    Failure::needs_person(format!("an MFA code is wanted, and {why}"))
        .with_hint("pass --mfa-process COMMAND, which prints a code for each session")
}

/// The shell's way of running it, so that pipes and quotes work.
fn run(program: &str) -> Result<String, Failure> {
    let mut command = if cfg!(windows) { Command::new("cmd") } else { Command::new("sh") };
    command.args([if cfg!(windows) { "/C" } else { "-c" }, program]);
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| nobody(&format!("--mfa-process can't be started: {error}")))?;
    if !output.status.success() {
        return Err(nobody(&format!("--mfa-process ended with {}", output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The terminal itself: stdin and stdout may be the program's, or a file.
fn ask_terminal(request: &MfaRequest) -> Result<String, Failure> {
    let path = if cfg!(windows) { "CON" } else { "/dev/tty" };
    let mut terminal = File::options()
        .read(true)
        .write(true)
        .open(path)
        .map_err(|_| nobody("there is no terminal to ask at"))?;
    let asked = write!(terminal, "MFA code of {} for {}: ", request.serial, request.role_arn);
    let mut line = String::new();
    asked
        .and_then(|()| BufReader::new(terminal).read_line(&mut line))
        .map_err(|error| nobody(&format!("the terminal can't be read: {error}")))?;
    Ok(line.trim().to_owned())
}
