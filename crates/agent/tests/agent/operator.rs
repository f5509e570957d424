//! Health, readiness and metrics over real sockets.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use rolekeeper::{
    Clock, Credentials, Failure, Issued, RefreshPolicy, RefreshableCredentials, Secret, Source,
    sources::Callback,
};
use rolekeeper_agent::{Face, Fetches, Measured, Role, RoleName, Rule, Tokens};

use crate::support::{Running, TOKEN, Tap, role, wait_for};

/// The operator's listener first, so that `ask` asks it.
const FACES: [Face; 2] = [Face::Operator, Face::Container];

/// A sample's name and labels.
type Sample = (String, BTreeMap<String, String>);

/// What the text format says, read by its every rule.
#[derive(Debug, Default)]
struct Metrics {
    kinds: BTreeMap<String, String>,
    samples: BTreeMap<Sample, f64>,
}

impl Metrics {
    #[track_caller]
    fn of(running: &Running) -> Self {
        let reply = running.ask("GET /metrics", &[]);
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert!(reply.head.contains("content-type: text/plain; version=0.0.4"), "{}", reply.head);
        Self::parse(&reply.body)
    }

    #[track_caller]
    fn parse(text: &str) -> Self {
        let mut all = Self::default();
        let (mut family, mut help) = (String::new(), String::new());
        assert!(text.ends_with('\n'), "the last line has no end");
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, words) = rest.split_once(' ').unwrap();
                assert!(is_name(name) && !words.contains('\\') && words.ends_with('.'), "{line}");
                help = name.to_owned();
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert_eq!(name, help, "its HELP is not just before");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                let before = all.kinds.insert(name.to_owned(), kind.to_owned());
                assert!(before.is_none(), "twice: {line}");
                family = name.to_owned();
            } else {
                let (name, labels, value) = sample(line);
                let suffix = name.strip_prefix(&family).unwrap_or_else(|| panic!("strays: {line}"));
                let suffixes: &[&str] = match all.kinds[&family].as_str() {
                    "histogram" => &["_bucket", "_sum", "_count"],
                    _ => &[""],
                };
                assert!(suffixes.contains(&suffix), "{line}");
                assert!(all.samples.insert((name, labels), value).is_none(), "twice: {line}");
            }
        }
        all
    }

    #[track_caller]
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let found = self.find(name, labels);
        found.unwrap_or_else(|| panic!("no {name} {labels:?} in {:#?}", self.samples))
    }

    fn find(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        self.samples.get(&(name.to_owned(), labels)).copied()
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// `name{label="value",…} number`.
#[track_caller]
fn sample(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let end = line.find(['{', ' ']).unwrap();
    let (name, mut rest) = line.split_at(end);
    assert!(is_name(name), "{line}");
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"").unwrap();
            assert!(is_name(label), "{line}");
            let (mut value, mut chars) = (String::new(), after.chars());
            loop {
                match chars.next().unwrap() {
                    '"' => break,
                    '\\' => value.push(match chars.next().unwrap() {
                        'n' => '\n',
                        other => {
                            assert!(['\\', '"'].contains(&other), "{line}");
                            other
                        }
                    }),
                    other => value.push(other),
                }
            }
            assert!(labels.insert(label.to_owned(), value).is_none(), "{line}");
            rest = chars.as_str();
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None => break,
            }
        }
        rest = rest.strip_prefix('}').unwrap();
    }
    let number = rest.strip_prefix(' ').unwrap();
    assert!(!number.contains(' '), "{line}");
    (name.to_owned(), labels, number.parse().unwrap())
}

/// A role whose fetches are counted.
fn measured(name: &str, source: impl Source) -> Role {
    let fetches = Arc::new(Fetches::new(Arc::default()));
    let source = Measured::new(Arc::new(source), Arc::clone(&fetches));
    let credentials = RefreshableCredentials::builder(source).build();
    let tokens = Tokens::fixed(&Secret::new(TOKEN)).unwrap();
    Role::new(RoleName::parse(name).unwrap(), credentials, tokens, Rule::anybody())
        .with_fetches(fetches)
}

fn issued() -> Issued {
    let end = Clock::default().now().wall.after(Duration::from_secs(3600));
    Issued::new(Credentials::new("ASIA1", "the secret", "the session token"), end)
}

#[test]
fn it_is_healthy_as_long_as_it_answers() {
    let tap = Tap::default();
    tap.fail(true);
    let running = Running::with(&tap, &FACES);
    for (line, status) in [
        ("GET /healthz", 200),
        ("HEAD /healthz", 200),
        ("POST /healthz", 405),
        ("GET /", 404),
        ("GET /role/etl", 404),
    ] {
        assert_eq!(running.ask(line, &[("Content-Length", "0")]).status, status, "{line}");
    }
    assert_eq!(running.ask("GET /healthz", &[]).body, "ok\n");
    assert_eq!(running.ask("HEAD /metrics", &[]).body, "");
    assert_eq!(running.ask("GET /metrics", &[("Origin", "http://evil.example")]).status, 403);
}

#[test]
fn it_is_ready_while_every_role_has_a_session_whatever_the_last_fetch_said() {
    let tap = Tap::default();
    tap.fail(true);
    let running = Running::with(&tap, &FACES);
    let role = running.agent.roles().remove(0);
    wait_for("the first fetch failed", || role.credentials().status().last_error.is_some());
    let unready = running.ask("GET /readyz", &[]);
    assert_eq!(unready.status, 503, "{}", unready.body);
    assert!(unready.body.contains("\netl: "), "{}", unready.body);
    assert!(unready.body.contains("told to fail"), "{}", unready.body);

    tap.fail(false);
    running.runtime.block_on(role.credentials().refresh_now()).unwrap();
    let ready = running.ask("GET /readyz", &[]);
    assert_eq!((ready.status, ready.body.as_str()), (200, "ok\n"));

    tap.fail(true);
    assert!(running.runtime.block_on(role.credentials().refresh_now()).is_err());
    assert_eq!(running.ask("GET /readyz", &[]).status, 200);
}

#[test]
fn it_is_not_ready_before_the_first_session() {
    let tap = Tap::default();
    tap.hold(true);
    let running = Running::with(&tap, &FACES);
    let unready = running.ask("GET /readyz", &[]);
    assert_eq!(unready.status, 503);
    assert!(unready.body.contains("no session has come yet"), "{}", unready.body);
    tap.hold(false);
    wait_for("it is ready", || running.ask("GET /readyz", &[]).status == 200);
}

#[test]
fn a_role_that_nobody_wants_keeps_nobody_unready() {
    let idle = || {
        let source = Callback::new("a test's", || async { Ok::<_, Failure>(issued()) });
        let credentials = RefreshableCredentials::builder(source)
            .policy(RefreshPolicy::default().with_idle_after(Duration::from_millis(20)))
            .build();
        let tokens = Tokens::fixed(&Secret::new(TOKEN)).unwrap();
        vec![Role::new(RoleName::parse("idle").unwrap(), credentials, tokens, Rule::anybody())]
    };
    let running = Running::serve(idle, &FACES);
    let role = running.agent.roles().remove(0);
    wait_for("it is let go", || {
        let status = role.credentials().status();
        status.counters.fetched == 1 && status.expiration.is_none()
    });
    assert_eq!(running.ask("GET /readyz", &[]).status, 200);
    let metrics = Metrics::of(&running);
    let of_it = [("role", "idle")];
    assert_eq!(metrics.find("rolekeeper_session_remaining_seconds", &of_it), None);
    assert_eq!(metrics.find("rolekeeper_next_refresh_seconds", &of_it), None);
}

#[test]
fn metrics_tell_of_each_role_how_it_is_and_what_has_happened() {
    let good = Callback::new("a test's", || async { Ok::<_, Failure>(issued()) });
    let refusing = || async { Err::<Issued, _>(Failure::denied("told to refuse")) };
    let bad = Callback::new("a test's", refusing);
    let both = || vec![measured("good", good), measured("bad", bad)];
    let running = Running::serve(both, &[Face::Operator]);
    wait_for("both fetches are back", || {
        let (all, names) = (running.agent.roles(), ["bad", "good"]);
        assert!(all.iter().map(|role| role.name().as_str()).eq(names));
        all[0].credentials().status().last_error.is_some()
            && all[1].credentials().status().generation == 1
    });
    let before = Clock::default().now().wall;
    let metrics = Metrics::of(&running);

    for family in [
        "build_info",
        "roles",
        "connections",
        "session_remaining_seconds",
        "session_expiration_timestamp_seconds",
        "session_generation",
        "next_refresh_seconds",
        "reads_total",
        "held_requests_total",
        "requests_unavailable_total",
        "fetches_total",
        "fetch_seconds",
        "refusals_total",
    ] {
        assert!(metrics.kinds.contains_key(&format!("rolekeeper_{family}")), "{family}");
    }
    let good = [("role", "good")];
    assert_eq!(metrics.value("rolekeeper_roles", &[]), 2.0);
    assert_eq!(metrics.value("rolekeeper_connections", &[]), 1.0);
    let remaining = metrics.value("rolekeeper_session_remaining_seconds", &good);
    assert!((3500.0..=3600.0).contains(&remaining), "{remaining}");
    let end = metrics.value("rolekeeper_session_expiration_timestamp_seconds", &good);
    let life = end - before.as_unix_secs() as f64;
    assert!((3500.0..=3601.0).contains(&life), "{life}");
    assert_eq!(metrics.value("rolekeeper_session_generation", &good), 1.0);
    assert!(metrics.value("rolekeeper_next_refresh_seconds", &good) > 0.0);
    assert_eq!(metrics.value("rolekeeper_session_remaining_seconds", &[("role", "bad")]), 0.0);
    let fetches = |role, result, cause| {
        let labels = [("role", role), ("result", result), ("cause", cause)];
        metrics.value("rolekeeper_fetches_total", &labels)
    };
    assert_eq!(fetches("good", "ok", ""), 1.0);
    assert_eq!(fetches("good", "failed", "denied"), 0.0);
    assert_eq!(fetches("bad", "ok", ""), 0.0);
    assert!(fetches("bad", "failed", "denied") >= 1.0);
    assert_eq!(metrics.value("rolekeeper_fetch_seconds_bucket", &[("le", "+Inf")]), 1.0);
}

#[test]
fn metrics_count_readers_and_refusals_by_reason_and_tell_no_secret() {
    let tap = Tap::default();
    let running = Running::with(&tap, &[Face::Container, Face::Operator]);
    for _ in 0..3 {
        assert_eq!(running.get().status, 200);
    }
    let wrong = ("Authorization", "some-wrong-token");
    running.ask("GET /role/etl", &[wrong]);
    running.ask("GET /role/etl", &[wrong]);
    running.ask("GET /role/none", &[wrong]);
    running.ask("GET /role/etl", &[wrong, ("Origin", "null")]);
    // The same agent, through its other listener.
    let other = running.listening[1].address;
    let mut socket = std::net::TcpStream::connect(other).unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {other}\r\nConnection: close\r\n\r\n");
    std::io::Write::write_all(&mut socket, request.as_bytes()).unwrap();
    let body = crate::support::Reply::read(socket).body;
    let metrics = Metrics::parse(&body);
    assert_eq!(metrics.value("rolekeeper_reads_total", &[("role", "etl")]), 3.0);
    let reasons =
        metrics.samples.keys().filter(|(name, _)| name == "rolekeeper_refusals_total").count();
    assert_eq!(reasons, rolekeeper_agent::Refusal::ALL.len());
    for (reason, count) in [("token", 2.0), ("path", 1.0), ("browser", 1.0), ("host", 0.0)] {
        let labels = [("reason", reason)];
        assert_eq!(metrics.value("rolekeeper_refusals_total", &labels), count, "{reason}");
    }
    for secret in [TOKEN, "some-wrong-token", "the secret", "the session token", "ASIA"] {
        assert!(!body.contains(secret), "it has one");
    }
}

#[test]
fn thousands_of_roles_are_told_of_in_one_answer() {
    let tap = Tap::default();
    tap.hold(true);
    let many = || (0..2000).map(|n| role(&format!("role-{n}"), &tap, Rule::anybody())).collect();
    let running = Running::serve(many, &[Face::Operator]);
    let metrics = Metrics::of(&running);
    assert_eq!(metrics.value("rolekeeper_roles", &[]), 2000.0);
    assert_eq!(metrics.value("rolekeeper_session_generation", &[("role", "role-1999")]), 0.0);
    let unready = running.ask("GET /readyz", &[]);
    assert!(unready.body.starts_with("2000 of 2000 roles"), "{}", unready.body);
    assert!(unready.body.ends_with("and 1900 more\n"), "{}", unready.body);
    tap.hold(false);
}
