//! Disks on which nothing can be stored: a command has its session all the same, and says why.

use crate::support::{Home, Ran, Sts, role};

fn process(home: &Home, sts: &Sts, options: &str) -> Ran {
    let words = ["credential-process", "--role-arn", &role("demo")];
    home.rolekeeper(words).at(sts).that_shows_secrets().with_cache_on_a_disk(options).run()
}

#[track_caller]
fn assert_served_with(ran: &Ran, warning: &str) {
    assert!(ran.json()["AccessKeyId"].is_string());
    assert!(ran.stderr.contains(warning), "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("warning: ").count(), 1, "{}", ran.stderr);
}

#[test]
#[ignore = "needs root: `cargo xtask test disks`"]
fn on_a_disk_that_is_full_a_session_is_served_and_it_is_told_once() {
    let (home, sts) = (Home::new(), Sts::start());
    // Room for the lease, and for nothing more.
    let ran = process(&home, &sts, "size=4k").expect(0);
    assert_served_with(&ran, "No space left on device");
    // Folders need room of their own on some systems; names don't, here.
    let ran = process(&home, &sts, "nr_inodes=2").expect(0);
    assert_served_with(&ran, "No space left on device");
}

#[test]
#[ignore = "needs root: `cargo xtask test disks`"]
fn on_a_disk_that_is_read_only_a_session_is_served_and_it_is_told_once() {
    let (home, sts) = (Home::new(), Sts::start());
    let ran = process(&home, &sts, "ro").expect(0);
    assert_served_with(&ran, "Read-only file system");
}
