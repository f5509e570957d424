//! The endpoint of `exec` over a real socket: what a client gets, and who is sent away.

use std::{
    io::{Read, Write},
    time::Duration,
};

use crate::support::{Home, Reply, Served, Sts, now};

/// Method and path, headers, and what the answer is to be.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], u16);

#[test]
fn a_client_with_the_token_gets_the_session_in_the_words_of_ecs() {
    let (home, sts) = (Home::new(), Sts::start());
    let served = Served::start(&home, &sts);
    let reply = served.get();
    assert_eq!(reply.status, 200, "{}", reply.body);
    let document = reply.json();
    assert!(document["AccessKeyId"].as_str().unwrap().starts_with("ASIA"));
    assert_eq!(document["SecretAccessKey"].as_str().unwrap().len(), 40);
    assert!(document["Token"].as_str().unwrap().len() > 100);
    assert_eq!(document["AccountId"], "123456789012");
    let arn = document["RoleArn"].as_str().unwrap();
    assert!(arn.starts_with("arn:aws:sts::123456789012:assumed-role/demo/"), "{arn}");
    // JavaScript's pattern and Rust's parser take no offset.
    let expiration = document["Expiration"].as_str().unwrap();
    let pattern = regex_lite::Regex::new(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$").unwrap();
    assert!(pattern.is_match(expiration), "{expiration}");
    assert!(reply.head.contains("content-type: application/json"), "{}", reply.head);
    assert!(reply.head.contains("cache-control: no-store"), "{}", reply.head);
}

#[test]
fn a_query_and_a_kept_connection_are_taken() {
    let (home, sts) = (Home::new(), Sts::start());
    let served = Served::start(&home, &sts);
    let headers = [("Host", served.address()), ("Authorization", served.token())];
    assert_eq!(served.ask("GET /role/exec?a=b", &headers).status, 200);

    let request = format!(
        "GET /role/exec HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\n\r\n",
        served.address(),
        served.token()
    );
    let last = request.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    let mut socket = served.connect();
    socket.write_all(format!("{request}{last}").as_bytes()).unwrap();
    let mut both = String::new();
    socket.read_to_string(&mut both).unwrap();
    assert_eq!(both.matches("HTTP/1.1 200").count(), 2, "{both}");
}

#[test]
fn who_has_no_token_or_comes_from_a_browser_is_sent_away() {
    let (home, sts) = (Home::new(), Sts::start());
    let served = Served::start(&home, &sts);
    let (address, token) = (served.address(), served.token());
    let port = address.rsplit(':').next().unwrap();
    let wrong_token = format!("{}x", &token[..63]);
    let bearer = format!("Bearer {token}");
    let rebound = format!("evil.example:{port}");
    let localhost = format!("localhost:{port}");
    let other_port = "127.0.0.1:1";
    let host = ("Host", address);
    let right = ("Authorization", token);
    let get = "GET /role/exec";
    let cases: &[Case<'_>] = &[
        (get, &[host], 401),
        (get, &[host, ("Authorization", "")], 401),
        (get, &[host, ("Authorization", &wrong_token)], 401),
        (get, &[host, ("Authorization", &bearer)], 401),
        (get, &[host, ("Authorization", &token[..10])], 401),
        (get, &[("Host", &rebound), right], 403),
        (get, &[("Host", "evil.example"), right], 403),
        (get, &[("Host", &localhost), right], 200),
        (get, &[("Host", other_port), right], 403),
        (get, &[right], 403),
        (get, &[host, right, ("Origin", "http://evil.example")], 403),
        (get, &[host, right, ("Origin", "null")], 403),
        (get, &[host, right, ("Sec-Fetch-Site", "cross-site")], 403),
        (get, &[host, right, ("sec-fetch-mode", "no-cors")], 403),
        ("GET /", &[host, right], 404),
        ("GET /role/exec/", &[host, right], 404),
        ("GET /stop", &[host], 404),
        ("POST /role/exec", &[host, right, ("Content-Length", "0")], 405),
        ("PUT /role/exec", &[host, right, ("Content-Length", "0")], 405),
        ("OPTIONS /role/exec", &[host, right], 405),
        // The CRT leaves the port out.
        (get, &[("Host", "127.0.0.1"), right], 200),
        (get, &[host, right], 200),
    ];
    for (line, headers, status) in cases {
        let reply = served.ask(line, headers);
        assert_eq!(reply.status, *status, "{line} {headers:?}: {}", reply.body);
        if *status != 200 {
            assert!(!reply.body.contains("SecretAccessKey"), "{line} {headers:?}");
            // JavaScript reads the one, Go the other.
            let why = reply.json();
            assert!(why["Code"].is_string() && why["Code"] == why["code"], "{why}");
            assert!(why["Message"].is_string() && why["Message"] == why["message"], "{why}");
        }
    }
    let post = served.ask("POST /role/exec", &[host, right, ("Content-Length", "0")]);
    assert!(post.head.contains("allow: get"), "{}", post.head);
}

#[test]
fn huge_and_senseless_requests_are_refused_and_harm_nobody() {
    let (home, sts) = (Home::new(), Sts::start());
    let served = Served::start(&home, &sts);
    let huge = "x".repeat(100_000);
    let many: Vec<(String, &str)> = (0..200).map(|n| (format!("X-{n}"), "y")).collect();
    let many: Vec<(&str, &str)> =
        many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    for reply in [
        served.ask("GET /role/exec", &[("Host", served.address()), ("X-Huge", &huge)]),
        served.ask("GET /role/exec", &many),
        served.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
        served.send(b"GET /role/exec\r\n\r\n"),
        served.send(b"\r\n\r\n\r\n\r\n"),
    ] {
        assert!(matches!(reply.status, 0 | 400..=499), "{}", reply.head);
        assert_eq!(served.get().status, 200);
    }
}

#[test]
fn who_sends_a_request_drop_by_drop_is_let_go_and_keeps_nobody_waiting() {
    let (home, sts) = (Home::new(), Sts::start());
    let served = Served::start(&home, &sts);
    let start = now();
    let slow: Vec<_> = (0..100)
        .map(|_| {
            let mut socket = served.connect();
            socket.write_all(b"GET /role/exec HTTP/1.1\r\nHost: ").unwrap();
            socket
        })
        .collect();
    let asked = now();
    assert_eq!(served.get().status, 200);
    assert!(now().saturating_sub(asked) < Duration::from_secs(2));
    for socket in slow {
        let limit = Duration::from_secs(20);
        socket.set_read_timeout(Some(limit)).unwrap();
        let reply = Reply::read(socket);
        assert!(matches!(reply.status, 0 | 408), "{}", reply.head);
        assert!(now().saturating_sub(start) < limit, "still connected");
    }
}

#[test]
fn many_who_ask_at_once_all_get_the_same_session() {
    let (home, sts) = (Home::new(), Sts::start());
    let served = Served::start(&home, &sts);
    let bodies: Vec<String> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..20)
            .map(|_| scope.spawn(|| (0..10).map(|_| served.get().body).collect::<Vec<_>>()))
            .collect();
        asking.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    assert_eq!(sts.counts().calls("AssumeRole"), 1);
}

#[test]
fn the_endpoint_ends_with_the_program() {
    let (home, sts) = (Home::new(), Sts::start());
    let served = Served::start(&home, &sts);
    let address = served.address().to_owned();
    served.end();
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn sessions_are_replaced_under_the_program_long_before_they_end() {
    let (home, sts) = (Home::new(), Sts::short_lived(6));
    let served = Served::start(&home, &sts);
    let mut keys = std::collections::BTreeSet::new();
    while keys.len() < 3 {
        let reply = served.get();
        assert_eq!(reply.status, 200, "{}", reply.body);
        keys.insert(reply.json()["AccessKeyId"].as_str().unwrap().to_owned());
        std::thread::sleep(Duration::from_millis(50));
    }
    let (_, stderr) = served.end();
    assert_eq!(stderr, "", "nothing to tell of");
}
