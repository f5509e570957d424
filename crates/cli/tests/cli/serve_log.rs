//! What `serve` logs: for people, and for programs.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
};

use regex_lite::Regex;
use rustix::process::Signal;
use serde_json::Value;

use crate::support::{DEADLINE, Home, Started, Sts, USER_SECRET, role};

const SERVE: [&str; 6] = ["serve", "--profile", "etl", "--listen", "127.0.0.1:0", "--log"];

fn start(home: &Home, sts: &Sts, format: &str) -> Started {
    let words = SERVE.into_iter().chain([format]);
    home.rolekeeper(words).at_endpoint(sts).start()
}

fn home() -> Home {
    Home::new().with_config(&format!(
        "[profile etl]\nrole_arn = {}\nsource_profile = keys\nregion = us-east-1\n\
         [profile keys]\naws_access_key_id = AKIAROLEKEEPERSANDBX\n\
         aws_secret_access_key = {USER_SECRET}\n",
        role("demo")
    ))
}

/// The next value that it prints for a shell.
#[track_caller]
fn exported(serve: &mut Started) -> String {
    loop {
        let line = serve.line().unwrap();
        if let Some((_, value)) = line.strip_prefix("export ").and_then(|line| line.split_once('='))
        {
            return value.trim_matches('\'').to_owned();
        }
    }
}

/// Reads the session as an SDK does, and ends the agent; what it said on stderr.
#[track_caller]
fn read_and_end(mut serve: Started) -> String {
    let url = exported(&mut serve);
    let token = fs::read_to_string(exported(&mut serve)).unwrap();
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut socket = TcpStream::connect(host).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let token = token.trim().to_owned();
    let request = format!(
        "GET /{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {token}\r\nConnection: close\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    socket.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 200"), "{}", reply.lines().next().unwrap_or_default());
    serve.signal(Signal::TERM);
    let (status, _, stderr) = serve.output();
    assert!(status.success(), "{stderr}");
    assert!(!stderr.contains(&token) && !stderr.contains(USER_SECRET), "it has a secret");
    stderr
}

#[test]
fn for_programs_every_line_is_an_object_with_its_time() {
    let (home, sts) = (home(), Sts::start());
    let stderr = read_and_end(start(&home, &sts, "json"));
    let time = Regex::new(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$").unwrap();
    let lines: Vec<Value> = stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    for line in &lines {
        assert!(time.is_match(line["timestamp"].as_str().unwrap()), "{line}");
        assert!(["INFO", "WARN"].contains(&line["level"].as_str().unwrap()), "{line}");
        assert!(line["target"].as_str().unwrap().starts_with("rolekeeper"), "{line}");
    }
    let told = |target: &str, message: &str| {
        let is_it = |line: &&Value| {
            line["target"] == target && line["fields"]["message"].as_str() == Some(message)
        };
        let found = lines.iter().find(is_it).unwrap_or_else(|| panic!("no {message}: {stderr}"));
        found["fields"].clone()
    };
    let fetched = told("rolekeeper::events", "fetched a session");
    assert_eq!((&fetched["role"], &fetched["generation"]), (&role("demo").into(), &1.into()));
    let read = told("rolekeeper::audit", "read");
    assert_eq!((&read["role"], &read["generation"]), (&"etl".into(), &1.into()));
}

#[test]
fn for_people_it_says_who_reads_what_without_being_asked() {
    let (home, sts) = (home(), Sts::start());
    let stderr = read_and_end(start(&home, &sts, "text"));
    for line in
        ["info: fetched a session", "info: read role=\"etl\" generation=1", "serving 1 role"]
    {
        assert!(stderr.contains(line), "{line} is not in {stderr}");
    }
}
