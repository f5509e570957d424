//! An agent over real sockets, and a source that a test holds in its hand.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use rolekeeper::{
    Clock, Credentials, Failure, Issued, RefreshableCredentials, Secret, sources::Callback,
};
use rolekeeper_agent::{
    Agent, Face, Listener, Listening, Place, Plan, Role, RoleName, Rule, Tokens,
};
use tokio::runtime::Runtime;

/// Two cores may be busy with other tests: nothing that goes well takes this long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) const TOKEN: &str = "a-token-that-a-test-knows";

/// What a role's sessions come from: it counts, and fails or waits when told to.
#[derive(Clone, Default)]
pub(crate) struct Tap(Arc<TapState>);

#[derive(Default)]
struct TapState {
    calls: AtomicU64,
    is_failing: AtomicBool,
    is_held: AtomicBool,
}

/// An agent and the runtime it lives in.
pub(crate) struct Running {
    pub(crate) runtime: Runtime,
    pub(crate) agent: Agent,
    pub(crate) listening: Vec<Listening>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// In lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

// === impl Tap ===

impl Tap {
    /// Sessions of an hour; their keys are `ASIA1`, `ASIA2`, …
    pub(crate) fn credentials(&self) -> RefreshableCredentials {
        let state = Arc::clone(&self.0);
        let source = Callback::new("a test's source", move || {
            let state = Arc::clone(&state);
            async move {
                while state.is_held.load(Ordering::SeqCst) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                let call = state.calls.fetch_add(1, Ordering::SeqCst) + 1;
                if state.is_failing.load(Ordering::SeqCst) {
                    return Err(Failure::unavailable("the test's source is told to fail"));
                }
                let keys =
                    Credentials::new(format!("ASIA{call}"), "the secret", "the session token");
                let end = Clock::default().now().wall.after(Duration::from_secs(3600));
                Ok(Issued::new(keys, end).with_account_id("123456789012"))
            }
        });
        RefreshableCredentials::builder(source).build()
    }

    pub(crate) fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::SeqCst)
    }

    /// From now on it fails, or not.
    pub(crate) fn fail(&self, fails: bool) {
        self.0.is_failing.store(fails, Ordering::SeqCst);
    }

    /// From now on its answers don't come, or do.
    pub(crate) fn hold(&self, holds: bool) {
        self.0.is_held.store(holds, Ordering::SeqCst);
    }
}

// === impl Running ===

impl Running {
    /// One role, `etl`, whose token is [`TOKEN`], behind these faces, each at a free port.
    pub(crate) fn with(tap: &Tap, faces: &[Face]) -> Self {
        Self::serve(|| vec![role("etl", tap, Rule::anybody())], faces)
    }

    /// These roles behind these faces.
    pub(crate) fn serve(roles: impl FnOnce() -> Vec<Role>, faces: &[Face]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let agent = Agent::new();
        let listeners = faces.iter().map(|face| any_port(face.clone())).collect();
        let listening = {
            let _inside = runtime.enter();
            runtime.block_on(agent.serve(Plan { roles: roles(), listeners })).unwrap()
        };
        Self { runtime, agent, listening }
    }

    /// Of the first listener.
    pub(crate) fn address(&self) -> SocketAddr {
        self.listening[0].address
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address()).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        socket
    }

    /// `line` such as `GET /role/etl`, with a `Host` as it should be and these headers.
    pub(crate) fn ask(&self, line: &str, headers: &[(&str, &str)]) -> Reply {
        let host = self.address().to_string();
        let all: Vec<(&str, &str)> =
            [("Host", host.as_str())].into_iter().chain(headers.iter().copied()).collect();
        self.ask_plainly(line, &all)
    }

    /// With these headers only.
    pub(crate) fn ask_plainly(&self, line: &str, headers: &[(&str, &str)]) -> Reply {
        let mut request = format!("{line} HTTP/1.1\r\nConnection: close\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        self.send(format!("{request}\r\n").as_bytes())
    }

    pub(crate) fn send(&self, request: &[u8]) -> Reply {
        let mut socket = self.connect();
        // It may be refused before it has been sent.
        let _ = socket.write_all(request);
        Reply::read(socket)
    }

    /// As an SDK asks the container endpoint.
    pub(crate) fn get(&self) -> Reply {
        self.ask("GET /role/etl", &[("Authorization", TOKEN)])
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.agent.shutdown();
    }
}

pub(crate) fn role(name: &str, tap: &Tap, rule: Rule) -> Role {
    let tokens = Tokens::fixed(&Secret::new(TOKEN)).unwrap();
    Role::new(RoleName::parse(name).unwrap(), tap.credentials(), tokens, rule)
}

pub(crate) fn any_port(face: Face) -> Listener {
    Listener { at: Place::Address(([127, 0, 0, 1], 0).into()), face }
}

/// Waits for a condition.
#[track_caller]
pub(crate) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let clock = Clock::default();
    let start = clock.now().elapsed;
    while !condition() {
        assert!(clock.now().elapsed.since(start) < DEADLINE, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

// === impl Reply ===

impl Reply {
    /// All that comes until the other side closes; status 0 if that is nothing.
    pub(crate) fn read(mut socket: impl Read) -> Self {
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
