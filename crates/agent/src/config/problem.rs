//! What is wrong with a configuration, and where: file, line, key, value, and what to do.

use std::{collections::HashMap, fmt, path::Path, sync::Arc};

/// One thing that is wrong. Whoever wrote the configuration can mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The file, if it stands in one.
    pub file: Option<Arc<Path>>,
    /// Its line, counted from 1.
    pub line: Option<usize>,
    /// The key, with those of the tables around it; empty if the text is no TOML.
    pub key: String,
    /// The value as it is written, shortened; `None` if there is none, or it may be a secret.
    pub value: Option<String>,
    /// What is wrong, as a lower-case fragment.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// Where in the file the things stand that are checked later, by key and value: what has another
/// value by then does not come from the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Spots {
    file: Option<Arc<Path>>,
    lines: HashMap<(String, String), usize>,
    /// Whether there may be more roles in the file than could be read.
    pub(super) lacks_roles: bool,
}

// === impl Problem ===

impl Problem {
    pub(super) fn of(key: &str, message: impl Into<String>) -> Self {
        let (file, line, value, hint) = Default::default();
        Self { file, line, key: key.to_owned(), value, message: message.into(), hint }
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn with_value(mut self, value: String) -> Self {
        self.value = Some(value);
        self
    }
}

/// `agent.toml:7: role.etl.idle = "soon": expected a duration`, without the hint, which has its own
/// line.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, key, value, message, hint: _ } = self;
        if let Some(file) = file {
            write!(f, "{}:", file.display())?;
            if let Some(line) = line {
                write!(f, "{line}:")?;
            }
            f.write_str(" ")?;
        }
        match (key.as_str(), value) {
            ("", _) => {}
            (key, None) => write!(f, "{key}: ")?,
            (key, Some(value)) => write!(f, "{key} = {value}: ")?,
        }
        f.write_str(message)
    }
}

impl std::error::Error for Problem {}

// === impl Spots ===

impl Spots {
    pub(super) fn of(file: &Path) -> Self {
        Self { file: Some(file.into()), ..Self::default() }
    }

    pub(super) fn file(&self) -> Option<Arc<Path>> {
        self.file.clone()
    }

    pub(super) fn note(&mut self, key: String, line: usize, value: String) {
        self.lines.insert((key, value), line);
    }

    pub(super) fn find(&self, key: &str, value: &str) -> (Option<Arc<Path>>, Option<usize>) {
        match self.lines.get(&(key.to_owned(), value.to_owned())) {
            Some(line) => (self.file(), Some(*line)),
            None => (None, None),
        }
    }
}
