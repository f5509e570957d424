//! What the person at the terminal sees: a line for each side, drawn over and over, and what
//! happens above them.

use std::time::Duration;

use rolekeeper::{Clock, RefreshableCredentials, Session};

use super::work::Side;
use crate::output::{BAD, FAINT, GOOD, Printer, styled};

/// In columns; a whole line fits into 80.
const BAR: usize = 20;

pub(super) struct Display<'a> {
    printer: &'a Printer,
    credentials: RefreshableCredentials,
    clock: Clock,
    drawn: bool,
}

impl<'a> Display<'a> {
    pub(super) fn new(
        printer: &'a Printer,
        credentials: RefreshableCredentials,
        clock: Clock,
    ) -> Self {
        Self { printer, credentials, clock, drawn: false }
    }

    /// Draws both lines over the ones before.
    pub(super) fn draw(&mut self, passed: Duration, [ours, theirs]: [&Side; 2]) {
        if !self.printer.is_watched() {
            return;
        }
        self.wipe();
        let seconds = passed.as_secs_f64();
        self.printer.live(format_args!(
            "{}\n{}\n{seconds:5.1} s ",
            self.line("rolekeeper", ours),
            self.line("fetched once", theirs),
        ));
        self.drawn = true;
    }

    /// A line that stays.
    pub(super) fn tell(&mut self, passed: Duration, what: &str, sides: [&Side; 2]) {
        self.wipe();
        let [ours, theirs] = sides.map(|side| (side.served(), side.failed()));
        self.printer.note(format_args!("{:5.1} s  {what}", passed.as_secs_f64()));
        if !self.printer.is_watched() {
            self.printer.note(format_args!(
                "         served {} and {}, failed {} and {}; session {}",
                ours.0,
                theirs.0,
                ours.1,
                theirs.1,
                self.credentials.status().generation,
            ));
        }
        self.draw(passed, sides);
    }

    /// Leaves the summary a clean place.
    pub(super) fn end(&mut self) {
        if self.drawn {
            self.printer.live("\n\n");
        } else {
            self.printer.note("");
        }
    }

    fn wipe(&mut self) {
        if self.drawn {
            // To the line's start, two lines up, and clear from there.
            self.printer.live("\r\x1b[2A\x1b[J");
            self.drawn = false;
        }
    }

    fn line(&self, name: &str, side: &Side) -> String {
        let failed = side.failed();
        let style = if failed == 0 { GOOD } else { BAD };
        let served = format!("{:>6} served", side.served());
        let failed = styled(style, format_args!("{failed:>6} failed"));
        format!("{name:<12} {} {served} {failed}", self.bar(side.session().as_deref()))
    }

    /// `#3 ████████░░░░ 4.2 s`
    fn bar(&self, session: Option<&Session>) -> String {
        let Some(session) = session else {
            return format!("    {} {:>6}", "░".repeat(BAR), "none");
        };
        let remaining = session.remaining(self.clock.now());
        let share = remaining.as_secs_f64() / session.lifetime().as_secs_f64().max(f64::EPSILON);
        let full = ((share * BAR as f64).ceil() as usize).min(BAR);
        let (left, gone) = ("█".repeat(full), "░".repeat(BAR - full));
        let time = if remaining.is_zero() {
            styled(BAD, format_args!("{:>6}", "over"))
        } else {
            format!("{:4.1} s", remaining.as_secs_f64())
        };
        format!("#{:<2} {left}{} {time}", session.generation(), styled(FAINT, gone))
    }
}
