//! `rolekeeper simulate`: a day of a fleet in virtual time. The real lifecycle and the real
//! protocol between up to a million workers; beside them the same workers by the rules of others.

mod alone;
mod botocore;
mod chance;
mod day;
mod figures;
mod fleet;
mod keeper;
mod on_demand;
mod plot;
mod queue;
mod reads;
mod retries;
mod rule;
mod shared;
mod store;
mod sts;
mod table;
#[cfg(test)]
mod tests;
mod time;

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    exit::{Status, Trouble},
    output::Printer,
    values,
};
use day::{Day, Scenario};
use figures::Figures;
use rule::Rule;
use time::{HOUR, Micros};

/// What STS allows an account and Region: signed requests a second. It can't be raised.
const QUOTA: u32 = 600;

/// What STS gives, for as long as a role may allow.
const SHORTEST: Duration = Duration::from_mins(15);
const LONGEST: Duration = Duration::from_hours(12);

#[derive(clap::Args)]
#[command(after_help = "\
A million workers take several minutes and about a gigabyte.

Examples:
  rolekeeper simulate --workers 10000
  rolekeeper simulate --workers 10000 --session 15m --only outage
  rolekeeper simulate --svg day.svg")]
pub(crate) struct Arguments {
    /// How many workers need the same role
    #[arg(long, value_name = "N", default_value_t = 1_000_000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    workers: u32,

    /// How many hours to simulate
    #[arg(long, value_name = "H", default_value_t = 24,
        value_parser = clap::value_parser!(u8).range(1..=48))]
    hours: u8,

    /// How long a session lives: 900, 15m, 1h, up to 12h
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = session)]
    session: Duration,

    /// The same seed, the same day
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Only what this scenario brings
    #[arg(long, value_name = "SCENARIO")]
    only: Option<Scenario>,

    /// Draw the calls of STS over the day into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// One day, by each of the rules.
struct Run {
    day: Day,
    scenarios: Vec<Scenario>,
    figures: Vec<(Rule, Figures)>,
}

pub(crate) fn run(arguments: &Arguments, printer: &Printer) -> Result<Status, Trouble> {
    let end = Micros::from(arguments.hours) * HOUR;
    if let Some(scenario) = arguments.only.filter(|scenario| scenario.window().start >= end) {
        let hour = scenario.window().start / HOUR;
        return Err(Trouble::usage(format!(
            "the scenario begins at hour {hour}, and no more than {} hours are simulated",
            arguments.hours
        )));
    }
    // Not found out only after minutes.
    let svg = match &arguments.svg {
        Some(path) => Some((path, create(path)?)),
        None => None,
    };
    let calm = Day::calm(arguments.workers, end, arguments.session, arguments.seed);
    for line in table::head(&calm) {
        printer.line(line);
    }
    let mut drawn = None;
    for (day, scenarios) in days(&calm, arguments.only) {
        let figures = Rule::ALL.map(|rule| (rule, by(rule, &day, printer))).into();
        let run = Run { day, scenarios, figures };
        for line in table::sections(&run) {
            printer.line(line);
        }
        drawn.get_or_insert(run);
    }
    if let Some(((path, mut file), run)) = svg.zip(drawn) {
        file.write_all(plot::svg(&run).as_bytes()).map_err(|error| cannot_write(path, error))?;
    }
    Ok(Status::OK)
}

/// One day holds all that leaves STS as it is; what changes how it answers has a day of its own.
fn days(calm: &Day, only: Option<Scenario>) -> Vec<(Day, Vec<Scenario>)> {
    let scenarios = match only {
        Some(scenario) => vec![vec![scenario]],
        None => vec![Scenario::OF_A_DAY.to_vec(), vec![Scenario::Throttle]],
    };
    let with = |scenarios: Vec<Scenario>| {
        (scenarios.iter().fold(calm.clone(), |day, scenario| day.with(*scenario)), scenarios)
    };
    scenarios.into_iter().map(with).collect()
}

fn by(rule: Rule, day: &Day, printer: &Printer) -> Figures {
    let mut tell = |percent: u64| {
        if printer.is_watched() {
            printer.live(format_args!("\r{:<20}{percent:>3} %", rule.name()));
        }
    };
    let figures = rule.run(day, &mut tell);
    if printer.is_watched() {
        printer.live(format_args!("\r{:<40}\r", ""));
    }
    figures
}

fn create(path: &Path) -> Result<File, Trouble> {
    File::create(path).map_err(|error| cannot_write(path, error))
}

fn cannot_write(path: &Path, error: std::io::Error) -> Trouble {
    Trouble::system(format_args!("cannot write {}", path.display()), error)
}

fn session(text: &str) -> Result<Duration, String> {
    let session = values::duration(text)?;
    if (SHORTEST..=LONGEST).contains(&session) {
        Ok(session)
    } else {
        Err("STS gives sessions of 15m to 12h".to_owned())
    }
}
