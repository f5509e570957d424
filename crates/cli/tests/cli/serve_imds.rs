//! Instance metadata, of `serve` and of `exec --imds`, as SDKs walk it.

use std::path::Path;

use crate::support::{
    ANY_PORT, Agent, DEADLINE, Home, Reply, Served, Sts, home_with_profiles, invocation, role,
    wait_within,
};

const TOKEN: &str = "X-aws-ec2-metadata-token";
const TTL: (&str, &str) = ("X-aws-ec2-metadata-token-ttl-seconds", "21600");
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

/// `127.0.0.1:PORT` of an endpoint as programs are told it.
fn address(endpoint: &str) -> &str {
    endpoint.strip_prefix("http://").unwrap().strip_suffix('/').unwrap()
}

/// Token, list of roles, credentials: what there is at last, and of which role.
#[track_caller]
fn walk(address: &str) -> (String, serde_json::Value) {
    let host = ("Host", address);
    let token = Reply::to(address, "PUT /latest/api/token", &[host, TTL]);
    assert_eq!(token.status, 200, "{}", token.body);
    let get = |path: &str| {
        Reply::to(address, &format!("GET {path}"), &[host, (TOKEN, token.body.as_str())])
    };
    let name = get(ROLES).body;
    // A client of instance metadata is answered within a second, and may have to ask again.
    let credentials = wait_within(DEADLINE, "credentials", || {
        let reply = get(&format!("{ROLES}{name}"));
        assert!([200, 503].contains(&reply.status), "{}: {}", reply.status, reply.body);
        (reply.status == 200).then(|| reply.json())
    });
    (name, credentials)
}

#[test]
fn an_imds_listener_of_serve_gives_its_role_to_who_asks_for_a_token_first() {
    let (home, sts) = (home_with_profiles(&["a", "b"]), Sts::start());
    let words = ["--profile", "a", "--profile", "b", "--listen", ANY_PORT, "--imds"];
    let mut agent = Agent::start(&home, &sts, &[&words[..], &["b=127.0.0.1:0"]].concat());
    let endpoint = agent.exported("# b over IMDS", "AWS_EC2_METADATA_SERVICE_ENDPOINT");
    let imds = address(&endpoint);
    let (name, credentials) = walk(imds);
    assert_eq!((name.as_str(), &credentials["Code"]), ("b", &"Success".into()));
    assert_eq!(credentials["AccessKeyId"], agent.key_id("b"));
    assert!(credentials["Token"].as_str().unwrap().len() > 100);

    let host = ("Host", imds);
    for (line, headers, status) in [
        ("GET /latest/meta-data/iam/security-credentials/b", &[host][..], 401),
        ("GET /latest/meta-data/iam/security-credentials/b", &[host, (TOKEN, "made-up")], 401),
        ("PUT /latest/api/token", &[host], 400),
        ("PUT /latest/api/token", &[host, TTL, ("X-Forwarded-For", "10.0.0.1")], 403),
        ("PUT /latest/api/token", &[host, TTL, ("Origin", "http://attacker.example")], 403),
        ("PUT /latest/api/token", &[("Host", "attacker.example"), TTL], 403),
    ] {
        let reply = Reply::to(imds, line, headers);
        assert_eq!(reply.status, status, "{line} {headers:?}: {}", reply.body);
        assert!(!reply.body.contains("SecretAccessKey"));
    }
    // Neither listener has what the other serves.
    let right = ("Authorization", agent.token("b"));
    let reply = Reply::to(imds, "GET /role/b", &[host, (right.0, &right.1)]);
    assert_ne!(reply.status, 200);
    let host = ("Host", agent.address());
    assert_eq!(Reply::to(agent.address(), "PUT /latest/api/token", &[host, TTL]).status, 404);
}

#[test]
fn the_region_of_a_profile_is_the_region_of_the_machine() {
    let (home, sts) = (home_with_profiles(&["a"]), Sts::start());
    let profile = std::fs::read_to_string(home.path().join(".aws/config")).unwrap();
    let home = home.with_config(&format!("{profile}region = eu-south-2\n"));
    let words = ["--profile", "a", "--listen", ANY_PORT, "--imds", "a=127.0.0.1:0"];
    // The variable goes before a profile, as with every SDK.
    let mut agent = Agent::of(&home, invocation(&home, &sts, &words).without_env("AWS_REGION"));
    let endpoint = agent.exported("# a over IMDS", "AWS_EC2_METADATA_SERVICE_ENDPOINT");
    let imds = address(&endpoint);
    let host = ("Host", imds);
    let token = Reply::to(imds, "PUT /latest/api/token", &[host, TTL]).body;
    let get = |path: &str| {
        Reply::to(imds, &format!("GET /latest/{path}"), &[host, (TOKEN, token.as_str())])
    };
    assert_eq!(get("meta-data/placement/region").body, "eu-south-2");
    assert_eq!(get("dynamic/instance-identity/document").json()["region"], "eu-south-2");
}

#[test]
fn under_exec_a_program_finds_instance_metadata_and_no_other_credentials() {
    let (home, sts) = (Home::new(), Sts::start());
    let start = |exec: Vec<String>| home.rolekeeper(exec).at(&sts).start();
    let served = Served::start_by(&home, start, &["--role-arn", &role("demo"), "--imds"]);
    assert_eq!(served.variable("AWS_EC2_METADATA_DISABLED"), "false");
    for gone in ["AWS_ACCESS_KEY_ID", "AWS_CONTAINER_CREDENTIALS_FULL_URI"] {
        assert!(!served.has(gone), "{gone} is set");
    }
    let (_, credentials) = walk(address(served.variable("AWS_EC2_METADATA_SERVICE_ENDPOINT")));
    assert!(credentials["AccessKeyId"].as_str().unwrap().starts_with("ASIA"));
    assert_eq!(sts.counts().calls("AssumeRole"), 1);
    let (status, stderr) = served.end();
    assert!(status.success() && stderr.is_empty(), "{stderr}");
}

#[test]
fn a_program_under_exec_reads_its_session_from_instance_metadata() {
    const CURL: &str = "/usr/bin/curl";
    if !Path::new(CURL).exists() {
        eprintln!("not run: there is no {CURL}");
        return;
    }
    let (home, sts) = (Home::new(), Sts::start());
    let script = r#"set -e
        at=${AWS_EC2_METADATA_SERVICE_ENDPOINT%/}/latest
        token=$(curl -sSf -X PUT -H "X-aws-ec2-metadata-token-ttl-seconds: 60" "$at/api/token")
        get() { curl -sSf -H "X-aws-ec2-metadata-token: $token" "$at/meta-data/$1"; }
        name=$(get iam/security-credentials/)
        get "iam/security-credentials/$name""#;
    let words = ["exec", "--role-arn", &role("demo"), "--imds", "--", "sh", "-c", script];
    let ran = home.rolekeeper(words).at(&sts).that_shows_secrets().run().expect(0);
    let credentials = ran.json();
    assert!(credentials["AccessKeyId"].as_str().unwrap().starts_with("ASIA"));
    assert_eq!(credentials["Code"], "Success");
    assert_eq!(sts.counts().calls("AssumeRole"), 1);
}
