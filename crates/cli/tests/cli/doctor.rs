//! `rolekeeper doctor`: one line for each thing, and a status that scripts can go by.

use std::time::Duration;

use rolekeeper_sandbox::{AssumeRoleRefusal, Config, Faults};

use crate::support::{Home, Ran, Sts, role};

fn doctor(home: &Home, sts: &Sts, which: &[&str]) -> Ran {
    home.rolekeeper(["doctor"].iter().chain(which)).at(sts).run()
}

#[test]
fn all_is_well() {
    let (home, sts) = (Home::new(), Sts::start());
    let base = doctor(&home, &sts, &[]).expect(0);
    let with_role = doctor(&home, &sts, &["--role-arn", &role("demo")]).expect(0);
    insta::assert_snapshot!([base.transcript(), with_role.transcript()].join("\n"));
}

#[test]
fn a_profile_is_looked_at_from_its_base_upwards() {
    let sts = Sts::start();
    let home = Home::new().with_config(&format!(
        "[profile etl]\nrole_arn = {}\ncredential_source = Environment\n",
        role("demo")
    ));
    insta::assert_snapshot!(doctor(&home, &sts, &["--profile", "etl"]).expect(0).transcript());
}

#[test]
fn json_says_the_same() {
    let (home, sts) = (Home::new(), Sts::start());
    let ran = doctor(&home, &sts, &["--json", "--role-arn", &role("forbidden")]).expect(68);
    let findings = ran.json();
    let verdict = |subject: &str| {
        let all = findings.as_array().unwrap();
        let found = all.iter().find(|finding| finding["subject"] == subject);
        found.unwrap_or_else(|| panic!("{subject}: {findings}"))["verdict"].clone()
    };
    assert_eq!(verdict("base identity"), "ok");
    assert_eq!(verdict("clock"), "ok");
    assert_eq!(verdict("role"), "wrong");
}

#[test]
fn an_unreachable_sts_is_told_at_once() {
    let home = Home::new();
    let ran = home
        .rolekeeper(["doctor", "--role-arn", &role("demo")])
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "wrong")
        .run()
        .expect(69);
    insta::assert_snapshot!(ran.transcript());
}

#[test]
fn a_base_that_is_refused_is_told_as_such() {
    let (home, sts) = (Home::new(), Sts::start());
    let wrong = home.rolekeeper(["doctor"]).at(&sts).env("AWS_SECRET_ACCESS_KEY", "wrong");
    insta::assert_snapshot!(wrong.run().expect(68).transcript());
}

#[test]
fn what_the_trust_policy_asks_for_is_told() {
    let (home, sts) = (Home::new(), Sts::start());
    let device = "arn:aws:iam::123456789012:mfa/demo";
    let told = [
        doctor(&home, &sts, &["--role-arn", &role("forbidden")]).expect(68),
        doctor(&home, &sts, &["--role-arn", &role("external")]).expect(68),
        doctor(&home, &sts, &["--role-arn", &role("mfa")]).expect(68),
        doctor(&home, &sts, &["--role-arn", &role("mfa"), "--mfa-serial", device]).expect(66),
        doctor(&home, &sts, &["--role-arn", &role("short"), "--duration", "2h"]).expect(68),
    ];
    insta::assert_snapshot!(told.map(|ran| ran.transcript()).join("\n"));
}

#[test]
fn wrong_configuration_is_told_before_the_role() {
    let (home, sts) = (Home::new(), Sts::start());
    let told = [
        doctor(&home, &sts, &["--role-arn", "etl"]).expect(67),
        doctor(&home, &sts, &["--role-arn", &role("demo"), "--duration", "14m"]).expect(67),
        doctor(&home, &sts, &["--profile", "nobody"]).expect(67),
    ];
    insta::assert_snapshot!(told.map(|ran| ran.transcript()).join("\n"));
}

#[test]
fn a_region_that_is_not_enabled_is_told() {
    let home = Home::new();
    let config = "account = \"123456789012\"\nregion = \"us-east-1\"\n\
                  disabled_regions = [\"me-south-1\"]\n\
                  [users.demo]\naccess_key_id = \"AKIAROLEKEEPERSANDBX\"\n\
                  secret_access_key = \"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\"\n\
                  [roles.demo]\ntrust = [\"user/demo\"]\n";
    let disabled = Sts::start_with(None, Config::from_toml(config).unwrap());
    let ran = doctor(&home, &disabled, &["--role-arn", &role("demo"), "--region", "me-south-1"]);
    insta::assert_snapshot!(ran.expect(68).transcript());

    let refusing = Sts::start();
    refusing.misbehave(Faults {
        refuse_assume_role: Some(AssumeRoleRefusal {
            code: "RegionDisabledException".into(),
            status: 403,
            message: "STS is not activated in this region".into(),
        }),
        ..Faults::default()
    });
    let ran = doctor(&home, &refusing, &["--role-arn", &role("demo")]).expect(68);
    assert!(ran.stdout.contains("activate STS for this Region"), "{}", ran.stdout);
}

#[test]
fn short_sessions_are_worth_a_word_and_no_failure() {
    let home = Home::new();
    let (seconds, minutes) = (Sts::short_lived(10), Sts::short_lived(900));
    let told = [&seconds, &minutes]
        .map(|sts| doctor(&home, sts, &["--role-arn", &role("demo")]).expect(0).transcript());
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_clock_that_is_off_is_told_by_how_much_and_which_way() {
    let (home, sts) = (Home::new(), Sts::start());
    for (offset, way) in [(1200, "ahead"), (-1200, "behind"), (90, "ahead")] {
        sts.misbehave(Faults { clock_offset_seconds: offset, ..Faults::default() });
        let ran = doctor(&home, &sts, &["--role-arn", &role("demo")]).expect(0);
        let line = ran.stdout.lines().find(|line| line.contains("clock  ")).unwrap();
        assert!(line.contains(way), "{line}");
        let seconds = line.split("STS is ").nth(1).and_then(|rest| rest.split(' ').next());
        let seconds: i64 = seconds.unwrap().parse().unwrap();
        assert!(
            (offset.abs() - seconds).abs() <= Duration::from_secs(5).as_secs() as i64,
            "{line}"
        );
        if offset == 1200 {
            insta::assert_snapshot!(ran.transcript());
        }
    }
}

#[test]
fn left_over_keys_are_told_of() {
    let sts = Sts::start();
    let home = Home::new()
        .with_credentials("[default]\naws_access_key_id = AKIA\naws_secret_access_key = s\n")
        .with_config("[profile etl]\nregion = eu-west-1\n");
    let ran = home.rolekeeper(["doctor", "--role-arn", &role("demo")]).at(&sts);
    insta::assert_snapshot!(ran.env("AWS_PROFILE", "etl").run().transcript());
}
