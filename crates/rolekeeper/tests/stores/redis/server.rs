//! A server of its own for a test: on a free port, in a folder that goes with it.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

const STEP: Duration = Duration::from_millis(10);

/// A server is ready within some 50 ms, or it never is.
const STEPS: usize = 500;

pub(super) struct Server {
    child: Child,
    pub(super) port: u16,
    folder: tempfile::TempDir,
    options: Vec<String>,
}

pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Asks again until it is so.
#[track_caller]
pub(super) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..STEPS {
        if is_so() {
            return;
        }
        sleep(STEP);
    }
    panic!("not so: {what}");
}

impl Server {
    /// With options as on the command line: `["--requirepass", "x"]`.
    pub(super) fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options: Vec<_> = options.iter().map(|&option| option.to_owned()).collect();
        let port = free_port();
        let child = spawn(port, folder.path(), &options);
        let server = Self { child, port, folder, options };
        server.until_ready();
        server
    }

    /// One that watches `masters`, each a name and a port.
    pub(super) fn sentinel(lines: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sentinel.conf");
        std::fs::write(&file, lines).unwrap();
        let options = vec![file.to_str().unwrap().to_owned(), "--sentinel".to_owned()];
        let port = free_port();
        let child = spawn(port, folder.path(), &options);
        let server = Self { child, port, folder, options };
        server.until_ready();
        server
    }

    fn until_ready(&self) {
        until("the server answers", || {
            let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)) else {
                return false;
            };
            let mut answer = [0; 1];
            stream.write_all(b"PING\r\n").is_ok() && stream.read_exact(&mut answer).is_ok()
        });
    }

    pub(super) fn address(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// It stands still, and its sockets with it.
    pub(super) fn stop(&self) {
        self.signal(Signal::STOP);
    }

    pub(super) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// As by `kill -9`.
    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Again on the same port, with nothing of what it had.
    pub(super) fn begin_anew(&mut self) {
        self.child = spawn(self.port, self.folder.path(), &self.options);
        self.until_ready();
    }

    /// What `redis-cli` prints.
    #[track_caller]
    pub(super) fn say(&self, words: &[&str]) -> String {
        let run = Command::new("redis-cli")
            .args(["-p", &self.port.to_string()])
            .args(words)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(run.status.success(), "{words:?}: {run:?}");
        String::from_utf8(run.stdout).unwrap().trim_end().to_owned()
    }

    /// The ids of all its clients but for `redis-cli`.
    pub(super) fn clients(&self) -> Vec<String> {
        let list = self.say(&["CLIENT", "LIST"]);
        let others = list.lines().filter(|line| !line.contains("cmd=client|list"));
        others.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
    }

    /// The only key that ends so.
    #[track_caller]
    pub(super) fn key(&self, end: &str) -> String {
        let keys = self.say(&["KEYS", &format!("rolekeeper:*:{end}")]);
        assert_eq!(keys.lines().count(), 1, "{keys}");
        keys
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that stands still is killed all the same.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(port: u16, folder: &Path, options: &[String]) -> Child {
    let mut command = Command::new("redis-server");
    let (files, options) = match options {
        [file, rest @ ..] if !file.starts_with("--") => (Some(file), rest),
        options => (None, options),
    };
    command.args(files).args(["--port", &port.to_string()]);
    command.args(["--bind", "127.0.0.1", "--dir"]).arg(folder);
    if files.is_none() {
        command.args(["--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"]);
    }
    command.args(options).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap_or_else(|error| {
        panic!(
            "redis-server is missing; install it (Debian: apt-get install redis-server): {error}"
        )
    })
}
