//! The rules of refreshing as data: the cases below `cases/`, run through every face. Python's
//! classes are run by `crates/python/tests/test_conformance.py`.

#![allow(clippy::unwrap_used, reason = "a test's helpers are tests too")]

mod case;
mod core;
mod face;
mod runner;
mod script;
mod shell;
mod threads;
mod words;

use crate::{case::Case, core::Core, runner::run, shell::Shell, threads::Threads};

/// So many run by each face at the least, so that it can't silently become nothing.
const LEAST: usize = 270;
/// So many a face may leave out, with a reason in the data.
const MOST_LEFT_OUT: usize = 15;

#[test]
fn the_core_keeps_the_rules() {
    run::<Core>(&runner::cases()).is_well(LEAST, MOST_LEFT_OUT);
}

#[test]
fn the_asynchronous_shell_keeps_the_rules() {
    run::<Shell>(&runner::cases()).is_well(LEAST, MOST_LEFT_OUT);
}

#[test]
fn plain_threads_keep_the_rules() {
    run::<Threads>(&runner::cases()).is_well(LEAST, MOST_LEFT_OUT);
}

// === the runner itself ===

/// What is wrong with a case that is written so.
fn wrong(case: &str) -> String {
    let case = format!("[[case]]\nname = \"so\"\npolicies = [\"on-demand\"]\n{case}");
    let cases = match Case::of_text("some.toml", &case) {
        Ok(cases) => cases,
        Err(why) => return why,
    };
    run::<Core>(&cases).wrong.join("\n")
}

#[test]
fn a_case_that_does_not_hold_is_told_with_its_file_name_and_step() {
    let rows = "rows = [{ key = \"K1\" }, { key = \"K7\" }]\n";
    let told = wrong(&format!("{rows}steps = [{{ calls = 0 }}, {{ serves = \"$key\" }}]"));
    for part in ["some.toml: so [OnDemand, key = \"K7\"]", "step 2", "K7\")", "got Served(\"K1\")"]
    {
        assert!(told.contains(part), "no {part} in: {told}");
    }
    assert!(!told.contains('\n'), "the other row holds: {told}");
}

#[test]
fn every_kind_of_expectation_can_fail() {
    for step in [
        "{ refuses = \"denied\" }",
        "{ waits = 1 }",
        "{ waiters_get = \"K1\" }",
        "{ calls = 1 }",
        "{ calls = \"at least 1\" }",
        "{ serves = \"K1\", calls = \"at most 0\" }",
        "{ serves = \"K1\", new_calls = \"2 to 3\" }",
        "{ serves = \"K1\", remaining = \"59 min\" }",
        "{ serves = \"K1\", refresh_in = \"46 min to 2 h\" }",
        "{ serves = \"K1\", rejected = true }",
        "{ last_error = \"denied\" }",
        "{ next_try = \"5 s\" }",
        "{ refresh_in = \"5 s\" }",
        "{ holds = \"K1\" }",
        "{ to = \"the next try\" }",
    ] {
        let told = wrong(&format!("steps = [{step}]"));
        assert!(told.contains("step 1") && told.contains("expected"), "{step}: {told}");
    }
}

#[test]
fn a_range_that_is_wider_than_what_is_seen_over_many_seeds_is_wrong() {
    let steps =
        "policies = [\"background\"]\nseeds = 200\nsteps = [{ serves = \"K1\", refresh_in = ";
    let case = |bounds| format!("[[case]]\nname = \"so\"\n{steps}\"{bounds}\" }}]");
    let told =
        |bounds| run::<Core>(&Case::of_text("some.toml", &case(bounds)).unwrap()).wrong.join("\n");
    assert_eq!(told("27 min to 33 min"), "");
    assert!(told("27 min to 34 min").contains("expected all of"));
    assert!(told("26 min to 33 min").contains("expected all of"));
    assert!(told("28 min to 33 min").contains("refresh in: expected"));
}

#[test]
fn what_a_case_does_not_know_is_an_error() {
    for (case, told) in [
        ("steps = [{ servs = \"K1\" }]", "unknown field `servs`"),
        ("step = []", "unknown field `step`"),
        ("steps = []\nsettings = { window = \"1 s\" }", "unknown field `window`"),
        ("steps = []\nwhy_not = { ruby = \"no\" }", "unknown variant `ruby`"),
        ("steps = []\nsource = { lives = \"1 h\", hangs = true }", "has one of"),
        ("steps = [{ pass = \"5 minutes\" }]", "no length of time"),
        ("steps = [{ to = \"the end\" }]", "no moment to go to"),
        ("steps = [{ step_wall = \"2 h\" }]", "no step"),
        ("steps = [{ serves = \"$key\" }]", "names what no row has"),
    ] {
        let why = wrong(case);
        assert!(why.contains(told), "{case}: {why}");
    }
}
