//! A program under `exec` that stays until it is let go, and its endpoint over a plain socket.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::TcpStream,
    process::ExitStatus,
    sync::Mutex,
    time::Duration,
};

use super::{Home, Started, Sts, file_once_there, role};

/// Writes its environment down, then stays until stdin is closed.
const PROGRAM: &str = r#"env > "$HOME/env.new" && mv "$HOME/env.new" "$HOME/env"; cat > /dev/null"#;

pub(crate) struct Served {
    /// Behind a lock so that many threads may ask at once.
    started: Mutex<Started>,
    environment: HashMap<String, String>,
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

// === impl Served ===

impl Served {
    /// `exec` with the role `demo`.
    pub(crate) fn start(home: &Home, sts: &Sts) -> Self {
        Self::start_by(
            home,
            |exec| home.rolekeeper(exec).at(sts).start(),
            &["--role-arn", &role("demo")],
        )
    }

    pub(crate) fn start_by(
        home: &Home,
        start: impl FnOnce(Vec<String>) -> Started,
        which: &[&str],
    ) -> Self {
        let exec = ["exec"].iter().chain(which).chain(&["--", "sh", "-c", PROGRAM]);
        let started = start(exec.map(|word| (*word).to_owned()).collect());
        let environment = file_once_there(&home.path().join("env"))
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Self { started: Mutex::new(started), environment }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.environment.contains_key(name)
    }

    #[track_caller]
    pub(crate) fn variable(&self, name: &str) -> &str {
        self.environment.get(name).unwrap_or_else(|| panic!("{name} is not set"))
    }

    pub(crate) fn token(&self) -> &str {
        self.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN")
    }

    /// `127.0.0.1:PORT`
    pub(crate) fn address(&self) -> &str {
        let url = self.variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
        url.strip_prefix("http://").and_then(|url| url.strip_suffix("/role/exec")).unwrap()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.address())
    }

    /// As an SDK asks.
    pub(crate) fn get(&self) -> Reply {
        self.ask("GET /role/exec", &[("Host", self.address()), ("Authorization", self.token())])
    }

    pub(crate) fn ask(&self, line: &str, headers: &[(&str, &str)]) -> Reply {
        Reply::to(self.address(), line, headers)
    }

    pub(crate) fn send(&self, request: &[u8]) -> Reply {
        Reply::to_bytes(self.address(), request)
    }

    /// Lets the program go.
    pub(crate) fn end(self) -> (ExitStatus, String) {
        let mut started = self.started.into_inner().unwrap();
        started.close_stdin();
        let (status, _, stderr) = started.output();
        (status, stderr)
    }
}

// === impl Reply ===

fn connect(address: &str) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(super::DEADLINE)).unwrap();
    socket
}

impl Reply {
    /// To a request's line, without its version, and its headers.
    pub(crate) fn to(address: &str, line: &str, headers: &[(&str, &str)]) -> Self {
        let mut request = format!("{line} HTTP/1.1\r\nConnection: close\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        Self::to_bytes(address, request.as_bytes())
    }

    fn to_bytes(address: &str, request: &[u8]) -> Self {
        let mut socket = connect(address);
        // It may be refused before it has been sent.
        let _ = socket.write_all(request);
        Self::read(socket)
    }

    /// All that comes until the other side closes; status 0 if that is nothing.
    pub(crate) fn read(mut socket: TcpStream) -> Self {
        let mut bytes = Vec::new();
        // A connection that is reset has said what it had to say.
        let _ = socket.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// SDKs give up after this.
pub(crate) const LEAST_PATIENT_SDK: Duration = Duration::from_secs(2);
