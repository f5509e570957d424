//! `serve` from its start to its end: who reads what, what keeps it from starting, and how it goes.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
};

use rustix::process::Signal;

use crate::support::{
    ANY_PORT, Agent, Home, Ran, Reply, Sts, home_with_profiles, invocation, role, socket,
};

const TWO_PROFILES: [&str; 6] = ["--profile", "a", "--profile", "b", "--listen", ANY_PORT];

fn two_profiles() -> (Home, Sts, Agent) {
    let (home, sts) = (home_with_profiles(&["a", "b"]), Sts::start());
    let agent = Agent::start(&home, &sts, &TWO_PROFILES);
    (home, sts, agent)
}

#[test]
fn what_it_prints_is_what_a_program_needs_to_read_each_profile() {
    let (_home, sts, mut agent) = two_profiles();
    let mut keys = Vec::new();
    for name in ["a", "b"] {
        let heading = format!("# {name}: {}", role("demo"));
        let url = agent.exported(&heading, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
        assert_eq!(url, format!("http://{}/role/{name}", agent.address()));
        let file = agent.exported(&heading, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
        let token = fs::read_to_string(&file).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
        let reply = agent.get_with(name, &token);
        assert_eq!(reply.status, 200, "{}", reply.body);
        let arn = reply.json()["RoleArn"].as_str().unwrap().to_owned();
        assert!(arn.starts_with("arn:aws:sts::123456789012:assumed-role/demo/"), "{arn}");
        keys.push(agent.key_id(name));
    }
    assert_ne!(keys[0], keys[1], "each has a session of its own");
    assert_eq!(sts.counts().calls("AssumeRole"), 2);
}

#[test]
fn a_wrong_token_and_that_of_another_role_are_refused() {
    let (_home, _sts, agent) = two_profiles();
    let token = agent.token("a");
    let wrong = format!("{}x", &token[..token.len() - 1]);
    for token in ["", &wrong, &token[1..], &agent.token("b")] {
        let reply = agent.get_with("a", token);
        assert_eq!(reply.status, 401, "{}", reply.head);
        assert!(!reply.body.contains("SecretAccessKey") && !reply.body.contains("ASIA"));
    }
    assert_eq!(agent.get("a").status, 200);
}

#[test]
fn a_page_in_a_browser_is_refused_even_with_the_token() {
    let (_home, _sts, agent) = two_profiles();
    let (address, token) = (agent.address(), agent.token("a"));
    let port = address.rsplit(':').next().unwrap();
    let foreign = format!("attacker.example:{port}");
    let right = ("Authorization", token.as_str());
    for headers in [
        &[("Host", address), right, ("Origin", "http://attacker.example")][..],
        &[("Host", address), right, ("Origin", "null")],
        &[("Host", address), right, ("Sec-Fetch-Mode", "no-cors")],
        &[("Host", &foreign), right],
        &[("Host", "attacker.example"), right],
    ] {
        let reply = Reply::to(address, "GET /role/a", headers);
        assert_eq!(reply.status, 403, "{}", reply.head);
        assert!(!reply.body.contains("SecretAccessKey") && !reply.body.contains("ASIA"));
        assert!(!reply.head.contains("access-control-"), "{}", reply.head);
    }
    assert_eq!(agent.get("a").status, 200);
}

// === what keeps it from starting ===

#[test]
fn a_taken_port_is_told_with_its_address_and_holder_and_nothing_else_is_left_bound() {
    let (home, sts) = (home_with_profiles(&["a"]), Sts::start());
    let taken = TcpListener::bind(ANY_PORT).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let imds = format!("a={address}");
    let program = std::env::current_exe().unwrap();
    let us = format!("{} (process {})", program.display(), std::process::id());
    for taken in [
        &["--listen", &address][..],
        &["--listen", ANY_PORT, "--operator", &address],
        &["--listen", ANY_PORT, "--imds", &imds],
    ] {
        let arguments = [&["--profile", "a"], taken].concat();
        let ran = invocation(&home, &sts, &arguments).run().expect(70);
        let told =
            format!("error: cannot serve: cannot listen on {address}: it is taken by {us}\n");
        assert!(ran.stderr.contains(&told), "{}", ran.stderr);
        assert_eq!(ran.stdout, "", "nobody is told of what isn't there");
        assert_nothing_was_done(&home, &sts);
    }
}

#[test]
fn a_port_that_is_taken_on_all_addresses_is_told_with_its_holder_and_so_the_other_way_round() {
    let (home, sts) = (home_with_profiles(&["a"]), Sts::start());
    let us = format!("(process {})", std::process::id());
    for (taken, wanted) in [
        ("0.0.0.0:0", "127.0.0.1"),
        ("127.0.0.1:0", "0.0.0.0"),
        ("[::1]:0", "[::]"),
        ("[::]:0", "127.0.0.1"),
    ] {
        let taken = TcpListener::bind(taken).unwrap();
        let address = format!("{wanted}:{}", taken.local_addr().unwrap().port());
        home.file("agent.toml", "listen_beyond_loopback = true\n[role.a]\nprofile = \"a\"\n");
        let arguments = ["--config", "agent.toml", "--listen", &address];
        let ran = invocation(&home, &sts, &arguments).run().expect(70);
        assert!(ran.stderr.contains(&us), "{}", ran.stderr);
    }
}

#[test]
fn a_second_agent_on_the_same_socket_is_told_who_is_there_and_disturbs_nobody() {
    let (home, sts, agent) = two_profiles();
    let key = agent.key_id("a");
    let ran = invocation(&home, &sts, &TWO_PROFILES).run().expect(70);
    let told = format!(
        "error: cannot serve: cannot listen on {}: another agent is listening there, process {}\n",
        socket(&home).display(),
        agent.pid()
    );
    assert!(ran.stderr.contains(&told), "{}", ran.stderr);
    assert_eq!(ran.stdout, "");
    assert!(socket(&home).exists());
    home.rolekeeper(["status"]).run().expect(0);
    assert_eq!(agent.key_id("a"), key);
}

#[test]
fn a_file_in_the_place_of_its_socket_is_left_alone() {
    let (home, sts) = (home_with_profiles(&["a"]), Sts::start());
    let file = home.file("notes", "of mine");
    let words = ["--profile", "a", "--listen", ANY_PORT, "--socket", file.to_str().unwrap()];
    let ran = invocation(&home, &sts, &words).run().expect(70);
    assert!(ran.stderr.contains("there is a file there that is no socket"), "{}", ran.stderr);
    assert_eq!(fs::read_to_string(file).unwrap(), "of mine");
}

// === --check ===

/// A configuration with this port, which need not be free.
fn toml(address: &str) -> String {
    format!(
        "listen = \"{address}\"\noperator = \"{ANY_PORT}\"\nidle = \"1h\"\n\
         [role.a]\n[role.audit]\nrole_arn = \"{}\"\nsource_profile = \"base\"\nduration = \"1h\"\n\
         rotate_token = \"12h\"\nallow = {{ uid = [1000] }}\n\
         [[imds]]\nlisten = \"{ANY_PORT}\"\nrole = \"a\"\n",
        role("demo")
    )
}

fn check(home: &Home, sts: &Sts) -> Ran {
    invocation(home, sts, &["--config", "agent.toml", "--check"]).run()
}

#[track_caller]
fn assert_nothing_was_done(home: &Home, sts: &Sts) {
    assert!(!home.path().join(".local").exists(), "no socket, no tokens");
    assert_eq!(sts.counts().total(), 0);
}

#[test]
fn a_good_configuration_is_told_and_nothing_is_bound_or_called() {
    let (home, sts) = (home_with_profiles(&["a"]), Sts::start());
    // Somebody else's port: it would be noticed if it were bound.
    let taken = TcpListener::bind(ANY_PORT).unwrap();
    home.file("agent.toml", &toml(&taken.local_addr().unwrap().to_string()));
    let ran = check(&home, &sts).expect(0);
    assert_eq!(ran.stderr, "");
    insta::assert_snapshot!(ran.transcript());
    assert_nothing_was_done(&home, &sts);
}

#[test]
fn everything_that_is_wrong_with_a_configuration_is_told_at_once_with_its_place() {
    let (home, sts) = (home_with_profiles(&["a"]), Sts::start());
    home.file(
        "agent.toml",
        "listen = \"10.0.0.1:7345\"\npace = 0\nidel = \"1h\"\n\
         [role.a]\nprofile = \"ghost\"\nduration = \"1h\"\n\
         [role.audit]\nrole_arn = \"audit\"\ntoken = \"hunter2hunter2hunter2\"\n\
         [[imds]]\nlisten = \"127.0.0.1\"\nrole = \"a\"\n\
         [[imds]]\nlisten = \"127.0.0.1:0\"\nrole = \"b\"\n",
    );
    let ran = check(&home, &sts).expect(64);
    assert_eq!(ran.stdout, "");
    assert!(!ran.stderr.contains("hunter2"), "a token is a secret even where it mustn't be");
    insta::assert_snapshot!(ran.transcript());
    // Nor does it start with it.
    let ran = invocation(&home, &sts, &["--config", "agent.toml"]).run().expect(64);
    assert!(ran.stderr.contains("agent.toml:2: pace = 0"), "{}", ran.stderr);
    assert_nothing_was_done(&home, &sts);
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    let (home, sts) = (home_with_profiles(&["a"]), Sts::start());
    home.file("agent.toml", "pace = 50\n[role.a\nprofile = \"a\"\n");
    let ran = check(&home, &sts).expect(64);
    assert!(ran.stderr.contains("agent.toml:2: this is no TOML"), "{}", ran.stderr);
    let words = ["--config", "missing.toml", "--check"];
    let ran = invocation(&home, &sts, &words).run().expect(64);
    assert!(ran.stderr.contains("error: cannot read missing.toml: "), "{}", ran.stderr);
    assert_nothing_was_done(&home, &sts);
}

// === its end ===

#[test]
fn sigterm_and_ctrl_c_end_it_well_and_take_its_socket_away() {
    for signal in [Signal::TERM, Signal::INT] {
        let (home, _sts, agent) = two_profiles();
        let address = agent.address().to_owned();
        // An idle client keeps nobody.
        let client = TcpStream::connect(&address).unwrap();
        assert!(socket(&home).exists());
        assert_eq!(fs::metadata(socket(&home)).unwrap().permissions().mode() & 0o777, 0o600);
        let files = ["a", "b"].map(|role| agent.token_file(role));
        let (status, stderr) = agent.end(signal);
        assert_eq!(status.code(), Some(0), "{stderr}");
        assert!(!socket(&home).exists());
        assert!(files.iter().all(|file| file.exists()), "tokens are kept for the next start");
        drop(client);
    }
}
