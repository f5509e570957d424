//! What was found, and how it is told.

use rolekeeper::Failure;
use serde_json::json;

use crate::{
    exit::{self, Status},
    output::{BAD, COLUMNS, FAINT, GOOD, Printer, styled, wrapped},
};

/// In columns: what the verdict and the subject take.
const MARGIN: usize = 23;

#[derive(Default)]
pub(super) struct Findings(Vec<Finding>);

struct Finding {
    subject: &'static str,
    verdict: Verdict,
    message: String,
    hint: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Good,
    WorthAWord,
    Bad(Status),
}

impl Findings {
    pub(super) fn good(&mut self, subject: &'static str, message: String) {
        self.0.push(Finding { subject, verdict: Verdict::Good, message, hint: None });
    }

    pub(super) fn worth_a_word(&mut self, subject: &'static str, message: String, hint: &str) {
        let hint = Some(hint.to_owned());
        self.0.push(Finding { subject, verdict: Verdict::WorthAWord, message, hint });
    }

    pub(super) fn bad(&mut self, subject: &'static str, failure: &Failure) {
        self.0.push(Finding {
            subject,
            verdict: Verdict::Bad(Status::of_kind(failure.kind)),
            message: exit::one_line(failure),
            hint: exit::hint(failure),
        });
    }

    /// That of the first thing that doesn't work.
    pub(super) fn status(&self) -> Status {
        let bad = self.0.iter().find_map(|finding| match finding.verdict {
            Verdict::Bad(status) => Some(status),
            Verdict::Good | Verdict::WorthAWord => None,
        });
        bad.unwrap_or(Status::OK)
    }

    pub(super) fn print(&self, as_json: bool, printer: &Printer) {
        if as_json {
            let all: Vec<_> = self.0.iter().map(Finding::to_json).collect();
            printer.line(json!(all));
            return;
        }
        for Finding { subject, verdict, message, hint } in &self.0 {
            let mark = match verdict {
                Verdict::Good => styled(GOOD, "ok   "),
                Verdict::WorthAWord => styled(anstyle::AnsiColor::Yellow.on_default(), "note "),
                Verdict::Bad(_) => styled(BAD, "wrong"),
            };
            let mut margin = format!("{mark} {subject:<16} ");
            for line in wrapped(message, COLUMNS - MARGIN) {
                printer.line(format_args!("{margin}{line}"));
                margin = " ".repeat(MARGIN);
            }
            let hint =
                hint.as_ref().map(|hint| wrapped(&format!("hint: {hint}"), COLUMNS - MARGIN));
            for line in hint.into_iter().flatten() {
                printer.line(format_args!("{margin}{}", styled(FAINT, line)));
            }
        }
    }
}

impl Finding {
    fn to_json(&self) -> serde_json::Value {
        let verdict = match self.verdict {
            Verdict::Good => "ok",
            Verdict::WorthAWord => "note",
            Verdict::Bad(_) => "wrong",
        };
        json!({
            "subject": self.subject,
            "verdict": verdict,
            "message": self.message,
            "hint": self.hint,
        })
    }
}
