//! `serve` as a process of its own: found by what it prints, and asked over plain sockets.

use std::{array, fs, net::TcpListener, path::PathBuf, process::ExitStatus};

use rustix::process::Signal;

use super::{Home, Invocation, Reply, Started, Sts, USER_SECRET, role};

/// An agent that serves; killed when dropped.
pub(crate) struct Agent {
    started: Started,
    /// All that it has printed so far.
    stdout: Vec<String>,
    /// All that it has told so far.
    stderr: String,
    /// Beside its socket.
    folder: PathBuf,
    address: String,
}

/// `127.0.0.1:0`: any port that is free.
pub(crate) const ANY_PORT: &str = "127.0.0.1:0";

/// Where an agent has its socket in a home.
pub(crate) fn socket(home: &Home) -> PathBuf {
    home.path().join(".local/state/rolekeeper/agent.sock")
}

/// Profiles of these names for the role `demo`, with the base keys in the credentials file.
pub(crate) fn home_with_profiles(names: &[&str]) -> Home {
    let of = |name: &&str| {
        format!("[profile {name}]\nrole_arn = {}\nsource_profile = base\n", role("demo"))
    };
    let credentials = format!(
        "[base]\naws_access_key_id = AKIAROLEKEEPERSANDBX\naws_secret_access_key = {USER_SECRET}\n"
    );
    Home::new()
        .with_config(&names.iter().map(of).collect::<String>())
        .with_credentials(&credentials)
}

/// Tries with ports that were free a moment ago, until none of them was taken in between: then the
/// attempt is `Some`.
#[track_caller]
pub(crate) fn on_free_ports<T, const N: usize>(
    mut attempt: impl FnMut([u16; N]) -> Option<T>,
) -> T {
    for _ in 0..10 {
        let held: [_; N] = array::from_fn(|_| TcpListener::bind(ANY_PORT).unwrap());
        let ports = held.each_ref().map(|listener| listener.local_addr().unwrap().port());
        drop(held);
        if let Some(done) = attempt(ports) {
            return done;
        }
    }
    panic!("free ports are taken by others again and again");
}

// === impl Agent ===

impl Agent {
    /// `rolekeeper serve ARGUMENTS`.
    #[track_caller]
    pub(crate) fn start(home: &Home, sts: &Sts, arguments: &[&str]) -> Self {
        Self::of(home, invocation(home, sts, arguments))
    }

    /// The same, of a command that was changed before.
    #[track_caller]
    pub(crate) fn of(home: &Home, command: Invocation) -> Self {
        Self::try_start(home, command).unwrap_or_else(|stderr| panic!("{stderr}"))
    }

    /// `None` if one of its ports is taken.
    #[track_caller]
    pub(crate) fn start_on_free_ports(home: &Home, sts: &Sts, arguments: &[&str]) -> Option<Self> {
        match Self::try_start(home, invocation(home, sts, arguments)) {
            Ok(agent) => Some(agent),
            Err(stderr) if stderr.contains("cannot listen on 127.0.0.1:") => None,
            Err(stderr) => panic!("{stderr}"),
        }
    }

    fn try_start(home: &Home, command: Invocation) -> Result<Self, String> {
        let started = command.start();
        let folder = socket(home).parent().unwrap().to_owned();
        let (stdout, stderr, address) = Default::default();
        let mut agent = Self { started, stdout, stderr, folder, address };
        if agent.told(&["stop with Ctrl-C"]).is_none() {
            return Err(agent.stderr);
        }
        let url = agent.exported("# ", "AWS_CONTAINER_CREDENTIALS_FULL_URI");
        url.strip_prefix("http://")
            .unwrap()
            .split('/')
            .next()
            .unwrap()
            .clone_into(&mut agent.address);
        Ok(agent)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.started.pid()
    }

    /// Where its container endpoint is: `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The value that it prints for a shell, under a heading that begins so.
    #[track_caller]
    pub(crate) fn exported(&mut self, heading: &str, name: &str) -> String {
        let (mut at, mut is_under) = (0, false);
        loop {
            if at == self.stdout.len() {
                let line = self.started.line();
                self.stdout.push(line.unwrap_or_else(|| panic!("no {name}: {:?}", self.stdout)));
            }
            let line = &self.stdout[at];
            at += 1;
            if line.starts_with('#') {
                is_under = line.starts_with(heading);
            }
            let exported = line.strip_prefix("export ").and_then(|line| line.split_once('='));
            if let Some((_, value)) = exported.filter(|(found, _)| is_under && *found == name) {
                return value.trim_matches('\'').to_owned();
            }
        }
    }

    /// What it tells from here on, up to the line that has one of these in it; `None` if it ends
    /// before.
    #[track_caller]
    fn told(&mut self, until: &[&str]) -> Option<String> {
        let mut told = String::new();
        while let Some(line) = self.started.told() {
            self.stderr.push_str(&line);
            told.push_str(&line);
            if until.iter().any(|what| line.contains(what)) {
                return Some(told);
            }
        }
        None
    }

    /// Has it read its configuration again; what it told, up to the line that has this in it.
    #[track_caller]
    pub(crate) fn reload(&mut self, until: &str) -> String {
        self.reload_until(&[until])
    }

    /// The same, up to the line that has one of these in it.
    #[track_caller]
    pub(crate) fn reload_until(&mut self, until: &[&str]) -> String {
        self.started.signal(Signal::HUP);
        self.told(until).unwrap_or_else(|| panic!("it has ended: {}", self.stderr))
    }

    pub(crate) fn token_file(&self, role: &str) -> PathBuf {
        self.folder.join("tokens").join(role)
    }

    #[track_caller]
    pub(crate) fn token(&self, role: &str) -> String {
        fs::read_to_string(self.token_file(role)).unwrap()
    }

    /// As an SDK asks.
    #[track_caller]
    pub(crate) fn get(&self, role: &str) -> Reply {
        self.get_with(role, &self.token(role))
    }

    pub(crate) fn get_with(&self, role: &str, token: &str) -> Reply {
        let headers = [("Host", self.address()), ("Authorization", token)];
        Reply::to(self.address(), &format!("GET /role/{role}"), &headers)
    }

    /// The access key id of the session that is served.
    #[track_caller]
    pub(crate) fn key_id(&self, role: &str) -> String {
        let reply = self.get(role);
        assert_eq!(reply.status, 200, "{role}: {}", reply.body);
        reply.json()["AccessKeyId"].as_str().unwrap().to_owned()
    }

    /// Without a moment to tidy up.
    pub(crate) fn kill(self) {
        let _ = self.end(Signal::KILL);
    }

    /// Its end upon a signal, and all that it told; no secret is in that.
    #[track_caller]
    pub(crate) fn end(self, signal: Signal) -> (ExitStatus, String) {
        let tokens = fs::read_dir(self.folder.join("tokens")).unwrap();
        let tokens = tokens.map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
        let secrets: Vec<String> = tokens.chain([USER_SECRET, "IQoJ"].map(str::to_owned)).collect();
        self.started.signal(signal);
        let (status, stdout, stderr) = self.started.output();
        let stderr = self.stderr + &stderr;
        let all = self.stdout.concat() + &stdout + &stderr;
        assert!(!secrets.iter().any(|secret| all.contains(secret)), "it shows a secret: {all}");
        (status, stderr)
    }
}

/// `rolekeeper serve ARGUMENTS`, at a sandbox.
pub(crate) fn invocation(home: &Home, sts: &Sts, arguments: &[&str]) -> Invocation {
    home.rolekeeper(["serve"].iter().chain(arguments)).at_endpoint(sts)
}
