use std::time::Duration;

use super::{
    Run,
    chance::Chance,
    day::{Day, Scenario},
    figures::{Figures, busiest_hour, peak, sum},
    plot, reads,
    rule::Rule,
    table::{grouped, sections},
    time::{HOUR, MINUTE, SECOND},
};

const SESSION: Duration = Duration::from_hours(1);

/// A hundred workers for twelve hours: long enough for all that befalls them.
fn hundred() -> Day {
    Day::calm(100, 12 * HOUR, SESSION, 1)
}

fn run(day: &Day, rule: Rule) -> Figures {
    rule.run(day, &mut |_| ())
}

fn calls(figures: &Figures) -> u64 {
    sum(figures.calls.all())
}

#[test]
fn with_a_store_there_is_a_call_for_each_session_of_them_all() {
    let figures = run(&hundred().with(Scenario::Deploy), Rule::Shared);
    assert_eq!(figures.calls, figures.sessions);
    // The first of a hundred refreshes at 45 % of a session's life; half a life is the mean.
    assert!((24..=27).contains(&calls(&figures)), "{} calls", calls(&figures));
    assert_eq!(peak(figures.calls.all()), 1);
    assert_eq!(sum(figures.without.all()), 0);
}

#[test]
fn however_long_sessions_live_there_is_a_call_for_each() {
    for minutes in [15, 20, 21, 33, 60, 90, 720] {
        let day = Day { workers: 30, session: Duration::from_mins(minutes), ..hundred() };
        let figures = run(&day.with(Scenario::Deploy), Rule::Shared);
        assert_eq!(figures.calls, figures.sessions, "{minutes} min");
        // At the earliest each fifth of a life: a quiet time is over by then.
        assert!(calls(&figures) <= 1 + 5 * 720 / minutes, "{minutes} min");
        assert_eq!(sum(figures.without.all()), 0, "{minutes} min");
    }
}

#[test]
fn by_the_other_rules_each_worker_makes_calls_of_its_own() {
    // Each 45 minutes on demand, each half an hour in the background.
    for (rule, each) in [(Rule::Alone, 24..=26), (Rule::Sdks, 16..=16), (Rule::Botocore, 16..=16)] {
        let figures = run(&hundred(), rule);
        assert!(each.contains(&(calls(&figures) / 100)), "{rule:?}: {} calls", calls(&figures));
        assert_eq!(sum(figures.without.all()), 0, "{rule:?}");
    }
}

#[test]
fn with_a_store_an_outage_costs_a_call_a_second_at_most() {
    for seed in 0..5 {
        let day = Day { seed, outage: Some(HOUR..2 * HOUR), ..hundred() };
        let figures = run(&day, Rule::Shared);
        let failed = calls(&figures) - sum(figures.sessions.all());
        assert_eq!(peak(figures.calls.all()), 1, "seed {seed}");
        assert!((60..=3600).contains(&failed), "seed {seed}: {failed} calls failed");
    }
}

#[test]
fn nobody_is_without_a_session_that_outlasts_the_outage() {
    for rule in [Rule::Shared, Rule::Alone] {
        let figures = run(&hundred().with(Scenario::Outage), rule);
        assert_eq!(sum(figures.without.all()), 0, "{rule:?}");
    }
}

#[test]
fn reads_are_without_from_the_end_of_a_session_to_the_end_of_a_long_outage() {
    for rule in Rule::ALL {
        let day = Day { outage: Some(2 * HOUR..6 * HOUR), ..hundred() };
        let figures = run(&day, rule);
        // Sessions last into the outage, by as much as is left when a rule refreshes. botocore
        // refuses ten minutes before the end.
        let (least, most) = (3 * HOUR - 10 * MINUTE, 4 * HOUR);
        let (least, most) = (100 * least / reads::EVERY, 100 * most / reads::EVERY);
        let without = sum(figures.without.all());
        assert!((least..=most).contains(&without), "{rule:?}: {without} reads");
        // Those that come when it is over find it out soon: the SDKs' rule waits for ten minutes.
        let late = figures.without.of(&(6 * HOUR + 11 * MINUTE..day.end));
        assert_eq!(sum(late), 0, "{rule:?}");
        assert_eq!(sum(figures.without.of(&(0..2 * HOUR))), 0, "{rule:?}");
    }
}

#[test]
fn a_store_that_fails_over_costs_those_who_refresh_meanwhile_a_call_each() {
    let figures = run(&hundred().with(Scenario::FailOver), Rule::Shared);
    let at = figures.failed_over.unwrap();
    let meanwhile = sum(figures.calls.of(&(at..at + MINUTE)));
    // 30 s of the six minutes in which all refresh.
    assert!((1..=20).contains(&meanwhile), "{meanwhile} calls");
    assert!(calls(&figures) < 60);
    assert_eq!(sum(figures.without.all()), 0);
}

#[test]
fn an_sts_that_throttles_gives_no_more_than_its_quota() {
    for rule in Rule::ALL {
        let day = Day { quota: Some(1), end: 2 * HOUR, ..hundred() };
        let figures = run(&day, rule);
        assert_eq!(peak(figures.sessions.all()), 1, "{rule:?}");
        let has_failed = sum(figures.without.all()) > 0;
        assert_eq!(has_failed, rule != Rule::Shared, "{rule:?}");
    }
}

#[test]
fn one_by_one_as_many_calls_are_made_as_in_the_order_of_time() {
    for rule in Rule::ALL {
        let one_by_one = run(&hundred().with(Scenario::Outage), rule);
        // A quota that nobody reaches asks for the order.
        let day = Day { quota: Some(u32::MAX), ..hundred().with(Scenario::Outage) };
        let (a, b) = (calls(&one_by_one), calls(&run(&day, rule)));
        assert!(a.abs_diff(b) <= a / 20, "{rule:?}: {a} and {b} calls");
    }
}

#[test]
fn the_same_seed_makes_the_same_day() {
    let all = |seed| {
        let day = Scenario::OF_A_DAY.into_iter().fold(hundred(), Day::with);
        Rule::ALL.map(|rule| run(&Day { seed, workers: 20, ..day.clone() }, rule))
    };
    assert_eq!(all(7), all(7));
    assert_ne!(all(7), all(8));
}

#[test]
fn a_tenth_is_replaced_every_ten_minutes_for_two_hours() {
    let day = hundred().with(Scenario::Deploy);
    let mut chance = Chance::new(1);
    let starts: Vec<_> = (0..100).flat_map(|place| day.starts(place, &mut chance)).collect();
    assert_eq!(starts.len(), 100 + 12 * 10);
    assert!(starts.iter().all(|at| *at < MINUTE || (3 * HOUR..5 * HOUR).contains(at)));
}

#[test]
fn the_busiest_hour_need_not_begin_with_an_hour() {
    let mut counts = vec![0; 3 * 3600];
    counts[3599] = 5;
    counts[3600] = 7;
    counts[7199] = 1;
    assert_eq!(busiest_hour(&counts), 12);
    counts[7198] = 1;
    assert_eq!(busiest_hour(&counts), 13);
}

#[test]
fn reads_come_evenly_from_a_workers_first_moment_on() {
    assert_eq!(reads::next(5, 0), 5);
    assert_eq!(reads::next(5, 5), 5);
    assert_eq!(reads::next(5, 6), 5 + reads::EVERY);
}

#[test]
fn digits_stand_in_threes() {
    for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
        assert_eq!(grouped(number), text);
    }
}

#[test]
fn figures_of_a_million_keep_their_columns_and_are_drawn() {
    let day = Day { end: HOUR, ..hundred() };
    let mut figures = Figures::new(day.end);
    for second in 0..3600 {
        (0..200_u32).for_each(|_| figures.calls.add(second * SECOND));
    }
    let figures = Rule::ALL.map(|rule| (rule, figures.clone())).into();
    let run = Run { day, scenarios: vec![Scenario::Start], figures };
    assert!(sections(&run).iter().all(|line| line.len() <= 80));
    let svg = plot::svg(&run);
    assert_eq!(svg.matches("<path").count(), Rule::ALL.len());
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n") && !svg.contains("NaN"));
}
