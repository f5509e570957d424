//! The container endpoint over real sockets.

use std::{io::Write, time::Duration};

use rolekeeper_agent::{Face, Rule};

use crate::support::{Reply, Running, TOKEN, Tap, role, wait_for};

const RIGHT: (&str, &str) = ("Authorization", TOKEN);

#[test]
fn a_client_with_the_token_gets_the_session_in_the_words_of_ecs() {
    let running = Running::with(&Tap::default(), &[Face::Container]);
    let reply = running.get();
    assert_eq!(reply.status, 200, "{}", reply.body);
    let document = reply.json();
    assert_eq!(document["AccessKeyId"], "ASIA1");
    assert_eq!(document["SecretAccessKey"], "the secret");
    assert_eq!(document["Token"], "the session token");
    assert_eq!(document["AccountId"], "123456789012");
    let expiration = document["Expiration"].as_str().unwrap();
    assert!(expiration.ends_with('Z') && expiration.len() == 20, "{expiration}");
    assert!(reply.head.contains("content-type: application/json"), "{}", reply.head);
    assert!(reply.head.contains("cache-control: no-store"), "{}", reply.head);
}

#[test]
fn each_role_has_its_own_path_and_a_query_is_no_part_of_it() {
    let tap = Tap::default();
    let both = || vec![role("etl", &tap, Rule::anybody()), role("audit", &tap, Rule::anybody())];
    let running = Running::serve(both, &[Face::Container]);
    assert_eq!(running.ask("GET /role/audit?a=b", &[RIGHT]).status, 200);
    let audit = running.agent.roles().remove(0);
    assert_eq!(running.ask("GET /role/etl", &[RIGHT]).status, 200);
    assert_eq!(audit.counters().reads.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[test]
fn whoever_is_not_meant_is_refused_with_the_right_status() {
    let running = Running::with(&Tap::default(), &[Face::Container]);
    let address = running.address();
    let localhost = format!("localhost:{}", address.port());
    let rebound = format!("evil.example:{}", address.port());
    let longer = format!("{TOKEN}x");
    let get = "GET /role/etl";
    for (line, headers, status) in [
        (get, &[][..], 401),
        (get, &[("Authorization", "")], 401),
        (get, &[("Authorization", &longer)], 401),
        (get, &[("Authorization", &TOKEN[1..])], 401),
        (get, &[RIGHT, ("Origin", "null")], 403),
        (get, &[RIGHT, ("Sec-Fetch-Site", "none")], 403),
        (get, &[RIGHT, ("X-Forwarded-For", "10.0.0.1")], 403),
        (get, &[RIGHT, ("Host", &localhost)], 403), // two of them
        ("GET /", &[RIGHT], 404),
        ("GET /role/", &[RIGHT], 404),
        ("GET /role/etl/", &[RIGHT], 404),
        ("GET /role/../role/etl", &[RIGHT], 404),
        ("GET /role/other", &[RIGHT], 404),
        ("POST /role/etl", &[RIGHT, ("Content-Length", "0")], 405),
        ("OPTIONS /role/etl", &[RIGHT], 405),
        (get, &[RIGHT], 200),
    ] {
        let reply = running.ask(line, headers);
        assert_eq!(reply.status, status, "{line} {headers:?}: {}", reply.body);
        if status != 200 {
            let why = reply.json();
            assert!(why["Code"].is_string() && why["Code"] == why["code"], "{why}");
            assert!(why["Message"].is_string() && why["Message"] == why["message"], "{why}");
        }
    }
    for (hosts, status) in [
        (&[("Host", localhost.as_str())][..], 200),
        (&[("Host", "127.0.0.1")], 200), // the CRT
        (&[("Host", &rebound)], 403),
        (&[], 403),
    ] {
        let headers: Vec<_> = hosts.iter().copied().chain([RIGHT]).collect();
        assert_eq!(running.ask_plainly(get, &headers).status, status, "{hosts:?}");
    }
}

#[test]
fn a_request_is_held_until_the_fetch_comes_back() {
    let tap = Tap::default();
    tap.hold(true);
    let running = Running::with(&tap, &[Face::Container]);
    let mut socket = running.connect();
    let host = running.address();
    let request = format!(
        "GET /role/etl HTTP/1.1\r\nHost: {host}\r\nAuthorization: {TOKEN}\r\nConnection: close\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).unwrap();
    let role = running.agent.roles().remove(0);
    wait_for("the request is held", || {
        role.counters().held.load(std::sync::atomic::Ordering::SeqCst) == 1
    });
    tap.hold(false);
    assert_eq!(Reply::read(socket).status, 200);
}

#[test]
fn without_a_session_the_answer_comes_before_boto3_gives_up() {
    let tap = Tap::default();
    tap.fail(true);
    let running = Running::with(&tap, &[Face::Container]);
    let clock = rolekeeper::Clock::default();
    let before = clock.now().elapsed;
    let reply = running.get();
    let took = clock.now().elapsed.since(before);
    assert_eq!(reply.status, 503, "{}", reply.body);
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(reply.json()["Message"].as_str().unwrap().contains("told to fail"), "{}", reply.body);
}

#[test]
fn an_outage_is_invisible_while_the_session_lives() {
    let tap = Tap::default();
    let running = Running::with(&tap, &[Face::Container]);
    assert_eq!(running.get().json()["AccessKeyId"], "ASIA1");
    tap.fail(true);
    let role = running.agent.roles().remove(0);
    let refused = running.runtime.block_on(role.credentials().refresh_now());
    assert!(refused.is_err());
    assert_eq!(running.get().json()["AccessKeyId"], "ASIA1");
    tap.fail(false);
    running.runtime.block_on(role.credentials().refresh_now()).unwrap();
    assert_eq!(running.get().json()["AccessKeyId"], "ASIA3");
}

#[test]
fn a_thousand_clients_at_a_cold_start_make_one_fetch() {
    let tap = Tap::default();
    tap.hold(true);
    let running = Running::with(&tap, &[Face::Container]);
    let host = running.address();
    let request = format!(
        "GET /role/etl HTTP/1.1\r\nHost: {host}\r\nAuthorization: {TOKEN}\r\nConnection: close\r\n\r\n"
    );
    // Connected before any asks: a request is held for no longer than an SDK's patience.
    let mut sockets: Vec<_> = (0..1000).map(|_| running.connect()).collect();
    for socket in &mut sockets {
        socket.write_all(request.as_bytes()).unwrap();
    }
    tap.hold(false);
    for socket in sockets {
        assert_eq!(Reply::read(socket).status, 200);
    }
    assert_eq!(tap.calls(), 1);
}

#[test]
fn huge_and_senseless_requests_are_refused_and_harm_nobody() {
    let running = Running::with(&Tap::default(), &[Face::Container]);
    let huge = "x".repeat(100_000);
    let many: Vec<(String, &str)> = (0..200).map(|n| (format!("X-{n}"), "y")).collect();
    let many: Vec<_> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    for reply in [
        running.ask("GET /role/etl", &[("X-Huge", &huge)]),
        running.ask("GET /role/etl", &many),
        running.ask(&format!("GET /role/{huge}"), &[RIGHT]),
        running.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
        running.send(b"GET /role/etl\r\n\r\n"),
        running.send(b"GET /role/etl HTTP/1.1\r\nHost: \xff\xfe\r\nConnection: close\r\n\r\n"),
    ] {
        assert!(matches!(reply.status, 0 | 400..=431), "{reply:?}");
        assert!(!reply.body.contains("the secret"));
    }
    assert_eq!(running.get().status, 200);
}
