//! The figures for people, in 80 columns.

use std::ops::Range;

use super::{
    QUOTA, Run,
    day::{Day, Scenario},
    figures::{Figures, busiest_hour, peak, seconds_above, sum},
    reads, retries,
    rule::Rule,
    sts,
    time::{HOUR, MILLISECOND, MINUTE, Micros, SECOND, length},
};
use crate::output::{COLUMNS, wrapped};

/// What is assumed, and how to read the rest.
pub(super) fn head(day: &Day) -> Vec<String> {
    let (least, most) = (sts::TAKES.start / MILLISECOND, sts::TAKES.end / MILLISECOND);
    let text = [
        format!(
            "{} workers need one role, with sessions of {}. rolekeeper is its own core in virtual \
             time, and so is the rule that the SDKs converge on, which is a preset of it; botocore \
             is a model of its rule.",
            grouped(day.workers.into()),
            duration(length(day.session)),
        ),
        format!(
            "Each worker reads its credentials every {} s. Without rolekeeper it refreshes with \
             such a read, and its SDK calls STS up to {} times for it. A read counts as failed if \
             it gets no session that is valid, be it after such calls.",
            reads::EVERY / SECOND,
            retries::TRIES,
        ),
        format!(
            "STS answers within {least} to {most} ms, and answers all, unless it says otherwise \
             below. Its quota for an account and Region is {QUOTA} calls a second: `above` counts \
             the seconds with more. Clocks are right, no message is lost, nobody else calls STS. \
             Seed {}.",
            day.seed,
        ),
    ];
    let mut lines = Vec::new();
    for paragraph in text {
        lines.extend(wrapped(&paragraph, COLUMNS));
        lines.push(String::new());
    }
    lines.push(row("", ["calls", "busiest", "calls", "seconds", "reads", "store"]));
    lines.push(row("", ["peak/s", "hour", "in all", "above", "failed", "peak/s"]));
    lines
}

/// A part of the table for each scenario that the day was long enough for, and one for all of a day
/// that held several.
pub(super) fn sections(run: &Run) -> Vec<String> {
    let whole = 0..run.day.end;
    let mut lines = Vec::new();
    for scenario in &run.scenarios {
        let window = scenario.window();
        if window.start < whole.end {
            let window = window.start..window.end.min(whole.end);
            lines.extend(section(&title(run, *scenario), &window, run));
        }
    }
    if run.scenarios.len() > 1 {
        lines.extend(section("all of it", &whole, run));
    }
    lines
}

fn title(run: &Run, scenario: Scenario) -> String {
    let failed_over = run.figures.iter().find_map(|(_, figures)| figures.failed_over);
    match (scenario, failed_over) {
        (Scenario::FailOver, None) => {
            "no session was saved after hour 9: the store didn't fail over".to_owned()
        }
        (Scenario::FailOver, Some(at)) => {
            format!("{}, at {}", scenario.title(), clock(at))
        }
        _ => scenario.title().to_owned(),
    }
}

fn section(title: &str, window: &Range<Micros>, run: &Run) -> Vec<String> {
    let span = format!("{} to {}  ", clock(window.start), clock(window.end));
    let mut lines = vec![String::new()];
    for (place, line) in wrapped(title, COLUMNS - span.len()).into_iter().enumerate() {
        let before = if place == 0 { span.as_str() } else { "" };
        lines.push(format!("{before:<width$}{line}", width = span.len()));
    }
    lines.extend(run.figures.iter().map(|(rule, figures)| figures_of(*rule, figures, window)));
    lines
}

fn figures_of(rule: Rule, figures: &Figures, window: &Range<Micros>) -> String {
    let calls = figures.calls.of(window);
    let store = match rule {
        Rule::Shared => grouped(peak(figures.store.of(window))),
        Rule::Alone | Rule::Sdks | Rule::Botocore => "-".to_owned(),
    };
    let [most, hour, all, above, failed] = [
        peak(calls),
        busiest_hour(calls),
        sum(calls),
        seconds_above(calls, QUOTA),
        sum(figures.without.of(window)),
    ]
    .map(grouped);
    row(rule.name(), [&most, &hour, &all, &above, &failed, &store])
}

fn row(name: &str, [most, hour, all, above, failed, store]: [&str; 6]) -> String {
    format!("{name:<19}{most:>9}{hour:>13}{all:>12}{above:>8}{failed:>11}{store:>8}")
}

/// `1,234,567`
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `9:02`
pub(super) fn clock(at: Micros) -> String {
    format!("{}:{:02}", at / HOUR, at % HOUR / MINUTE)
}

/// `1 h`, `15 min`, `1000 s`
pub(super) fn duration(length: Micros) -> String {
    if length.is_multiple_of(HOUR) {
        format!("{} h", length / HOUR)
    } else if length.is_multiple_of(MINUTE) {
        format!("{} min", length / MINUTE)
    } else {
        format!("{} s", length / SECOND)
    }
}
