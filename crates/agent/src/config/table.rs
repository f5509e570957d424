//! A table of the file that is being read: each key is asked for by name, and what nobody has asked
//! for is a problem. Problems are gathered, so that all are told at once.

use std::{cell::RefCell, ops::Range};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    problem::{Problem, Spots},
    value::{self, Parsed, Wrong},
};

/// How much of a value a message shows.
const SHOWN: usize = 60;

/// The file: its text, what is wrong with it so far, and where things stand.
pub(super) struct Document<'t> {
    text: &'t str,
    pub(super) problems: RefCell<Vec<Problem>>,
    pub(super) spots: RefCell<Spots>,
}

/// One table of it, with the keys that were asked for.
pub(super) struct Table<'d, 't> {
    document: &'d Document<'t>,
    name: String,
    /// Where it begins.
    at: Range<usize>,
    entries: &'d DeTable<'t>,
    known: Vec<&'static str>,
    forbidden: Vec<&'static str>,
}

// === impl Document ===

impl<'t> Document<'t> {
    pub(super) fn new(text: &'t str, spots: Spots) -> Self {
        Self { text, problems: RefCell::default(), spots: RefCell::new(spots) }
    }

    pub(super) fn line(&self, at: usize) -> usize {
        let before = &self.text.as_bytes()[..at.min(self.text.len())];
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }

    pub(super) fn problem(
        &self,
        key: &str,
        at: Range<usize>,
        message: impl Into<String>,
    ) -> Problem {
        let mut problem = Problem::of(key, message);
        problem.file = self.spots.borrow().file();
        problem.line = Some(self.line(at.start));
        problem
    }

    pub(super) fn tell(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    fn wrong(&self, key: &str, value: &Spanned<DeValue<'t>>, wrong: Wrong) {
        let mut problem = self.problem(key, value.span(), wrong.message);
        problem.hint = wrong.hint;
        problem.value = shown(value.get_ref()).filter(|_| !wrong.is_delicate);
        self.tell(problem);
    }
}

/// The value as it is written, or nearly so; `None` if it is more than a line.
fn shown(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => {
            let mut short: String = text.chars().take(SHOWN).collect();
            if short.len() < text.len() {
                short.push('…');
            }
            Some(format!("{short:?}"))
        }
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(yes) => Some(yes.to_string()),
        DeValue::Datetime(time) => Some(time.to_string()),
        _ => None,
    }
}

// === impl Table ===

impl<'d, 't> Table<'d, 't> {
    pub(super) fn root(document: &'d Document<'t>, entries: &'d Spanned<DeTable<'t>>) -> Self {
        Self::new(document, String::new(), entries.span(), entries.get_ref())
    }

    fn new(
        document: &'d Document<'t>,
        name: String,
        at: Range<usize>,
        entries: &'d DeTable<'t>,
    ) -> Self {
        let (known, forbidden) = Default::default();
        Self { document, name, at, entries, known, forbidden }
    }

    fn key(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    pub(super) fn raw(&mut self, key: &'static str) -> Option<&'d Spanned<DeValue<'t>>> {
        self.known.push(key);
        self.entries.get(key)
    }

    /// The value of this type; nothing if it isn't there, or is wrong, which has then been told.
    pub(super) fn get<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&DeValue<'t>) -> Parsed<T>,
    ) -> Option<T> {
        let value = self.raw(key)?;
        match parse(value.get_ref()) {
            Ok(parsed) => Some(parsed),
            Err(wrong) => {
                self.wrong(key, value, wrong);
                None
            }
        }
    }

    /// As [`get`](Self::get), for what is checked once more when all is known.
    pub(super) fn get_noted<T: ToString>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&DeValue<'t>) -> Parsed<T>,
    ) -> Option<T> {
        let parsed = self.get(key, parse)?;
        let line = self.document.line(self.raw(key)?.span().start);
        self.document.spots.borrow_mut().note(self.key(key), line, parsed.to_string());
        Some(parsed)
    }

    /// As [`get_noted`](Self::get_noted), for what must be there.
    pub(super) fn required<T: ToString>(
        &mut self,
        key: &'static str,
        hint: &str,
        parse: impl FnOnce(&DeValue<'t>) -> Parsed<T>,
    ) -> Option<T> {
        if self.raw(key).is_none() {
            let problem = self.document.problem(&self.key(key), self.at.clone(), "is missing");
            self.document.tell(problem.with_hint(hint));
        }
        self.get_noted(key, parse)
    }

    /// One, or an array of them.
    pub(super) fn all<T>(
        &mut self,
        key: &'static str,
        one: impl Fn(&DeValue<'t>) -> Parsed<T>,
    ) -> Vec<T> {
        let Some(value) = self.raw(key) else { return Vec::new() };
        let name = self.key(key);
        value::some(value, one, |item, why| self.document.wrong(&name, item, why))
    }

    /// A table in this one.
    pub(super) fn table(&mut self, key: &'static str) -> Option<Table<'d, 't>> {
        let value = self.raw(key)?;
        self.document.table(self.key(key), value)
    }

    /// All of this table's keys and values, whatever the keys are.
    pub(super) fn entries(
        &self,
    ) -> impl Iterator<Item = (&'d Spanned<toml::de::DeString<'t>>, &'d Spanned<DeValue<'t>>)>
    + use<'d, 't> {
        self.entries.iter()
    }

    /// Tells of a value in this table.
    pub(super) fn wrong(&self, key: &str, value: &Spanned<DeValue<'t>>, wrong: Wrong) {
        self.document.wrong(&self.key(key), value, wrong);
    }

    /// Tells of a key that is there, and may be under other circumstances.
    pub(super) fn object(&mut self, key: &'static str, message: &str, hint: &str) {
        self.known.push(key);
        self.forbid(key, message, hint);
    }

    /// Tells of a key that is there, and may never be.
    pub(super) fn forbid(&mut self, key: &'static str, message: &str, hint: &str) {
        if let Some(value) = self.entries.get(key) {
            self.forbidden.push(key);
            let problem = self.document.problem(&self.key(key), value.span(), message);
            self.document.tell(problem.with_hint(hint));
        }
    }

    /// Tells of all keys that nobody has asked for; `elsewhere` are those of the table around all
    /// others. Values are not shown: what is in the wrong place may be a secret.
    pub(super) fn finish(self, elsewhere: &[&str]) {
        for (key, _) in self.entries {
            let name = key.get_ref().as_ref();
            if !self.known.contains(&name) && !self.forbidden.contains(&name) {
                let message = "there is no such key";
                let problem = self.document.problem(&self.key(name), key.span(), message);
                self.document.tell(problem.with_hint(self.advice(name, elsewhere)));
            }
        }
    }

    fn advice(&self, name: &str, elsewhere: &[&str]) -> String {
        let lower = name.to_lowercase();
        if ["secret", "access_key", "password"].iter().any(|part| lower.contains(part)) {
            "secrets have no place here: put keys in a profile of ~/.aws/credentials".to_owned()
        } else if elsewhere.contains(&name) {
            format!("`{name}` is for all: it belongs above the first [table]")
        } else {
            value::did_you_mean(name, &self.known)
        }
    }
}

impl<'t> Document<'t> {
    /// `value` as a table.
    pub(super) fn table<'d>(
        &'d self,
        name: String,
        value: &'d Spanned<DeValue<'t>>,
    ) -> Option<Table<'d, 't>> {
        match value.get_ref() {
            DeValue::Table(entries) => Some(Table::new(self, name, value.span(), entries)),
            _ => {
                self.wrong(&name, value, Wrong::new("expected a table"));
                None
            }
        }
    }
}
