//! Wrong use and wrong configuration: found before anybody is called, each told in one line with
//! the value and the limit.

use crate::support::{Home, Sts, role};

/// Runs them all, none against a server: what is wrong is found here.
#[track_caller]
fn transcripts(status: i32, all: &[&[&str]]) -> String {
    let home = Home::new();
    let transcripts = all.iter().map(|arguments| {
        let run = home
            .rolekeeper(*arguments)
            // Nobody listens there; a call would end with 69.
            .env("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "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");
        run.run().expect(status).transcript()
    });
    transcripts.collect::<Vec<_>>().join("\n")
}

const DEMO: &str = "arn:aws:iam::123456789012:role/demo";

#[test]
fn wrong_use_ends_with_64() {
    insta::assert_snapshot!(transcripts(
        64,
        &[
            &["frobnicate"],
            &["whoami"],
            &["whoami", "--role", DEMO],
            &["exec", "--role-arn", DEMO],
            &["exec", "--", "true"],
            &["exec", "--duration", "1h", "--", "true"],
            &["whoami", "--role-arn", DEMO, "--duration", "soon"],
            &["whoami", "--role-arn", DEMO, "--tag", "team"],
            &["whoami", "--role-arn", DEMO, "--policy", "file:///nowhere/policy.json"],
            &["whoami", "--role-arn", DEMO, "--mfa-serial", "123456789", "--mfa-code", "12345"],
            &["export", "--role-arn", DEMO, "--format", "toml"],
            &["completions", "tcsh"],
            &["sandbox", "--listen", "localhost"],
            &["sandbox", "--session-lifetime", "0"],
            &["sandbox", "--faults", "{\"latency\": 5}"],
            &["sandbox", "--faults", "{\"fail\": {\"status\": 200}}"],
            &["sandbox", "--faults", "not JSON"],
            &["sandbox", "--faults", "file:///nowhere/faults.json"],
            &["sandbox", "--config", "/nowhere/sandbox.toml"],
        ]
    ));
}

#[test]
fn wrong_configuration_ends_with_67() {
    insta::assert_snapshot!(transcripts(
        67,
        &[
            &["whoami", "--role-arn", "etl"],
            &["whoami", "--role-arn", "arn:aws:iam::1:r"],
            &["whoami", "--role-arn", DEMO, "--duration", "14m"],
            &["whoami", "--role-arn", DEMO, "--duration", "13h"],
            &["whoami", "--role-arn", DEMO, "--role-session-name", "my job"],
            &["whoami", "--role-arn", DEMO, "--external-id", "x"],
            &["whoami", "--role-arn", DEMO, "--policy", "{\"Version\":"],
            &["whoami", "--role-arn", DEMO, "--policy", "[]"],
            &["whoami", "--role-arn", DEMO, "--policy-arn", "ReadOnlyAccess"],
            &["whoami", "--role-arn", DEMO, "--tag", "Team=a", "--tag", "team=b"],
            &["whoami", "--role-arn", DEMO, "--source-identity", "aws:me"],
            &["whoami", "--role-arn", DEMO, "--mfa-serial", "short"],
            &["whoami", "--role-arn", DEMO, "--provided-context", "provider=assertion"],
            &["whoami", "--role-arn", DEMO, "--endpoint-url", "sts.example.com"],
        ]
    ));
}

#[test]
fn fifty_tags_are_taken_and_the_fifty_first_is_refused() {
    let (home, sts) = (Home::new(), Sts::start());
    let with_tags = |count: usize| {
        let tags = (0..count).flat_map(|n| ["--tag".to_owned(), format!("k{n}=v")]);
        let role = ["whoami".to_owned(), "--role-arn".to_owned(), role("demo")];
        home.rolekeeper(role.into_iter().chain(tags)).at(&sts).run()
    };
    with_tags(50).expect(0);
    let ran = with_tags(51).expect(67);
    insta::assert_snapshot!(ran.stderr, @r"
    error: 51 session tags were given, more than 50
    hint: give at most 50
    ");
}

#[test]
fn a_tag_too_long_and_policies_too_many_are_told_with_their_limits() {
    let home = Home::new();
    let key = format!("{}=v", "k".repeat(129));
    let mut all = vec!["whoami", "--role-arn", DEMO];
    let text = [&all[..], &["--tag", &key]].concat();
    let too_long = home.rolekeeper(text).env("AWS_REGION", "eu-central-1").run().expect(67);
    assert!(too_long.stderr.contains("129 characters, more than 128"), "{}", too_long.stderr);
    for _ in 0..11 {
        all.extend(["--policy-arn", "arn:aws:iam::aws:policy/ReadOnlyAccess"]);
    }
    let too_many = home.rolekeeper(all).env("AWS_REGION", "eu-central-1").run().expect(67);
    assert!(too_many.stderr.contains("11 policy ARNs were given, more than 10"));
}

#[test]
fn a_missing_region_is_told_with_three_ways_to_set_one() {
    let home = Home::new();
    let ran = home.rolekeeper(["whoami", "--role-arn", DEMO]).run().expect(67);
    insta::assert_snapshot!(ran.transcript());
}

#[test]
fn an_unknown_profile_is_told_with_the_names_near_it() {
    let empty = Home::new();
    let some = Home::new().with_config(
        "[default]\nregion = eu-west-1\n[profile etl]\nregion = eu-west-1\n\
         [profile etl-test]\nregion = eu-west-1\n[profile web]\nregion = eu-west-1\n",
    );
    let told = [&empty, &some]
        .map(|home| home.rolekeeper(["whoami", "--profile", "elt"]).run().expect(67).transcript());
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_profile_that_makes_no_sense_is_told_by_its_key() {
    let home = Home::new().with_config(
        "[profile a]\nregion = eu-west-1\nrole_arn = arn:aws:iam::123456789012:role/a\n\
         source_profile = b\n\
         [profile b]\nrole_arn = arn:aws:iam::123456789012:role/b\nsource_profile = a\n\
         [profile lonely]\nregion = eu-west-1\nrole_arn = arn:aws:iam::123456789012:role/c\n\
         [profile slow]\nregion = eu-west-1\nrole_arn = arn:aws:iam::123456789012:role/c\n\
         credential_source = Environment\nduration_seconds = 1h\n",
    );
    let told = ["a", "lonely", "slow"].map(|profile| {
        home.rolekeeper(["whoami", "--profile", profile]).run().expect(67).transcript()
    });
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_sandbox_file_with_a_wrong_key_is_told_with_line_and_key() {
    let home = Home::new();
    let unknown =
        home.file("unknown.toml", "account = \"123456789012\"\n\n[roles.a]\ntrusts = []\n");
    let account = home.file("account.toml", "account = \"12\"\n");
    let syntax = home.file("syntax.toml", "account = \n");
    let told = [unknown, account, syntax].map(|path| {
        let path = path.to_str().unwrap();
        home.rolekeeper(["sandbox", "--config", path]).run().expect(64).transcript()
    });
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn the_sandbox_binds_to_loopback_only() {
    let ran = Home::new().rolekeeper(["sandbox", "--listen", "0.0.0.0:0"]).run().expect(70);
    insta::assert_snapshot!(ran.transcript());
}

#[test]
fn a_code_without_a_device_is_told_and_is_no_failure() {
    let (home, sts) = (Home::new(), Sts::start());
    let words = ["whoami", "--role-arn", DEMO, "--mfa-code", "123456"];
    let ran = home.rolekeeper(words).at(&sts).run().expect(0);
    assert_eq!(ran.stderr, "warning: an MFA code is of no use without --mfa-serial\n");
}
