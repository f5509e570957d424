//! Where MFA codes come from: the command line, a program, or the person at the terminal.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use rolekeeper::{
    Secret,
    sources::{MfaPrompt, MfaRequest},
};

use crate::exit::Trouble;

const PASS_A_CODE: &str =
    "pass --mfa-code CODE, or --mfa-process COMMAND, which prints a code for each session";
const PASS_A_PROGRAM: &str = "pass --mfa-process COMMAND, which prints a code for each session";
const RUN_IT: &str =
    "run the command of --mfa-process by itself: it must print six digits and end with status 0";

/// Why there is no code, and what would have given one.
type Nobody = (String, &'static str);

#[derive(Clone)]
pub(crate) struct Asker(Arc<Inner>);

struct Inner {
    way: Way,
    is_asking: AtomicBool,
    is_finished: AtomicBool,
    /// What would have given a code, if nothing did.
    advice: OnceLock<&'static str>,
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
            (Some(_), _) => {
                return Err(Trouble::usage("--mfa-code is not 6 digits")
                    .with_hint("pass the code that the device shows now"));
            }
            (None, Some(program)) => Way::Program(program.to_owned()),
            (None, None) => Way::Terminal,
        };
        let (is_asking, is_finished) = (AtomicBool::new(false), AtomicBool::new(false));
        Ok(Self(Arc::new(Inner { way, is_asking, is_finished, advice: OnceLock::new() })))
    }

    pub(super) fn prompt(&self) -> MfaPrompt {
        let inner = Arc::clone(&self.0);
        MfaPrompt::blocking(move |request: MfaRequest| {
            inner.is_asking.store(true, Ordering::Release);
            let code = inner.ask(&request);
            inner.is_asking.store(false, Ordering::Release);
            code.map_err(|(why, advice)| {
                let _ = inner.advice.set(advice);
                why
            })
        })
    }

    pub(super) fn is_asking(&self) -> bool {
        self.0.is_asking.load(Ordering::Acquire)
    }

    /// The source can't know where a code would have come from.
    pub(super) fn advise(&self, trouble: Trouble) -> Trouble {
        match self.0.advice.get() {
            Some(advice) => trouble.with_hint(*advice),
            None => trouble,
        }
    }

    pub(super) fn finished(&self) {
        self.0.is_finished.store(true, Ordering::Release);
    }
}

impl Inner {
    fn ask(&self, request: &MfaRequest) -> Result<String, Nobody> {
        match &self.way {
            Way::Code { code, is_used } if !is_used.swap(true, Ordering::AcqRel) => {
                Ok(code.expose().to_owned())
            }
            Way::Code { .. } => {
                Err(("the code of --mfa-code has been used".to_owned(), PASS_A_PROGRAM))
            }
            Way::Program(program) => run(program),
            Way::Terminal if self.is_finished.load(Ordering::Acquire) => {
                Err(("the terminal belongs to the program by now".to_owned(), PASS_A_PROGRAM))
            }
            Way::Terminal => ask_terminal(request),
        }
    }
}

/// The shell's way of running it, so that pipes and quotes work.
fn run(program: &str) -> Result<String, Nobody> {
    let mut command = if cfg!(windows) { Command::new("cmd") } else { Command::new("sh") };
    command.args([if cfg!(windows) { "/C" } else { "-c" }, program]);
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| (format!("--mfa-process can't be started: {error}"), RUN_IT))?;
    if !output.status.success() {
        return Err((format!("--mfa-process ended with {}", output.status), RUN_IT));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The terminal itself: stdin and stdout may be the program's, or a file.
fn ask_terminal(request: &MfaRequest) -> Result<String, Nobody> {
    let path = if cfg!(windows) { "CON" } else { "/dev/tty" };
    let mut terminal = File::options()
        .read(true)
        .write(true)
        .open(path)
        .map_err(|_| ("there is no terminal to ask at".to_owned(), PASS_A_CODE))?;
    let asked = write!(terminal, "MFA code of {} for {}: ", request.serial, request.role_arn);
    let mut line = String::new();
    asked
        .and_then(|()| BufReader::new(terminal).read_line(&mut line))
        .map_err(|error| (format!("the terminal can't be read: {error}"), PASS_A_CODE))?;
    Ok(line.trim().to_owned())
}
