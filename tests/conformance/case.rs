//! The form of a case: what is given, the steps, and what is seen after each.

use std::{collections::BTreeMap, fs, path::Path};

use rolekeeper_core::{FailureKind, RefreshPolicy};
use serde::Deserialize;
use toml::Value;

use crate::words::{Bounds, Count, Lapse, NextTry, Span, Target, WallStep};

/// One case, for one of its rows. What the fields mean is written for people in `cases/README.md`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) policies: Vec<Preset>,
    #[serde(default)]
    pub(crate) settings: Settings,
    #[serde(default)]
    pub(crate) source: Behaviour,
    /// So many draws of each random number.
    pub(crate) seeds: Option<u64>,
    /// Faces that it says nothing of, each with the reason.
    #[serde(default)]
    pub(crate) why_not: BTreeMap<FaceName, String>,
    pub(crate) steps: Vec<Step>,
    #[serde(skip)]
    pub(crate) file: String,
    /// The row's values, for messages.
    #[serde(skip)]
    pub(crate) row: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FaceName {
    Core,
    Async,
    Threads,
    Python,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Preset {
    Background,
    OnDemand,
    SdkStandard,
}

/// What is changed of a preset.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    advisory: Option<Span>,
    mandatory: Option<Span>,
    attempt_timeout: Option<Span>,
    read_deadline: Option<Span>,
    idle_after: Option<Span>,
    #[serde(default)]
    serve_expired: bool,
}

/// What the source does when it is asked.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "RawBehaviour")]
pub(crate) enum Behaviour {
    Session {
        lives: Span,
        /// The key of the session before.
        same_key: bool,
    },
    Fails {
        kind: Kind,
        retry_after: Option<Span>,
        /// With the time by its clock.
        tells_time: bool,
    },
    /// The call comes back when the source is told something else, which is what it then does.
    Hangs,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBehaviour {
    lives: Option<Span>,
    #[serde(default)]
    same_key: bool,
    fails: Option<Kind>,
    retry_after: Option<Span>,
    #[serde(default)]
    tells_time: bool,
    #[serde(default)]
    hangs: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Unavailable,
    Denied,
    NeedsPerson,
    Misconfigured,
    BadAnswer,
}

/// First time passes, then the world changes, then readers come; then it is looked at.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    pub(crate) repeat: Option<u64>,

    pub(crate) pass: Option<Lapse>,
    pub(crate) to: Option<Target>,
    pub(crate) sleep: Option<Span>,
    pub(crate) pause: Option<Span>,
    pub(crate) step_wall: Option<WallStep>,

    pub(crate) source: Option<Behaviour>,
    pub(crate) reject: Option<String>,

    pub(crate) serves: Option<String>,
    pub(crate) refuses: Option<Kind>,
    pub(crate) waits: Option<u64>,
    pub(crate) reads: Option<u64>,
    pub(crate) waiters_get: Option<String>,
    pub(crate) waiters_refused: Option<Kind>,

    pub(crate) calls: Option<Bounds<Count>>,
    pub(crate) new_calls: Option<Bounds<Count>>,
    pub(crate) next_try: Option<NextTry>,
    pub(crate) refresh_in: Option<Bounds<Span>>,
    pub(crate) remaining: Option<Bounds<Span>>,
    pub(crate) holds: Option<String>,
    pub(crate) last_error: Option<String>,
    pub(crate) rejected: Option<bool>,
}

// === impl Case ===

impl Case {
    /// All cases of a file, each once for each of its rows.
    pub(crate) fn of_file(path: &Path) -> Result<Vec<Self>, String> {
        let file = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into());
        let text = fs::read_to_string(path).map_err(|error| format!("{file}: {error}"))?;
        Self::of_text(&file, &text)
    }

    pub(crate) fn of_text(file: &str, text: &str) -> Result<Vec<Self>, String> {
        let mut table: toml::Table = text.parse().map_err(|error| format!("{file}: {error}"))?;
        let Some(Value::Array(cases)) = table.remove("case") else {
            return Err(format!("{file}: no [[case]]"));
        };
        if let Some(unknown) = table.keys().next() {
            return Err(format!("{file}: unknown key `{unknown}`"));
        }
        let rows: Result<Vec<_>, _> =
            cases.into_iter().map(|case| Self::rows(file, case)).collect();
        Ok(rows?.into_iter().flatten().collect())
    }

    fn rows(file: &str, mut case: Value) -> Result<Vec<Self>, String> {
        let name = case.get("name").and_then(Value::as_str).unwrap_or("without a name").to_owned();
        let rows = match case.as_table_mut().and_then(|case| case.remove("rows")) {
            Some(Value::Array(rows)) if !rows.is_empty() => rows,
            None => vec![Value::Table(toml::Table::new())],
            Some(_) => return Err(format!("{file}: {name}: rows are a list of tables")),
        };
        let one = |row: Value| {
            let wrong = |what: &dyn std::fmt::Display| format!("{file}: {name}: {what}");
            let Value::Table(row) = row else { return Err(wrong(&"a row is a table")) };
            let filled = fill(case.clone(), &row).map_err(|what| wrong(&what))?;
            let mut case: Self = filled.try_into().map_err(|error| wrong(&error))?;
            file.clone_into(&mut case.file);
            let told = row.iter().map(|(name, value)| format!("{name} = {value}"));
            case.row = told.collect::<Vec<_>>().join(", ");
            Ok(case)
        };
        rows.into_iter().map(one).collect()
    }
}

/// Puts a row's values where the case has their names: `$window`, alone or in a text.
fn fill(value: Value, row: &toml::Table) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => {
            if let Some(whole) = text.strip_prefix('$').and_then(|name| row.get(name)) {
                return Ok(whole.clone());
            }
            // Longest first: `$windows` is not `$window` with an s.
            let mut names: Vec<_> = row.iter().collect();
            names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
            let filled = names.into_iter().fold(text, |text, (name, value)| {
                let told = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                text.replace(&format!("${name}"), &told)
            });
            match filled.contains('$') {
                true => return Err(format!("`{filled}` names what no row has")),
                false => Value::String(filled),
            }
        }
        Value::Array(values) => Value::Array(
            values.into_iter().map(|value| fill(value, row)).collect::<Result<_, _>>()?,
        ),
        Value::Table(table) => {
            let filled = table.into_iter().map(|(name, value)| Ok((name, fill(value, row)?)));
            Value::Table(filled.collect::<Result<_, String>>()?)
        }
        other => other,
    })
}

// === impl Preset ===

impl Preset {
    pub(crate) fn with(self, settings: Settings) -> RefreshPolicy {
        let mut policy = match self {
            Self::Background => RefreshPolicy::default(),
            Self::OnDemand => RefreshPolicy::on_demand(),
            Self::SdkStandard => RefreshPolicy::sdk_standard(),
        };
        policy = policy.with_serve_expired(settings.serve_expired);
        if let Some(Span(window)) = settings.advisory {
            policy = policy.with_advisory_window(window);
        }
        if let Some(Span(window)) = settings.mandatory {
            policy = policy.with_mandatory_window(window);
        }
        if let Some(Span(limit)) = settings.attempt_timeout {
            policy = policy.with_attempt_timeout(limit);
        }
        if let Some(Span(deadline)) = settings.read_deadline {
            policy = policy.with_read_deadline(deadline);
        }
        if let Some(Span(idle)) = settings.idle_after {
            policy = policy.with_idle_after(idle);
        }
        policy
    }
}

// === impl Behaviour ===

impl Default for Behaviour {
    /// Sessions of an hour.
    fn default() -> Self {
        Self::Session { lives: Span(std::time::Duration::from_secs(3600)), same_key: false }
    }
}

impl TryFrom<RawBehaviour> for Behaviour {
    type Error = &'static str;

    fn try_from(raw: RawBehaviour) -> Result<Self, Self::Error> {
        let RawBehaviour { lives, same_key, fails, retry_after, tells_time, hangs } = raw;
        let of_failures = retry_after.is_some() || tells_time;
        match (lives, fails, hangs) {
            (Some(lives), None, false) if !of_failures => Ok(Self::Session { lives, same_key }),
            (None, Some(kind), false) if !same_key => {
                Ok(Self::Fails { kind, retry_after, tells_time })
            }
            (None, None, true) if !of_failures && !same_key => Ok(Self::Hangs),
            _ => Err("a source has one of `lives`, `fails` and `hangs`, with what goes with it"),
        }
    }
}

// === impl Kind ===

impl From<Kind> for FailureKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Unavailable => Self::Unavailable,
            Kind::Denied => Self::Denied,
            Kind::NeedsPerson => Self::NeedsPerson,
            Kind::Misconfigured => Self::Misconfigured,
            Kind::BadAnswer => Self::BadAnswer,
        }
    }
}
