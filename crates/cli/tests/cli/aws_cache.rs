//! Sessions are shared with the AWS CLI by who asks for it, and by nobody else.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::support::{Home, Invocation, Ran, Sts, now, role};

/// What botocore 1.44.5 calls the session of `demo` with no other parameter.
const DEMO: &str = "5f52c9c583acfd120a607977e4f21fe86b7fa42d";

const THEIRS: &str = "ASIATHEIRS";

fn command<'a>(home: &Home, sts: &Sts, more: impl AsRef<[&'a str]>) -> Invocation {
    let demo = role("demo");
    let words = ["credential-process", "--role-arn", &demo];
    let words = words.iter().chain(more.as_ref());
    home.rolekeeper(words).at(sts).that_shows_secrets()
}

/// Without a store: what is shared is shared by the cache alone.
fn process(home: &Home, sts: &Sts, more: &[&str]) -> Ran {
    command(home, sts, [&["--store", "none"], more].concat()).run().expect(0)
}

fn key_id(ran: &Ran) -> String {
    ran.json()["AccessKeyId"].as_str().unwrap().to_owned()
}

fn calls(sts: &Sts) -> u64 {
    sts.counts().ok("AssumeRole")
}

fn of_cli(home: &Home) -> PathBuf {
    home.path().join(".aws/cli/cache")
}

/// As botocore writes it: with `minutes` left.
fn session(key_id: &str, minutes: i64) -> Value {
    let end = i64::try_from(now().as_secs()).unwrap() + minutes * 60;
    let end = jiff::Timestamp::from_second(end).unwrap().strftime("%Y-%m-%dT%H:%M:%SUTC");
    json!({
        "Credentials": {
            "AccessKeyId": key_id,
            "SecretAccessKey": "theirSecret",
            "SessionToken": "theirToken",
            "Expiration": end.to_string(),
            "AccountId": "123456789012",
        },
        "AssumedRoleUser": {
            "AssumedRoleId": "AROATHEIRS:botocore-session-1",
            "Arn": "arn:aws:sts::123456789012:assumed-role/demo/botocore-session-1",
        },
        "ResponseMetadata": { "HTTPStatusCode": 200, "RetryAttempts": 0 },
    })
}

fn put(folder: &Path, text: &str) -> PathBuf {
    fs::create_dir_all(folder).unwrap();
    let file = folder.join(format!("{DEMO}.json"));
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    file
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_session_of_the_aws_cli_is_taken_and_nobody_is_called() {
    let (home, sts) = (Home::new(), Sts::start());
    let text = session(THEIRS, 50).to_string();
    let file = put(&of_cli(&home), &text);
    let ran = process(&home, &sts, &["--aws-cache", "read"]);
    assert_eq!((key_id(&ran).as_str(), ran.stderr.as_str()), (THEIRS, ""));
    let told = command(&home, &sts, []).env("ROLEKEEPER_AWS_CACHE", "read").run().expect(0);
    assert_eq!(key_id(&told), THEIRS);
    assert_eq!(calls(&sts), 0);
    assert_eq!(fs::read_to_string(file).unwrap(), text);
}

#[test]
fn of_two_folders_the_session_that_lasts_longer_counts() {
    let (home, sts) = (Home::new(), Sts::start());
    put(&of_cli(&home), &session(THEIRS, 40).to_string());
    put(&home.path().join(".aws/boto/cache"), &session("ASIALONGER", 50).to_string());
    assert_eq!(key_id(&process(&home, &sts, &["--aws-cache", "read"])), "ASIALONGER");
}

#[test]
fn nobody_looks_there_without_being_told_to() {
    let (home, sts) = (Home::new(), Sts::start());
    put(&of_cli(&home), &session(THEIRS, 50).to_string());
    assert_ne!(key_id(&process(&home, &sts, &[])), THEIRS);
    let none = command(&home, &sts, ["--store", "none", "--aws-cache", "none"]);
    assert_ne!(key_id(&none.env("ROLEKEEPER_AWS_CACHE", "write").run().expect(0)), THEIRS);
    assert_eq!(calls(&sts), 2);
    assert_eq!(fs::read_dir(of_cli(&home)).unwrap().count(), 1);
}

#[test]
fn what_is_taken_from_there_is_handed_on_by_no_store() {
    let (home, sts) = (Home::new(), Sts::start());
    put(&of_cli(&home), &session(THEIRS, 50).to_string());
    let ran = command(&home, &sts, ["--aws-cache", "read"]).run().expect(0);
    assert_eq!(key_id(&ran), THEIRS);
    assert_ne!(key_id(&command(&home, &sts, []).run().expect(0)), THEIRS);
    assert_eq!(calls(&sts), 1);
}

#[test]
fn a_session_that_has_ended_or_is_about_to_is_left() {
    let (home, sts) = (Home::new(), Sts::start());
    for (count, minutes) in [(1, -1), (2, 5), (3, 20)] {
        put(&of_cli(&home), &session(THEIRS, minutes).to_string());
        let ran = process(&home, &sts, &["--aws-cache", "read"]);
        assert_ne!(key_id(&ran), THEIRS, "{minutes}");
        assert_eq!((calls(&sts), ran.stderr.as_str()), (count, ""), "{minutes}");
    }
}

#[test]
fn what_can_not_be_used_is_told_and_left_as_it_is() {
    let (home, sts) = (Home::new(), Sts::start());
    let good = session(THEIRS, 50).to_string();
    for (text, mode, why) in [
        ("{\"Credentials\": ", 0o600, "it is no session as botocore writes it"),
        ("{}", 0o600, "it is no session as botocore writes it"),
        (&good.replace("theirSecret", ""), 0o600, "it is no session as botocore writes it"),
        (&session(THEIRS, 24 * 60).to_string(), 0o600, "it lasts longer than any session"),
        (&" ".repeat(70_000), 0o600, "it has more than 64 kB"),
        (&good, 0o620, "others may write to it"),
        (&good, 0o602, "others may write to it"),
    ] {
        let file = put(&of_cli(&home), text);
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let ran = process(&home, &sts, &["--aws-cache", "read"]);
        assert_ne!(key_id(&ran), THEIRS, "{why}");
        assert_eq!(ran.stderr.matches("not used").count(), 1, "{}", ran.stderr);
        assert!(ran.stderr.contains(why), "{}", ran.stderr);
        assert!(!ran.stderr.contains("theirToken"), "{}", ran.stderr);
        assert_eq!(fs::read_to_string(file).unwrap(), text);
    }
    assert_eq!(calls(&sts), 7);
}

#[test]
fn a_link_or_a_folder_of_others_is_not_trusted() {
    let (home, sts) = (Home::new(), Sts::start());
    let file = put(&of_cli(&home), &session(THEIRS, 50).to_string());
    fs::set_permissions(of_cli(&home), fs::Permissions::from_mode(0o777)).unwrap();
    let ran = process(&home, &sts, &["--aws-cache", "write"]);
    assert_ne!(key_id(&ran), THEIRS);
    assert!(ran.stderr.contains("cannot write into the AWS CLI's cache"), "{}", ran.stderr);
    fs::set_permissions(of_cli(&home), fs::Permissions::from_mode(0o700)).unwrap();
    let elsewhere = home.path().join("elsewhere.json");
    fs::rename(&file, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
    let ran = process(&home, &sts, &["--aws-cache", "read"]);
    assert_ne!(key_id(&ran), THEIRS);
    assert!(ran.stderr.contains("it is a link"), "{}", ran.stderr);
}

#[test]
fn what_is_written_is_as_botocore_writes_it_and_for_this_user_alone() {
    let (home, sts) = (Home::new(), Sts::start());
    let first = process(&home, &sts, &["--aws-cache", "write"]);
    assert_eq!(first.stderr, "");
    let file = of_cli(&home).join(format!("{DEMO}.json"));
    assert_eq!((mode(&file), mode(&of_cli(&home))), (0o600, 0o700));
    assert_eq!(fs::read_dir(of_cli(&home)).unwrap().count(), 1);
    assert!(!home.path().join(".aws/boto").exists());
    let (written, printed): (Value, _) =
        (serde_json::from_slice(&fs::read(&file).unwrap()).unwrap(), first.json());
    let credentials = &written["Credentials"];
    for name in ["AccessKeyId", "SecretAccessKey", "SessionToken"] {
        assert_eq!(credentials[name], printed[name], "{name}");
    }
    let time = |end: &Value, zone: &str| {
        let end = end.as_str().unwrap().strip_suffix(zone).unwrap();
        format!("{end}Z").parse::<jiff::Timestamp>().unwrap().as_second()
    };
    let end = time(&credentials["Expiration"], "UTC");
    // What is printed ends a few seconds earlier, for those who take it at its word.
    assert!((0..30).contains(&(end - time(&printed["Expiration"], "Z"))), "{end} {printed}");
    assert_eq!(credentials["AccountId"], "123456789012");
    let arn = written["AssumedRoleUser"]["Arn"].as_str().unwrap();
    assert!(arn.starts_with("arn:aws:sts::123456789012:assumed-role/demo/"), "{arn}");

    let second = process(&home, &sts, &["--aws-cache", "write"]);
    assert_eq!((key_id(&second), calls(&sts)), (key_id(&first), 1));
}

#[test]
fn what_a_store_has_is_written_too_and_into_botocores_folder_if_there_is_one() {
    let (home, sts) = (Home::new(), Sts::start());
    let first = command(&home, &sts, []).run().expect(0);
    let of_botocore = home.path().join(".aws/boto/cache");
    fs::create_dir_all(&of_botocore).unwrap();
    let second = command(&home, &sts, ["--aws-cache", "write"]).run().expect(0);
    assert_eq!((key_id(&first), calls(&sts)), (key_id(&second), 1));
    for folder in [of_cli(&home), of_botocore] {
        let text = fs::read_to_string(folder.join(format!("{DEMO}.json"))).unwrap();
        assert!(text.contains(&key_id(&first)), "{}", folder.display());
    }
}

#[test]
fn a_damaged_file_is_replaced_by_who_writes() {
    let (home, sts) = (Home::new(), Sts::start());
    put(&of_cli(&home), "no session");
    process(&home, &sts, &["--aws-cache", "write"]);
    assert_eq!(process(&home, &sts, &["--aws-cache", "read"]).stderr, "");
    assert_eq!(calls(&sts), 1);
}

#[test]
fn a_session_too_short_for_botocore_is_not_written() {
    let (home, sts) = (Home::new(), Sts::short_lived(600));
    process(&home, &sts, &["--aws-cache", "write"]);
    assert!(!of_cli(&home).exists());
}

#[test]
fn other_parameters_are_another_session_and_some_have_none() {
    let (home, sts) = (Home::new(), Sts::start());
    put(&of_cli(&home), &session(THEIRS, 50).to_string());
    for (count, more) in [
        (1, ["--role-session-name", "job"]),
        (2, ["--duration", "2h"]),
        (3, ["--external-id", "customer-7"]),
    ] {
        let words = [&["--aws-cache", "write"], &more[..]].concat();
        assert_ne!(key_id(&process(&home, &sts, &words)), THEIRS, "{more:?}");
        process(&home, &sts, &words);
        assert_eq!(calls(&sts), count, "{more:?}");
    }
    assert_eq!(fs::read_dir(of_cli(&home)).unwrap().count(), 4);
    for more in [["--tag", "team=storage"], ["--source-identity", "alice"]] {
        let words = [&["--aws-cache", "write"], &more[..]].concat();
        assert_ne!(key_id(&process(&home, &sts, &words)), THEIRS, "{more:?}");
    }
    assert_eq!(calls(&sts), 5);
    assert_eq!(fs::read_dir(of_cli(&home)).unwrap().count(), 4);
}

#[test]
fn a_profile_has_the_session_of_its_role() {
    let (sts, config) = (
        Sts::start(),
        format!("[profile etl]\nrole_arn = {}\ncredential_source = Environment\n", role("demo")),
    );
    let home = Home::new().with_config(&config);
    put(&of_cli(&home), &session(THEIRS, 50).to_string());
    let words = ["credential-process", "--profile", "etl", "--aws-cache", "read"];
    let ran = home.rolekeeper(words).at(&sts).that_shows_secrets().run().expect(0);
    assert_eq!((key_id(&ran).as_str(), calls(&sts)), (THEIRS, 0));
}

#[test]
fn a_doctor_asks_sts_all_the_same() {
    let (home, sts) = (Home::new(), Sts::start());
    put(&of_cli(&home), &session(THEIRS, 50).to_string());
    let words = ["doctor", "--role-arn", &role("demo"), "--aws-cache", "read"];
    home.rolekeeper(words).at(&sts).run().expect(0);
    assert_eq!(calls(&sts), 1);
}
