//! Any bytes as a connection to an agent. The first byte chooses the listener.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{Arc, OnceLock},
    time::Duration,
};

use rolekeeper::{
    Clock, Credentials, Failure, Issued, RefreshableCredentials, Secret, sources::Callback,
};
use rolekeeper_agent::{Agent, Face, Listener, Place, Plan, Role, RoleName, Rule, Tokens};
use tokio::runtime::Runtime;

const TOKEN: &str = "a-token-that-is-known";
const KEY: &str = "the-secret-access-key";

/// What clients are told: anything else would be a slip.
const STATUSES: [&str; 12] =
    ["200", "400", "401", "403", "404", "405", "408", "413", "414", "417", "431", "503"];

/// Longer than any request may be held.
const PATIENCE: Duration = Duration::from_secs(20);

struct World {
    _runtime: Runtime,
    _agent: Agent,
    listeners: Vec<SocketAddr>,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let agent = Agent::new();
        let plan = Plan {
            roles: vec![runtime.block_on(async { role() })],
            listeners: faces().map(listener).into(),
        };
        let serving = runtime.block_on(agent.serve(plan)).expect("free ports");
        let listeners = serving.iter().map(|listening| listening.address).collect();
        World { _runtime: runtime, _agent: agent, listeners }
    })
}

fn name() -> RoleName {
    RoleName::parse("etl").expect("a name")
}

fn role() -> Role {
    let source = Callback::new("a source", || async {
        let keys = Credentials::new("ASIAEXAMPLE", KEY, "a session token");
        let end = Clock::default().now().wall.after(Duration::from_secs(36_000));
        Ok::<_, Failure>(Issued::new(keys, end))
    });
    let tokens = Tokens::fixed(&Secret::new(TOKEN)).expect("a token");
    let credentials = RefreshableCredentials::builder(source).build();
    Role::new(name(), credentials, Arc::new(tokens), Rule::anybody())
}

fn faces() -> [Face; 3] {
    let imds = Face::Imds { role: name(), region: None, v1: false, key: None };
    [Face::Container, imds, Face::Operator]
}

fn listener(face: Face) -> Listener {
    Listener { at: Place::Address(([127, 0, 0, 1], 0).into()), face }
}

/// A choice, and all that is sent.
pub fn run(input: &[u8]) {
    let Some((choice, bytes)) = input.split_first() else { return };
    let choice = usize::from(*choice) % 3;
    let mut stream = TcpStream::connect(world().listeners[choice]).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    // It may have gone before all is written.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "it hangs: {error}");
    }
    let answer = String::from_utf8_lossy(&answer);
    if !answer.is_empty() {
        let status = answer.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5));
        assert!(status.is_some_and(|status| STATUSES.contains(&status)), "{answer}");
    }
    // IMDS gives away tokens of its own, but no input has known one in time.
    let has_token = choice == 0 && String::from_utf8_lossy(bytes).contains(TOKEN);
    assert!(has_token || !answer.contains(KEY), "credentials without a token");
}
