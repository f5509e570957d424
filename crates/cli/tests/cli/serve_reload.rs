//! SIGHUP: what has changed is served anew, what hasn't goes on, and a file that is wrong changes
//! nothing.

use std::net::TcpListener;

use crate::support::{ANY_PORT, Agent, Home, Reply, Sts, home_with_profiles, on_free_ports, role};

const READ_AGAIN: &str = "read the configuration again: ";
const AS_BEFORE: &str = "everything is served as before";

/// Writes down a configuration with these roles, and more at its top.
fn write(home: &Home, top: &str, roles: &[&str]) {
    let of = |name: &&str| {
        format!("[role.{name}]\nrole_arn = \"{}\"\nsource_profile = \"base\"\n", role("demo"))
    };
    let roles: String = roles.iter().map(of).collect();
    home.file("agent.toml", &format!("listen = \"{ANY_PORT}\"\n{top}\n{roles}"));
}

fn start(roles: &[&str]) -> (Home, Sts, Agent) {
    let (home, sts) = (home_with_profiles(&[]), Sts::start());
    write(&home, "", roles);
    let agent = Agent::start(&home, &sts, &["--config", "agent.toml"]);
    (home, sts, agent)
}

#[test]
fn a_role_more_is_served_one_less_is_not_and_the_rest_keeps_session_and_port() {
    let (home, sts, mut agent) = start(&["etl", "audit"]);
    let (etl, _) = (agent.key_id("etl"), agent.key_id("audit"));
    let audit_token = agent.token("audit");
    assert_eq!(agent.get_with("report", &audit_token).status, 404);
    write(&home, "", &["etl", "report"]);
    let told = agent.reload(READ_AGAIN);
    assert!(told.contains("serving 2 roles"), "{told}");
    // At the address that it had, though the file only asks for a free port.
    assert_eq!(agent.key_id("etl"), etl);
    let report = agent.key_id("report");
    assert_ne!(report, etl);
    let url = agent.exported("# report: ", "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    assert!(url.ends_with("/role/report"), "what is new is introduced: {url}");
    assert_eq!(agent.get_with("audit", &audit_token).status, 404);
    assert_eq!(sts.counts().calls("AssumeRole"), 3);

    // And back: it has the token that its clients know.
    write(&home, "", &["etl", "audit"]);
    agent.reload(READ_AGAIN);
    assert_eq!(agent.get_with("audit", &audit_token).status, 200);
    assert_eq!(agent.key_id("etl"), etl);
}

#[test]
fn a_port_that_is_named_is_kept_and_another_takes_its_place_when_the_file_says_so() {
    on_free_ports(|[before, after]| {
        let (home, sts) = (home_with_profiles(&["etl"]), Sts::start());
        let write = |port, more| {
            let text = format!("listen = \"127.0.0.1:{port}\"\n{more}\n[role.etl]\n");
            home.file("agent.toml", &text);
        };
        write(before, "");
        let words = ["--config", "agent.toml"];
        let mut agent = Agent::start_on_free_ports(&home, &sts, &words)?;
        let key = agent.key_id("etl");
        write(before, "pace = 49");
        agent.reload(READ_AGAIN);
        assert_eq!(agent.key_id("etl"), key);

        write(after, "");
        let told = agent.reload_until(&[READ_AGAIN, AS_BEFORE]);
        if told.contains(AS_BEFORE) {
            return None; // it was taken in between
        }
        let address = format!("127.0.0.1:{after}");
        let headers = [("Host", address.as_str()), ("Authorization", &agent.token("etl"))];
        let reply = Reply::to(&address, "GET /role/etl", &headers);
        assert_eq!(reply.json()["AccessKeyId"], key);
        assert_eq!(sts.counts().calls("AssumeRole"), 1);
        Some(())
    });
}

#[test]
fn a_role_that_means_another_gets_another_session_under_the_same_token() {
    let (home, sts, mut agent) = start(&["etl", "audit"]);
    let (etl, audit, token) = (agent.key_id("etl"), agent.key_id("audit"), agent.token("etl"));
    let changed = format!(
        "listen = \"{ANY_PORT}\"\n[role.etl]\nrole_arn = \"{}\"\nsource_profile = \"base\"\n\
         [role.audit]\nrole_arn = \"{}\"\nsource_profile = \"base\"\n",
        role("short"),
        role("demo")
    );
    home.file("agent.toml", &changed);
    agent.reload(READ_AGAIN);
    let reply = agent.get_with("etl", &token);
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert!(reply.json()["RoleArn"].as_str().unwrap().contains("assumed-role/short/"));
    assert_ne!(agent.key_id("etl"), etl);
    assert_eq!(agent.key_id("audit"), audit);
    assert_eq!(sts.counts().calls("AssumeRole"), 3);
}

#[test]
fn a_profile_that_has_changed_means_what_it_says_now() {
    let (home, sts) = (home_with_profiles(&["a", "b"]), Sts::start());
    let words = ["--profile", "a", "--profile", "b", "--listen", ANY_PORT];
    let mut agent = Agent::start(&home, &sts, &words);
    let b = agent.key_id("b");
    let config = std::fs::read_to_string(home.path().join(".aws/config")).unwrap();
    let with_a = |role: &str| config.replacen("role/demo", role, 1);
    home.file(".aws/config", &with_a("role/short"));
    agent.reload(READ_AGAIN);
    let arn = agent.get("a").json()["RoleArn"].as_str().unwrap().to_owned();
    assert!(arn.contains("assumed-role/short/"), "{arn}");
    assert_eq!(agent.key_id("b"), b);

    let a = agent.key_id("a");
    home.file(".aws/config", &with_a("no role"));
    let told = agent.reload(AS_BEFORE);
    assert!(told.contains("error: role.a: "), "{told}");
    assert_eq!([agent.key_id("a"), agent.key_id("b")], [a, b]);
}

#[test]
fn a_file_that_is_wrong_is_told_with_its_place_and_changes_nothing() {
    let (home, sts, mut agent) = start(&["etl", "audit"]);
    let keys = [agent.key_id("etl"), agent.key_id("audit")];
    let tokens = [agent.token("etl"), agent.token("audit")];
    for (top, told) in [
        ("pace = 0", "error: agent.toml:2: pace = 0: "),
        ("idle = \"soon\"", "error: agent.toml:2: idle = \"soon\": "),
        ("colour = \"red\"", "error: agent.toml:2: colour"),
        ("[role.ghost]\nprofile = \"ghost\"", "error: agent.toml:2: role.ghost: "),
        ("no TOML", "error: agent.toml:2: this is no TOML"),
    ] {
        // Without a role that is served.
        write(&home, top, &["etl"]);
        let stderr = agent.reload(AS_BEFORE);
        assert!(stderr.contains(told), "{told} is not in {stderr}");
        assert_eq!([agent.key_id("etl"), agent.key_id("audit")], keys);
        assert_eq!([agent.token("etl"), agent.token("audit")], tokens);
    }
    assert_eq!(sts.counts().calls("AssumeRole"), 2);
    // Once it is right again, it is read.
    write(&home, "", &["etl"]);
    agent.reload(READ_AGAIN);
    assert_eq!(agent.key_id("etl"), keys[0]);
    assert_eq!(agent.get_with("audit", &tokens[1]).status, 404);
}

#[test]
fn a_port_that_is_taken_is_told_and_changes_nothing() {
    let (home, _sts, mut agent) = start(&["etl", "audit"]);
    let keys = [agent.key_id("etl"), agent.key_id("audit")];
    let taken = TcpListener::bind(ANY_PORT).unwrap();
    let address = taken.local_addr().unwrap();
    write(&home, &format!("operator = \"{address}\""), &["etl", "report"]);
    let told = agent.reload(AS_BEFORE);
    assert!(told.contains(&format!("cannot listen on {address}: ")), "{told}");
    assert_eq!([agent.key_id("etl"), agent.key_id("audit")], keys);
    // Not even what would be noticed later: a session that is no longer refreshed.
    write(&home, "", &["etl", "audit"]);
    agent.reload(READ_AGAIN);
    assert_eq!([agent.key_id("etl"), agent.key_id("audit")], keys);
}

#[test]
fn a_configuration_file_that_has_gone_changes_nothing() {
    let (home, _sts, mut agent) = start(&["etl"]);
    let key = agent.key_id("etl");
    std::fs::remove_file(home.path().join("agent.toml")).unwrap();
    let told = agent.reload(AS_BEFORE);
    assert!(told.contains("error: cannot read agent.toml: "), "{told}");
    assert_eq!(agent.key_id("etl"), key);
}
