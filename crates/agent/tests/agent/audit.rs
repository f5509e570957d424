//! What the audit tells, over real sockets. The log is one for all tests of this process: each has
//! roles of names of its own, or looks at its own listener's lines.

use std::{
    io::{self, Read, Write},
    sync::{Mutex, Once},
};

use rolekeeper_agent::{Face, Rule};
use tracing::level_filters::LevelFilter;

use crate::support::{Running, TOKEN, Tap, role, wait_for};

const RIGHT: (&str, &str) = ("Authorization", TOKEN);

static LOG: Mutex<String> = Mutex::new(String::new());

struct Keeper;

impl Write for Keeper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap().push_str(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn keep_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(LevelFilter::DEBUG)
            .with_writer(|| Keeper)
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
}

/// Lines of the audit that have all of this.
fn told(parts: &[&str]) -> Vec<String> {
    let log = LOG.lock().unwrap();
    let lines = log.lines().filter(|line| line.contains("rolekeeper::audit"));
    lines.filter(|line| parts.iter().all(|part| line.contains(part))).map(str::to_owned).collect()
}

fn running(tap: &Tap, names: &[&str]) -> Running {
    keep_log();
    let roles = || names.iter().map(|name| role(name, tap, Rule::anybody())).collect();
    Running::serve(roles, &[Face::Container])
}

#[test]
fn a_clients_first_reading_of_a_session_is_told_once_over_all_its_connections() {
    let running = running(&Tap::default(), &["told-once"]);
    let own = "role=\"told-once\"";
    for _ in 0..5 {
        assert_eq!(running.ask("GET /role/told-once", &[RIGHT]).status, 200);
    }
    let first = told(&[own]);
    assert_eq!(first.len(), 1, "{first:?}");
    assert!(first[0].contains(" INFO "), "{first:?}");
    for part in ["read", "generation=1", "remote=\"127.0.0.1:"] {
        assert!(first[0].contains(part), "{part} is not in {first:?}");
    }
    #[cfg(target_os = "linux")]
    {
        let uid = format!("uid={}", rustix::process::geteuid().as_raw());
        assert!(first[0].contains(&uid), "{first:?}");
    }

    let role = running.agent.roles().remove(0);
    running.runtime.block_on(role.credentials().refresh_now()).unwrap();
    for _ in 0..5 {
        assert_eq!(running.ask("GET /role/told-once", &[RIGHT]).status, 200);
    }
    assert_eq!(told(&[own]).len(), 2);
    assert_eq!(told(&[own, "generation=2"]).len(), 1);
}

#[test]
fn each_role_that_one_connection_reads_is_told() {
    let running = running(&Tap::default(), &["told-a", "told-b"]);
    let mut socket = running.connect();
    let host = running.address();
    let mut ask = |name: &str, connection: &str| {
        let request = format!(
            "GET /role/{name} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {TOKEN}\r\n\
             Connection: {connection}\r\n\r\n"
        );
        socket.write_all(request.as_bytes()).unwrap();
    };
    ask("told-a", "keep-alive");
    ask("told-b", "keep-alive");
    ask("told-a", "close");
    let mut all = String::new();
    socket.read_to_string(&mut all).unwrap();
    assert_eq!(all.matches("HTTP/1.1 200").count(), 3, "{}", all.len());
    for name in ["told-a", "told-b"] {
        assert_eq!(told(&[&format!("role=\"{name}\"")]).len(), 1, "{name}");
    }
}

#[test]
fn refusals_are_told_by_reason_but_not_without_end() {
    let running = running(&Tap::default(), &["told-refusals"]);
    let here = format!("listener=\"{}\"", running.address());
    for _ in 0..30 {
        let wrong = ("Authorization", "some-wrong-token");
        assert_eq!(running.ask("GET /role/told-refusals", &[wrong]).status, 401);
    }
    assert_eq!(running.ask("GET /role/told-refusals", &[RIGHT, ("Origin", "null")]).status, 403);
    assert_eq!(told(&[&here, "refused", "reason=\"token\""]).len(), 10);
    assert_eq!(told(&[&here, "refused", "reason=\"browser\""]).len(), 1);
    assert_eq!(running.send(b"no request at all\r\n\r\n").status, 400);
    // The answer to what can't be read is not ours, and comes first.
    wait_for("what can't be read is told", || {
        told(&[&here, "refused", "reason=\"malformed\""]).len() == 1
    });
}

#[test]
fn nothing_that_is_told_is_a_secret() {
    let running = running(&Tap::default(), &["told-no-secret"]);
    assert_eq!(running.ask("GET /role/told-no-secret", &[RIGHT]).status, 200);
    let almost = format!("{TOKEN}x");
    assert_eq!(running.ask("GET /role/told-no-secret", &[("Authorization", &almost)]).status, 401);
    assert_eq!(told(&["role=\"told-no-secret\""]).len(), 1);
    let log = LOG.lock().unwrap();
    for secret in [TOKEN, "the secret", "the session token"] {
        assert!(!log.contains(secret), "it has one");
    }
}
