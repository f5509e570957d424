//! Decides what is counted: every call, by operation, caller and result, in bounded memory.

use std::collections::BTreeMap;

use serde::Serialize;

/// The most rows kept; calls beyond are counted under the caller `(others)`.
const MOST_ROWS: usize = 1000;
const OTHERS: &str = "(others)";
/// An unverified key id is a stranger's text: this much of it is kept.
const LONGEST_CALLER: usize = 256;

/// The calls of one operation by one caller with one result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Count {
    /// `AssumeRole`, `ListBuckets`, …; `Unknown` for what the sandbox has not got.
    pub operation: String,
    /// The caller's ARN; where the caller could not be verified, the key id it showed, or
    /// `anonymous`.
    pub caller: String,
    /// `ok`, an error code, or what a fault did: `(closed)`, `(truncated)`, `(malformed)`.
    pub result: String,
    /// How many.
    pub calls: u64,
}

/// A snapshot of all calls so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Counts {
    /// In the order of operation, caller, result.
    pub rows: Vec<Count>,
    /// Calls that the fault `hang` holds at this moment. They are counted once they are let go.
    pub hanging: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counter {
    rows: BTreeMap<(String, String, String), u64>,
}

// === impl Counts ===

impl Counts {
    /// All calls of an operation.
    #[must_use]
    pub fn calls(&self, operation: &str) -> u64 {
        self.sum(|row| row.operation == operation)
    }

    /// The calls of an operation that were served.
    #[must_use]
    pub fn ok(&self, operation: &str) -> u64 {
        self.with_result(operation, "ok")
    }

    /// The calls of an operation that were not served.
    #[must_use]
    pub fn failed(&self, operation: &str) -> u64 {
        self.calls(operation) - self.ok(operation)
    }

    /// The calls of an operation with this result, such as `ExpiredToken`.
    #[must_use]
    pub fn with_result(&self, operation: &str, result: &str) -> u64 {
        self.sum(|row| row.operation == operation && row.result == result)
    }

    /// The calls of an operation by this caller, an ARN or key id.
    #[must_use]
    pub fn by_caller(&self, operation: &str, caller: &str) -> u64 {
        self.sum(|row| row.operation == operation && row.caller == caller)
    }

    /// All calls.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.sum(|_| true)
    }

    fn sum(&self, which: impl Fn(&Count) -> bool) -> u64 {
        self.rows.iter().filter(|row| which(row)).map(|row| row.calls).sum()
    }
}

// === impl Counter ===

impl Counter {
    pub(crate) fn add(&mut self, operation: &str, caller: &str, result: &str) {
        let caller: String = caller.chars().take(LONGEST_CALLER).collect();
        let mut key = (operation.to_owned(), caller, result.to_owned());
        if self.rows.len() >= MOST_ROWS && !self.rows.contains_key(&key) {
            OTHERS.clone_into(&mut key.1);
        }
        *self.rows.entry(key).or_default() += 1;
    }

    pub(crate) fn snapshot(&self, hanging: u64) -> Counts {
        let rows = self.rows.iter().map(|((operation, caller, result), calls)| Count {
            operation: operation.clone(),
            caller: caller.clone(),
            result: result.clone(),
            calls: *calls,
        });
        Counts { rows: rows.collect(), hanging }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_strangers_is_counted_in_bounded_memory() {
        let mut counter = Counter::default();
        for number in 0..3 * MOST_ROWS {
            counter.add("AssumeRole", &format!("{number}"), "InvalidClientTokenId");
        }
        counter.add("AssumeRole", "0", "InvalidClientTokenId");
        let counts = counter.snapshot(0);
        assert_eq!(counts.rows.len(), MOST_ROWS + 1);
        assert_eq!(counts.calls("AssumeRole"), 3 * MOST_ROWS as u64 + 1);
        assert_eq!(counts.by_caller("AssumeRole", "0"), 2);
        assert_eq!(counts.by_caller("AssumeRole", OTHERS), 2 * MOST_ROWS as u64);
    }
}
