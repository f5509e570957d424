//! The configuration: what it means, and what is told of everything that is wrong with it.

use std::{path::Path, time::Duration};

use proptest::prelude::*;
use rolekeeper_agent::{
    RoleName,
    config::{AssumedRole, Config, Identity, ImdsConfig, Problem, RoleConfig, TokenConfig},
};

const EVERYTHING: &str = r#"
listen = "127.0.0.1:7000"
socket = "/run/rolekeeper/agent.sock"
operator = "[::1]:7001"
pace = 20
idle = "1h"
lock_memory = false
store = "rediss://redis.internal"
store_key_file = "/etc/rolekeeper/fleet.key"

[role.etl]

[role.audit]
role_arn = "arn:aws:iam::123456789012:role/audit"
source_profile = "base"
session_name = "nightly"
duration = "2h"
external_id = "42"
policy = '{"Version":"2012-10-17","Statement":[]}'
policy_arns = ["arn:aws:iam::aws:policy/ReadOnlyAccess"]
tags = { team = "data", empty = "" }
transitive_tag_keys = ["team"]
source_identity = "ada"
mfa_serial = "arn:aws:iam::123456789012:mfa/ada"
mfa_process = "oathtool --totp"
region = "eu-central-1"
endpoint_url = "http://127.0.0.1:9000"
fips = false
dual_stack = true
token_env = "AUDIT_TOKEN"

[role."my.jobs"]
profile = "my jobs"
token_file = "/etc/rolekeeper/jobs.token"
rotate_token = "12h"
allow = { uid = 1000, gid = [100, 101], executable = ["/usr/bin/python3"] }

[[imds]]
listen = "127.0.0.1:7002"
role = "etl"

[[imds]]
listen = "127.0.0.1:0"
role = "my.jobs"
v1 = true
"#;

fn read(text: &str) -> Result<Config, Vec<Problem>> {
    Config::from_toml(text, Path::new("agent.toml"))
}

fn good(text: &str) -> Config {
    read(text).unwrap_or_else(|problems| panic!("{}", told(&problems)))
}

/// As an operator reads it.
fn told(problems: &[Problem]) -> String {
    let mut text = String::new();
    for problem in problems {
        text.push_str(&format!("{problem}\n"));
        if let Some(hint) = &problem.hint {
            text.push_str(&format!("  hint: {hint}\n"));
        }
    }
    text
}

fn name(text: &str) -> RoleName {
    RoleName::parse(text).unwrap()
}

#[test]
fn every_key_arrives_as_its_type() {
    let config = good(EVERYTHING);
    assert_eq!(config.container.to_string(), "127.0.0.1:7000");
    assert_eq!(config.operator.unwrap().to_string(), "[::1]:7001");
    assert_eq!(config.socket.as_deref(), Some(Path::new("/run/rolekeeper/agent.sock")));
    assert_eq!((config.pace.get(), config.idle_after), (20, Some(Duration::from_secs(3600))));
    assert!(!config.lock_memory && !config.beyond_loopback);
    assert_eq!(config.store.as_deref(), Some("rediss://redis.internal"));
    assert_eq!(config.store_key_file.as_deref(), Some(Path::new("/etc/rolekeeper/fleet.key")));

    let [etl, audit, jobs] = config.roles.as_slice() else { panic!("{:?}", config.roles) };
    assert_eq!(*etl, RoleConfig::of_profile(name("etl")));

    let Identity::Role(role) = &audit.identity else { panic!("{audit:?}") };
    let AssumedRole { role_arn, source_profile, duration, policy_arns, tags, mfa_serial, .. } =
        role.as_ref();
    assert_eq!(role_arn, "arn:aws:iam::123456789012:role/audit");
    assert_eq!(source_profile.as_deref(), Some("base"));
    assert_eq!(*duration, Some(Duration::from_secs(7200)));
    assert_eq!(policy_arns, &["arn:aws:iam::aws:policy/ReadOnlyAccess"]);
    let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(tags, &[tag("empty", ""), tag("team", "data")]);
    assert_eq!(mfa_serial.as_deref(), Some("arn:aws:iam::123456789012:mfa/ada"));
    assert_eq!(role.session_name.as_deref(), Some("nightly"));
    assert_eq!(role.external_id.as_deref(), Some("42"));
    assert_eq!(role.policy.as_deref(), Some(r#"{"Version":"2012-10-17","Statement":[]}"#));
    assert_eq!(role.transitive_tag_keys, ["team"]);
    assert_eq!(role.source_identity.as_deref(), Some("ada"));
    assert_eq!(audit.mfa_process.as_deref(), Some("oathtool --totp"));
    assert_eq!(audit.place.region.as_deref(), Some("eu-central-1"));
    assert_eq!(audit.place.endpoint_url.as_deref(), Some("http://127.0.0.1:9000"));
    assert_eq!((audit.place.fips, audit.place.dual_stack), (Some(false), Some(true)));
    assert_eq!(audit.token, TokenConfig::Variable("AUDIT_TOKEN".into()));

    assert_eq!(jobs.identity, Identity::Profile("my jobs".into()));
    assert_eq!(jobs.token, TokenConfig::File("/etc/rolekeeper/jobs.token".into()));
    assert_eq!(jobs.rotate_token, Some(Duration::from_secs(12 * 3600)));
    assert_eq!(jobs.allow.uids, [1000]);
    assert_eq!(jobs.allow.gids, [100, 101]);
    assert_eq!(jobs.allow.executables, [Path::new("/usr/bin/python3")]);

    let listen = |text: &str| text.parse().unwrap();
    let first = ImdsConfig { listen: listen("127.0.0.1:7002"), role: name("etl"), v1: false };
    let second = ImdsConfig { listen: listen("127.0.0.1:0"), role: name("my.jobs"), v1: true };
    assert_eq!(config.imds, [first, second]);
}

#[test]
fn the_summary_names_all_that_is_served_and_no_secret() {
    let summary = good(EVERYTHING).summary().join("\n");
    insta::assert_snapshot!(summary);
}

#[test]
fn roles_stay_in_the_order_in_which_they_are_written() {
    let config = good("[role.z]\n[role.a]\n[role.m]\n");
    let names: Vec<_> = config.roles.iter().map(|role| role.name.as_str()).collect();
    assert_eq!(names, ["z", "a", "m"]);
}

#[test]
fn without_a_socket_tokens_are_where_it_would_be() {
    let mut config = Config::of_profiles(&["etl".into()]).unwrap();
    let beside = config.token_file(&config.roles[0]);
    assert!(beside.is_some());
    config.socket = None;
    assert_eq!(config.token_file(&config.roles[0]), beside);
    assert_eq!(config.check(), []);
}

#[test]
fn profiles_on_the_command_line_are_roles_of_their_names() {
    let config = Config::of_profiles(&["etl".into(), "audit".into()]).unwrap();
    assert_eq!(config.container.to_string(), "127.0.0.1:7345");
    assert_eq!(config.pace.get(), 50);
    assert_eq!(config.roles[1], RoleConfig::of_profile(name("audit")));

    let names = ["etl".into(), "etl".into(), "my jobs".into()];
    let told = told(&Config::of_profiles(&names).unwrap_err())
        + &told(&Config::of_profiles(&[]).unwrap_err());
    insta::assert_snapshot!(told);
}

#[test]
fn a_file_and_a_command_line_are_one_configuration() {
    let text = "listen = \"0.0.0.0:7000\"\n[role.etl]\n[imds]\nlisten = \"127.0.0.1:1\"\nrole = \"more\"\n";
    let (mut config, problems) = Config::read(text, Path::new("agent.toml"));
    assert_eq!(problems, []);
    assert_eq!(config.add_profiles(&["more".into()]), []);
    assert_eq!(config.check()[0].line, Some(1), "the file's address");
    config.container = "0.0.0.0:7001".parse().unwrap();
    assert_eq!(config.check()[0].line, None, "the command line's");
    config.container = "127.0.0.1:0".parse().unwrap();
    assert_eq!(config.check(), []);
}

/// Each text, and all that is told of it.
#[test]
fn everything_that_is_wrong_is_told_at_once_with_its_line() {
    let texts = [
        // Keys.
        "[role.etl]\nprofil = 'etl'\nregoin = 'x'\n\nlissen = 1\n[extra]\n",
        "lisen = '127.0.0.1:1'\n[role.etl]\nallow = { uids = [1] }\nidle = '1h'\naws_secret_access_key = 'hush'\n",
        // Types and limits.
        "listen = 7345\nsocket = 'agent.sock'\noperator = 'localhost:80'\npace = 0\nidle = '10s'\nlock_memory = 'yes'\n[role.etl]",
        "listen = '127.0.0.1'\noperator = ':80'\npace = 1.5\nidle = 'soon'\n[role.etl]\nregion = ''\nfips = 1\nendpoint_url = 'localhost'\n",
        "role = 1\nimds = 2\n",
        "[role]\netl = 1\n",
        "[role.etl]\nrotate_token = '1s'\ntoken_file = '~/token'\nallow = { uid = ['ada', -1], gid = 'staff', executable = ['python3', '/bin/sh'] }\n",
        // What doesn't go together.
        "[role.etl]\nprofile = 'a'\nrole_arn = 'arn:aws:iam::1:role/x'\ntoken_file = '/a'\ntoken_env = 'B'\n",
        "[role.etl]\nexternal_id = 'x'\nduration = '1h'\n",
        "[role.etl]\nrole_arn = 'etl'\nduration = '13h'\ntags = { a = 1 }\npolicy_arns = ['x']\n",
        "[role.etl]\ntoken_env = 'A'\nrotate_token = '1h'\n",
        "[role.a]\ntoken_file = '/t'\n[role.b]\ntoken_file = '/t'\n",
        // Secrets.
        "[role.etl]\ntoken = 'hush'\n",
        "[role.etl]\ntoken_env = 'hush hush'\n",
        "store = 'rediss://fleet:hush@redis'\nstore_key_file = 'fleet.key'\n[role.etl]\n",
        "store = 7\nstore_key_file = ''\n[role.etl]\n",
        // Names.
        "[role.'my jobs']\n[role.'.x']\n[role.ok]\n",
        // Listeners.
        "listen = '0.0.0.0:7000'\noperator = '192.168.1.1:80'\n[role.etl]\n",
        "listen_beyond_loopback = true\nlisten = '0.0.0.0:7000'\noperator = '127.0.0.1:7000'\n[role.etl]\n",
        "[role.etl]\n[[imds]]\nlisten = '127.0.0.1:7345'\nrole = 'elt'\n[[imds]]\n[[imds]]\nrole = 3\nlisten = 4\n",
        "",
        // No TOML.
        "listen = \n[role.etl\ntoken = 'hush",
        "[role.a]\n[role.a]\n",
        "pace = 1\npace = 2\n[role.a]\n",
    ];
    let mut all = String::new();
    for text in texts {
        let problems = read(text).unwrap_err();
        assert!(problems.is_sorted_by_key(|problem| problem.line), "{problems:?}");
        all.push_str(&format!("{text}\n---\n{}\n===\n", told(&problems)));
    }
    let answers: String = all.split("===\n").filter_map(|one| one.split("---\n").nth(1)).collect();
    assert!(!answers.contains("hush"), "a secret was told");
    insta::assert_snapshot!(all);
}

#[test]
fn tokens_lie_beside_the_socket() {
    let config = good(EVERYTHING);
    let files: Vec<_> = config.roles.iter().map(|role| config.token_file(role)).collect();
    let beside = Path::new("/run/rolekeeper/tokens/etl").to_owned();
    assert_eq!(files, [Some(beside), None, Some("/etc/rolekeeper/jobs.token".into())]);
}

#[test]
fn a_role_whose_line_moves_is_the_same_role() {
    let moved = good(&format!("# one more line\n{EVERYTHING}"));
    assert_eq!(moved.roles, good(EVERYTHING).roles);
}

// === properties ===

/// Text that gets past the first character.
fn lines() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        Just("listen"),
        Just("pace"),
        Just("idle"),
        Just("socket"),
        Just("store"),
        Just("role"),
        Just("imds"),
        Just("role.a"),
        Just("role.a.token"),
        Just("role.a.allow"),
        Just("role.a.duration"),
    ];
    let value = prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| n.to_string()),
        "\\PC{0,12}".prop_map(|text| format!("{text:?}")),
        "[0-9.:\\[\\]smh]{0,20}".prop_map(|text| format!("'{text}'")),
        Just("[1, 'a', {}]".to_owned()),
        Just("{ uid = [1, 'x'], k = 1 }".to_owned()),
        Just("1979-05-27T07:32:00Z".to_owned()),
    ];
    let line = prop_oneof![
        8 => (key.clone(), value).prop_map(|(key, value)| format!("{key} = {value}")),
        2 => key.prop_map(|key| format!("[{key}]")),
        1 => Just("[[imds]]".to_owned()),
        1 => "\\PC{0,20}",
    ];
    proptest::collection::vec(line, 0..8).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC*") {
        let _ = read(&text);
    }

    #[test]
    fn no_near_miss_makes_it_panic_and_each_problem_has_a_line_of_the_text(text in lines()) {
        if let Err(problems) = read(&text) {
            prop_assert!(!problems.is_empty());
            for problem in problems {
                if let Some(line) = problem.line {
                    prop_assert!(line >= 1 && line <= text.split('\n').count(), "{problem}");
                }
                prop_assert!(!problem.to_string().contains('\n'), "{problem}");
            }
        }
    }

    #[test]
    fn durations_mean_what_the_command_line_means(seconds in 60_u64..10_000_000) {
        let config = good(&format!("idle = {seconds}\n[role.a]"));
        prop_assert_eq!(config.idle_after, Some(Duration::from_secs(seconds)));
        let line = config.summary().into_iter().find(|line| line.starts_with("idle")).unwrap();
        let shown = line.split(" for ").nth(1).unwrap().trim_end_matches(" is let go");
        let again = good(&format!("idle = '{shown}'\n[role.a]"));
        prop_assert_eq!(again.idle_after, config.idle_after);
    }
}
