//! What is handed to the report: rows of figures, and points for its plots.

use std::{collections::BTreeMap, io};

use serde::Serialize;

use crate::measure::{median, sorted};

pub(crate) const OURS: &str = "rolekeeper";
pub(crate) const SDK: &str = "AWS SDK for Rust";
pub(crate) const OBJECT_STORE: &str = "object_store";

#[derive(Serialize)]
pub(crate) struct Document {
    part: &'static str,
    versions: BTreeMap<&'static str, String>,
    rows: Vec<Row>,
    series: Vec<Series>,
    /// Nothing: all of this part is built or nothing is.
    left_out: [(); 0],
}

/// One case, and what each contender did in it.
#[derive(Serialize)]
pub(crate) struct Row {
    section: &'static str,
    what: String,
    unit: &'static str,
    better: &'static str,
    values: BTreeMap<&'static str, Figure>,
}

/// Of several rounds.
#[derive(Serialize)]
pub(crate) struct Figure {
    median: f64,
    low: f64,
    high: f64,
    note: String,
}

/// What a contender's readers felt over time.
#[derive(Serialize)]
pub(crate) struct Series {
    pub(crate) plot: &'static str,
    pub(crate) who: &'static str,
    pub(crate) face: &'static str,
    pub(crate) group: &'static str,
    /// From when to when the source was down, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outage: Option<(f64, f64)>,
    /// Seconds, milliseconds, and 1 if it succeeded.
    pub(crate) points: Vec<(f64, f64, u8)>,
}

/// Their versions decide what is compared.
const PACKAGES: [&str; 5] =
    ["rolekeeper", "aws-smithy-runtime", "aws-config", "object_store", "tokio"];

// === impl Document ===

impl Document {
    pub(crate) fn new() -> Self {
        let versions = PACKAGES.map(|package| (package, version(package)));
        Self {
            part: "Rust libraries",
            versions: versions.into(),
            rows: Vec::new(),
            series: Vec::new(),
            left_out: [],
        }
    }

    pub(crate) fn row(
        &mut self,
        section: &'static str,
        what: impl Into<String>,
        unit: &'static str,
        values: impl IntoIterator<Item = (&'static str, Figure)>,
    ) {
        let values = values.into_iter().collect();
        self.rows.push(Row { section, what: what.into(), unit, better: "less", values });
    }

    /// Of the row that was told last; else less is better.
    pub(crate) fn more_is_better(&mut self) {
        if let Some(row) = self.rows.last_mut() {
            row.better = "more";
        }
    }

    pub(crate) fn series(&mut self, series: Series) {
        self.series.push(series);
    }

    pub(crate) fn json(&self) -> io::Result<String> {
        Ok(serde_json::to_string(self)?)
    }
}

/// As the lock file has it.
fn version(package: &str) -> String {
    let lock = include_str!("../Cargo.lock");
    let rest = lock.split_once(&format!("name = \"{package}\"\nversion = \""));
    let version = rest.and_then(|(_, rest)| rest.split_once('"'));
    version.map_or_else(|| "unknown".into(), |(version, _)| version.to_owned())
}

// === impl Figure ===

impl Figure {
    pub(crate) fn of(figures: &[f64]) -> Self {
        let sorted = sorted(figures.iter().copied());
        Self {
            median: median(figures.iter().copied()),
            low: sorted.first().copied().unwrap_or(f64::NAN),
            high: sorted.last().copied().unwrap_or(f64::NAN),
            note: String::new(),
        }
    }

    pub(crate) fn noted(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}
