//! `rolekeeper whoami`: the session's identity, as STS sees it.

use crate::support::{Home, Sts, role};

#[test]
fn it_is_printed_for_people() {
    let (home, sts) = (Home::new(), Sts::start());
    let ran = home.rolekeeper(["whoami", "--role-arn", &role("demo")]).at(&sts).run().expect(0);
    insta::assert_snapshot!(ran.transcript());
}

#[test]
fn it_is_printed_for_programs() {
    let (home, sts) = (Home::new(), Sts::start());
    let words = ["whoami", "--json", "--role-arn", &role("demo"), "--role-session-name", "nightly"];
    let who = home.rolekeeper(words).at(&sts).run().expect(0).json();
    assert_eq!(who["Account"], "123456789012");
    assert_eq!(who["Arn"], "arn:aws:sts::123456789012:assumed-role/demo/nightly");
    assert!(who["UserId"].as_str().unwrap().ends_with(":nightly"));
    assert!(who["Expiration"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn roles_given_one_after_the_other_are_assumed_one_by_the_other() {
    let (home, sts) = (Home::new(), Sts::start());
    let (demo, chained) = (role("demo"), role("chained"));
    let words = ["whoami", "--json", "--role-arn", &demo, "--role-arn", &chained];
    let who = home.rolekeeper(words).at(&sts).run().expect(0).json();
    assert!(who["Arn"].as_str().unwrap().contains("assumed-role/chained/"), "{who}");
}

#[test]
fn every_parameter_reaches_sts() {
    let (home, sts) = (Home::new(), Sts::start());
    let external = role("external");
    let words = [
        "whoami",
        "--json",
        "--role-arn",
        &external,
        "--external-id",
        "sandbox-external-id",
        "--duration",
        "15m",
        "--policy",
        r#"{"Version":"2012-10-17","Statement":[]}"#,
        "--policy-arn",
        "arn:aws:iam::aws:policy/ReadOnlyAccess",
        "--tag",
        "team=data",
        "--transitive-tag-key",
        "team",
        "--source-identity",
        "tester",
    ];
    let who = home.rolekeeper(words).at(&sts).run().expect(0).json();
    let expiration = who["Expiration"].as_str().unwrap();
    let ends: jiff::Timestamp = expiration.parse().unwrap();
    let left = ends.as_second() - i64::try_from(crate::support::now().as_secs()).unwrap();
    assert!((840..=901).contains(&left), "{left} s of 900");
}

#[test]
fn a_policy_is_read_from_a_file() {
    let (home, sts) = (Home::new(), Sts::start());
    let path = home.file("policy.json", r#"{"Version":"2012-10-17","Statement":[]}"#);
    let url = format!("file://{}", path.display());
    let words = ["whoami", "--role-arn", &role("demo"), "--policy", &url];
    home.rolekeeper(words).at(&sts).run().expect(0);
}

#[test]
fn the_endpoint_of_the_command_line_goes_before_the_environments() {
    let (home, sts) = (Home::new(), Sts::start());
    let url = sts.endpoint_url();
    let words = ["whoami", "--role-arn", &role("demo"), "--endpoint-url", &url];
    let invocation = home.rolekeeper(words).at(&sts);
    invocation.env("AWS_ENDPOINT_URL", "http://127.0.0.1:1").run().expect(0);
}

#[test]
fn more_is_said_with_v_and_never_a_secret() {
    let (home, sts) = (Home::new(), Sts::start());
    let words = ["whoami", "-vv", "--role-arn", &role("demo")];
    let ran = home.rolekeeper(words).at(&sts).env("RUST_LOG", "trace").run().expect(0);
    assert!(ran.stderr.contains("fetched a session"), "{}", ran.stderr);
    let refused = ["whoami", "-vv", "--role-arn", &role("forbidden")];
    home.rolekeeper(refused).at(&sts).run().expect(68);
}
