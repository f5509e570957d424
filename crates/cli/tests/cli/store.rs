//! Commands of one user share their sessions, and none depends on it.

use std::fs;

use crate::support::{Home, Ran, Started, Sts, hidden, role};

fn process(home: &Home, sts: &Sts, more: &[&str]) -> Ran {
    let demo = role("demo");
    let words = ["credential-process", "--role-arn", &demo];
    let words = words.iter().chain(more);
    home.rolekeeper(words).at(sts).that_shows_secrets().run().expect(0)
}

fn key_id(ran: &Ran) -> String {
    ran.json()["AccessKeyId"].as_str().unwrap().to_owned()
}

fn calls(sts: &Sts) -> u64 {
    sts.counts().ok("AssumeRole")
}

#[test]
fn one_command_fetches_a_session_for_those_after_it() {
    let (home, sts) = (Home::new(), Sts::start());
    let first = process(&home, &sts, &[]);
    assert_eq!(first.stderr, "");
    let second = process(&home, &sts, &[]);
    // Its end may be told a second apart: one counts from when it came, the other from what is stored.
    assert_eq!(key_id(&first), key_id(&second));
    let words = ["exec", "--role-arn", &role("demo"), "--", "true"];
    home.rolekeeper(words).at(&sts).run().expect(0);
    home.rolekeeper(["whoami", "--role-arn", &role("demo")]).at(&sts).run().expect(0);
    assert_eq!(calls(&sts), 1);
}

#[test]
fn another_role_or_another_parameter_is_another_session() {
    let (home, sts) = (Home::new(), Sts::start());
    let first = process(&home, &sts, &[]);
    let named = process(&home, &sts, &["--role-session-name", "job"]);
    assert_ne!(key_id(&first), key_id(&named));
    process(&home, &sts, &["--role-session-name", "job"]);
    assert_eq!(calls(&sts), 2);
}

#[test]
fn it_is_left_alone_if_one_says_so_and_by_what_is_to_last() {
    let (home, sts) = (Home::new(), Sts::start());
    process(&home, &sts, &["--store", "none"]);
    process(&home, &sts, &["--store", "none"]);
    let words = ["credential-process", "--role-arn", &role("demo")];
    let none = home.rolekeeper(words).at(&sts).env("ROLEKEEPER_STORE", "none");
    none.that_shows_secrets().run().expect(0);
    assert_eq!(calls(&sts), 3);
    assert!(!home.path().join(".cache").exists());
    process(&home, &sts, &[]);
    let export = ["export", "--role-arn", &role("demo")];
    home.rolekeeper(export).at(&sts).that_shows_secrets().run().expect(0);
    assert_eq!(calls(&sts), 5);
    let export = ["export", "--store", "file", "--role-arn", &role("demo")];
    home.rolekeeper(export).at(&sts).that_shows_secrets().run().expect(0);
    assert_eq!(calls(&sts), 5);
}

#[test]
fn of_many_that_begin_at_once_one_fetches() {
    let (home, sts) = (Home::new(), Sts::start());
    let demo = role("demo");
    let start = |_| {
        let words = ["credential-process", "--role-arn", &demo];
        home.rolekeeper(words).at(&sts).start()
    };
    let all: Vec<Started> = (0..20).map(start).collect();
    let mut printed = Vec::new();
    for process in all {
        let (status, stdout, stderr) = process.output();
        assert!(status.success(), "{}", hidden(&stderr));
        let json: serde_json::Value = serde_json::from_str(&stdout).unwrap();
        printed.push(json["AccessKeyId"].clone());
    }
    assert!(printed.iter().all(|one| *one == printed[0]), "all have the same");
    assert_eq!(calls(&sts), 1);
}

#[test]
fn a_list_tells_whose_sessions_there_are_and_for_how_long() {
    let (home, sts) = (Home::new(), Sts::start());
    let empty = home.rolekeeper(["cache", "list"]).run().expect(0);
    assert_eq!((&*empty.stdout, &*empty.stderr), ("", "no session is stored\n"));
    let id = key_id(&process(&home, &sts, &["--role-session-name", "job"]));
    let list = home.rolekeeper(["cache", "list"]).run().expect(0);
    let lines: Vec<_> = list.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{}", list.stdout);
    assert_eq!(lines[0], "VALID FOR  ACCESS KEY            SESSION");
    assert!(lines[1].contains(&id), "{}", lines[1]);
    assert!(lines[1].ends_with("arn:aws:sts::123456789012:assumed-role/demo/job"), "{}", lines[1]);
    assert!(lines[1].trim_start().starts_with("59m ") || lines[1].contains("1h 00m"));
}

#[test]
fn what_is_cleared_is_fetched_again() {
    let (home, sts) = (Home::new(), Sts::start());
    process(&home, &sts, &[]);
    let cleared = home.rolekeeper(["cache", "clear"]).run().expect(0);
    let folder = home.path().join(".cache/rolekeeper");
    assert_eq!(cleared.stderr, format!("took 1 session out of {}\n", folder.display()));
    process(&home, &sts, &[]);
    assert_eq!(calls(&sts), 2);
}

#[test]
fn a_refusal_is_remembered_for_moments_and_forgotten_when_cleared() {
    let (home, sts) = (Home::new(), Sts::start());
    let words = ["credential-process", "--role-arn", &role("forbidden")];
    for _ in 0..2 {
        let ran = home.rolekeeper(words).at(&sts).run().expect(68);
        assert!(ran.stderr.contains("AccessDenied"), "{}", ran.stderr);
    }
    assert_eq!(sts.counts().with_result("AssumeRole", "AccessDenied"), 1);
    home.rolekeeper(["cache", "clear"]).run().expect(0);
    home.rolekeeper(words).at(&sts).run().expect(68);
    assert_eq!(sts.counts().with_result("AssumeRole", "AccessDenied"), 2);
}

#[test]
fn where_there_can_be_no_store_a_command_works_without_one() {
    let (home, sts) = (Home::new(), Sts::start());
    // A file in the place of its folder.
    home.file(".cache", "");
    let first = process(&home, &sts, &[]).stderr;
    assert!(first.contains("sessions are not shared with other commands"), "{first}");
    assert_eq!(process(&home, &sts, &["--store", "none"]).stderr, "");
    assert_eq!(calls(&sts), 2);
    let words = ["credential-process", "--store", "file", "--role-arn", &role("demo")];
    let ran = home.rolekeeper(words).at(&sts).run().expect(69);
    assert!(ran.stderr.contains("cannot make the folder"), "{}", ran.stderr);
}

#[test]
fn a_record_that_was_damaged_is_told_and_fetched_again() {
    let (home, sts) = (Home::new(), Sts::start());
    process(&home, &sts, &[]);
    let folder = home.path().join(".cache/rolekeeper");
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "session") {
            fs::write(path, "no session").unwrap();
        }
    }
    let ran = process(&home, &sts, &[]);
    assert!(ran.stderr.contains("put aside what is no session"), "{}", ran.stderr);
    assert_eq!(calls(&sts), 2);
    assert_eq!(process(&home, &sts, &[]).stderr, "");
}

#[test]
fn what_it_can_be_is_told() {
    let (home, sts) = (Home::new(), Sts::start());
    for (place, why) in [
        ("", "the store's name is empty"),
        ("SECRET", "write `file`, or redis://HOST:PORT"),
        ("redis://:SECRET@127.0.0.1:1", "a store in Redis has no key"),
    ] {
        let words = ["credential-process", "--store", place, "--role-arn", &role("demo")];
        let ran = home.rolekeeper(words).at(&sts).run().expect(64);
        assert!(ran.stderr.contains(why), "{}", ran.stderr);
        assert!(!ran.stderr.contains("SECRET"), "{}", ran.stderr);
    }
    let key = "01".repeat(32);
    let words = ["credential-process", "--role-arn", &role("demo")];
    let wrong = home.rolekeeper(words).at(&sts).env("ROLEKEEPER_STORE", "redis://:SECRET@h:x");
    let ran = wrong.env("ROLEKEEPER_STORE_KEY", &key).run().expect(64);
    assert!(ran.stderr.contains("a port is a number"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("SECRET") && !ran.stderr.contains(&key), "{}", ran.stderr);
}
