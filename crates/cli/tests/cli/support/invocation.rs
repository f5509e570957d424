//! One run of the binary: nothing of this machine's environment in it, and its text with all that
//! changes from run to run taken out.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{
        LazyLock,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
};

use regex_lite::Regex;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tempfile::TempDir;

use super::{DEADLINE, Sts, USER_SECRET, wait_for};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_rolekeeper");

const SETSID: &str = "/usr/bin/setsid";

/// A folder to call home.
pub(crate) struct Home(TempDir);

/// A run to be.
pub(crate) struct Invocation {
    command: Command,
    shown: String,
    home: PathBuf,
    may_show_secrets: bool,
}

/// A run that has ended.
pub(crate) struct Ran {
    shown: String,
    home: PathBuf,
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A run that goes on; killed when dropped.
pub(crate) struct Started {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

// === impl Home ===

impl Home {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("home-").tempdir().unwrap();
        fs::create_dir(folder.path().join("tmp")).unwrap();
        fs::create_dir(folder.path().join(".aws")).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Where the binary makes its temporary folders.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.path().join("tmp")
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn with_config(self, text: &str) -> Self {
        self.file(".aws/config", text);
        self
    }

    pub(crate) fn with_credentials(self, text: &str) -> Self {
        self.file(".aws/credentials", text);
        self
    }

    /// `rolekeeper ARGUMENTS`, written as in a shell.
    pub(crate) fn rolekeeper<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Invocation {
        let mut command = Command::new(BINARY);
        let mut shown = "rolekeeper".to_owned();
        for argument in arguments {
            let argument = argument.as_ref();
            let text = argument.to_string_lossy();
            let is_plain = !text.is_empty()
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_/.:=@,".contains(&b));
            shown.push(' ');
            shown.push_str(&if is_plain { text.to_string() } else { format!("'{text}'") });
            command.arg(argument);
        }
        command.env_clear().envs([
            ("HOME", self.path().as_os_str()),
            ("TMPDIR", self.temporary().as_os_str()),
            ("PATH", OsStr::new("/usr/local/bin:/usr/bin:/bin")),
            ("COLUMNS", OsStr::new("80")),
            ("USER", OsStr::new("tester")),
            ("HOSTNAME", OsStr::new("host")),
            // The one address outside of this machine that an SDK would look at.
            ("AWS_EC2_METADATA_DISABLED", OsStr::new("true")),
        ]);
        command.current_dir(self.path());
        Invocation { command, shown, home: self.path().to_owned(), may_show_secrets: false }
    }
}

// === impl Invocation ===

impl Invocation {
    /// With the sandbox's user as base, and its endpoint.
    pub(crate) fn at(self, sts: &Sts) -> Self {
        let user = sts.user_credentials("demo").unwrap();
        self.at_endpoint(sts)
            .env("AWS_ACCESS_KEY_ID", user.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", user.secret_access_key)
    }

    /// With its endpoint and no credentials.
    pub(crate) fn at_endpoint(self, sts: &Sts) -> Self {
        self.env("AWS_ENDPOINT_URL", sts.endpoint_url()).env("AWS_REGION", sts.region())
    }

    pub(crate) fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// With a disk of its own at `.cache`, which nobody else sees and which goes with it. Only root
    /// can have that done.
    pub(crate) fn with_cache_on_a_disk(mut self, options: &str) -> Self {
        let mount = "mkdir -p .cache && mount -t tmpfs -o \"$0\" tmpfs .cache && exec \"$@\"";
        let within = ["--mount", "sh", "-c", mount, options];
        self.command = wrapped("unshare", &within, &self.command);
        self
    }

    /// For verbs that print a session.
    pub(crate) fn that_shows_secrets(mut self) -> Self {
        self.may_show_secrets = true;
        self
    }

    /// In a session without a terminal, so that nobody can be asked.
    pub(crate) fn run(mut self) -> Ran {
        without_terminal(&mut self.command);
        let started = Started::of(self.command.stdin(Stdio::null()));
        let (status, stdout, stderr) = started.output();
        let status = status.code();
        let ran = Ran { shown: self.shown, home: self.home, status, stdout, stderr };
        if !self.may_show_secrets {
            ran.assert_no_secret(&ran.stdout);
        }
        ran.assert_no_secret(&ran.stderr);
        ran
    }

    /// With a pipe at both ends.
    pub(crate) fn start(mut self) -> Started {
        without_terminal(&mut self.command);
        Started::of(self.command.stdin(Stdio::piped()))
    }

    pub(crate) fn into_command(self) -> Command {
        self.command
    }
}

/// `setsid` (util-linux) starts a program in a session of its own, which has no terminal.
fn without_terminal(command: &mut Command) {
    if Path::new(SETSID).exists() {
        *command = wrapped(SETSID, &[], command);
    }
}

/// The command as the last arguments of another one.
fn wrapped(program: &str, arguments: &[&str], command: &Command) -> Command {
    let mut within = Command::new(program);
    within.args(arguments).arg(command.get_program()).args(command.get_args()).env_clear();
    within.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(folder) = command.get_current_dir() {
        within.current_dir(folder);
    }
    within
}

// === impl Ran ===

impl Ran {
    #[track_caller]
    pub(crate) fn expect(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "{}\n{}\n{}", self.shown, self.stdout, self.stderr);
        self
    }

    /// What a person sees, as a snapshot: without what changes from run to run.
    pub(crate) fn transcript(&self) -> String {
        let mut text = format!("$ {}\n", self.shown);
        for part in [&self.stdout, &self.stderr] {
            text.push_str(part);
            if !part.is_empty() && !part.ends_with('\n') {
                text.push('\n');
            }
        }
        let status = self.status.map_or("a signal".to_owned(), |status| status.to_string());
        text.push_str(&format!("[ended with {status}]\n"));
        hidden(&text.replace(&*self.home.to_string_lossy(), "/HOME"))
    }

    fn assert_no_secret(&self, text: &str) {
        let shown = &self.shown;
        assert!(!text.contains(USER_SECRET), "{shown} shows the user's secret:\n{text}");
        // How the sandbox's session tokens begin, like those of AWS.
        assert!(!text.contains("IQoJ"), "{shown} shows a session token:\n{text}");
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

/// Ports, times, ids and process numbers, which differ from run to run.
pub(crate) fn hidden(text: &str) -> String {
    static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        [
            (r"127\.0\.0\.1:[1-9]\d*", "127.0.0.1:PORT"),
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
            (r"\b(ASIA|AROA)[A-Z0-9]{17}\b|\b(ASIA|AROA)[A-Z0-9]{16}\b", "ID"),
            (r"tester@host-\d+", "tester@host-PID"),
            (r"they last 1[01] s", "they last 10 s"),
            (r"next try in \d+ s", "next try in N s"),
            (r"STS is \d+ s", "STS is N s"),
            (r"[0-9a-f]{64}", "TOKEN"),
        ]
        .map(|(pattern, name)| (Regex::new(pattern).unwrap(), name))
        .into()
    });
    PATTERNS.iter().fold(text.to_owned(), |text, (pattern, name)| {
        pattern.replace_all(&text, *name).into_owned()
    })
}

// === impl Started ===

impl Started {
    pub(crate) fn of(command: &mut Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own in either way, so that nothing is left behind by a test that fails.
        if command.get_program() != SETSID {
            command.process_group(0);
        }
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdout = lines(child.stdout.take().unwrap());
        let stderr = lines(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line of stdout, without its end; `None` at the end.
    #[track_caller]
    pub(crate) fn line(&mut self) -> Option<String> {
        next(&self.stdout).map(|line| line.trim_end_matches('\n').to_owned())
    }

    /// The next line of stderr, as it is; `None` at the end.
    #[track_caller]
    pub(crate) fn told(&mut self) -> Option<String> {
        next(&self.stderr)
    }

    pub(crate) fn stdin(&mut self) -> &mut ChildStdin {
        self.child.stdin.as_mut().unwrap()
    }

    pub(crate) fn close_stdin(&mut self) {
        self.child.stdin = None;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.group(), signal).unwrap();
    }

    /// Its process number, which is its group's.
    fn group(&self) -> Pid {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).unwrap()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Status, and what was not read yet of stdout, and stderr.
    #[track_caller]
    pub(crate) fn output(mut self) -> (ExitStatus, String, String) {
        let status = wait_for("the program's end", || self.child.try_wait().unwrap());
        let rest = |lines: &Receiver<String>| {
            let mut text = String::new();
            loop {
                match lines.recv_timeout(DEADLINE) {
                    Ok(line) => text.push_str(&line),
                    Err(RecvTimeoutError::Disconnected) => return text,
                    Err(RecvTimeoutError::Timeout) => {
                        panic!("it ended with {status} and left a process behind")
                    }
                }
            }
        };
        (status, rest(&self.stdout), rest(&self.stderr))
    }
}

#[track_caller]
fn next(lines: &Receiver<String>) -> Option<String> {
    match lines.recv_timeout(DEADLINE) {
        Ok(line) => Some(line),
        Err(RecvTimeoutError::Disconnected) => None,
        Err(RecvTimeoutError::Timeout) => panic!("waited in vain for a line"),
    }
}

/// Read by a thread, so that nobody waits without a limit.
fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (tell, told) = channel();
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            let text = String::from_utf8_lossy(&line).into_owned();
            line.clear();
            if tell.send(text).is_err() {
                break;
            }
        }
    });
    told
}

impl Drop for Started {
    fn drop(&mut self) {
        self.child.stdin = None;
        if thread::panicking() || !self.has_ended() {
            // It may end at this very moment.
            let _ = kill_process_group(self.group(), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}
