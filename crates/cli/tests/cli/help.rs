//! What each verb says of itself, on a terminal of 80 columns.

use crate::support::Home;

const VERBS: [&str; 13] = [
    "exec",
    "serve",
    "status",
    "write",
    "credential-process",
    "export",
    "whoami",
    "doctor",
    "demo",
    "cache",
    "sandbox",
    "simulate",
    "completions",
];

#[test]
fn the_program_lists_its_verbs_and_its_exit_statuses() {
    let ran = Home::new().rolekeeper(["--help"]).run().expect(0);
    insta::assert_snapshot!("rolekeeper", ran.transcript());
}

#[test]
fn every_verb_has_a_page() {
    for verb in VERBS {
        let ran = Home::new().rolekeeper([verb, "--help"]).run().expect(0);
        insta::assert_snapshot!(verb, ran.transcript());
    }
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for verb in [""].iter().chain(&VERBS) {
        let words = [*verb, "--help"].into_iter().filter(|word| !word.is_empty());
        let page = Home::new().rolekeeper(words).run().expect(0).stdout;
        for line in page.lines() {
            assert!(line.chars().count() <= 80, "{verb}: {line}");
        }
    }
}

#[test]
fn the_version_is_the_packages() {
    for arguments in [&["--version"][..], &["-V"], &["exec", "--version"]] {
        let ran = Home::new().rolekeeper(arguments).run().expect(0);
        assert!(ran.stdout.trim_end().ends_with(env!("CARGO_PKG_VERSION")), "{}", ran.stdout);
        assert!(ran.stdout.starts_with("rolekeeper"), "{}", ran.stdout);
    }
}

#[test]
fn without_a_verb_the_help_is_shown_as_wrong_use() {
    let ran = Home::new().rolekeeper([""; 0]).run().expect(64);
    assert!(ran.stderr.contains("Usage: rolekeeper"), "{}", ran.stderr);
}
