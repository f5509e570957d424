//! `rolekeeper simulate`: a small fleet's day, the same in each run.

use crate::support::Home;

#[test]
fn a_day_is_told_in_80_columns_and_drawn() {
    let home = Home::new();
    let run = || {
        home.rolekeeper(["simulate", "--workers", "100", "--hours", "12", "--svg", "day.svg"])
            .run()
            .expect(0)
    };
    let ran = run();
    assert!(ran.stdout.lines().all(|line| line.len() <= 80), "{}", ran.stdout);
    assert_eq!(ran.stderr, "", "nobody watches");
    let drawn = || std::fs::read_to_string(home.path().join("day.svg")).unwrap();
    let first = drawn();
    assert!(first.contains("100 workers"), "{first}");
    insta::assert_snapshot!(ran.transcript());
    let again = run();
    assert_eq!((again.stdout, drawn()), (ran.stdout, first), "the same seed, the same day");
}

#[test]
fn one_scenario_is_told_alone() {
    let words =
        ["simulate", "--workers", "50", "--session", "15m", "--only", "outage", "--hours", "8"];
    let ran = Home::new().rolekeeper(words).run().expect(0);
    insta::assert_snapshot!(ran.transcript());
}

#[test]
fn what_cannot_be_simulated_is_told_with_its_limit() {
    let home = Home::new();
    let told = [
        ["--workers", "0"],
        ["--workers", "1000001"],
        ["--hours", "49"],
        ["--session", "10m"],
        ["--session", "13h"],
        ["--session", "soon"],
        ["--only", "lunch"],
    ]
    .map(|[option, value]| {
        home.rolekeeper(["simulate", option, value]).run().expect(64).transcript()
    });
    insta::assert_snapshot!(told.join("\n"));
    let words = ["simulate", "--only", "outage", "--hours", "6"];
    let ran = home.rolekeeper(words).run().expect(64);
    assert_eq!(ran.stdout, "");
    let told = "error: the scenario begins at hour 6, and no more than 6 hours are simulated\n";
    assert!(ran.stderr.starts_with(told), "{}", ran.stderr);
}

#[test]
fn a_file_that_cannot_be_written_is_told_at_once() {
    let ran = Home::new().rolekeeper(["simulate", "--svg", "/nowhere/day.svg"]).run().expect(70);
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.starts_with("error: cannot write /nowhere/day.svg: "), "{}", ran.stderr);
}
