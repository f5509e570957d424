//! The text format of Prometheus, 0.0.4.

use std::fmt::{self, Display, Write};

/// Written family by family.
pub(super) struct Exposition {
    text: String,
    family: &'static str,
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A label's value, in which a quote, a backslash or an end of line would end it.
struct Escaped<'a>(&'a str);

/// What a role's lines take, as measured.
const BYTES_PER_ROLE: usize = 900;

impl Exposition {
    pub(super) fn with_room_for(roles: usize) -> Self {
        Self { text: String::with_capacity(4096 + roles * BYTES_PER_ROLE), family: "" }
    }

    /// The lines that follow are of this family. `help` is one line without backslashes.
    pub(super) fn family(&mut self, name: &'static str, kind: Kind, help: &str) {
        self.family = name;
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.put(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    pub(super) fn line(&mut self, labels: &[(&str, &str)], value: f64) {
        self.sample("", labels, value);
    }

    pub(super) fn count(&mut self, labels: &[(&str, &str)], value: u64) {
        self.sample("", labels, value);
    }

    /// `suffix` is one of a histogram's.
    pub(super) fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let family = self.family;
        self.put(format_args!("{family}{suffix}"));
        for (nth, (name, text)) in labels.iter().enumerate() {
            let before = if nth == 0 { '{' } else { ',' };
            self.put(format_args!("{before}{name}=\"{}\"", Escaped(text)));
        }
        let after = if labels.is_empty() { "" } else { "}" };
        self.put(format_args!("{after} {value}\n"));
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    fn put(&mut self, what: fmt::Arguments<'_>) {
        // Writing to a String can't fail.
        let _ = self.text.write_fmt(what);
    }
}

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(['\\', '"', '\n']) {
            let (plain, special) = rest.split_at(at);
            f.write_str(plain)?;
            f.write_str(match special.as_bytes()[0] {
                b'\\' => r"\\",
                b'"' => r#"\""#,
                _ => r"\n",
            })?;
            rest = &special[1..];
        }
        f.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_labels_value_can_hold_anything() {
        for (given, expected) in [
            ("", ""),
            ("etl", "etl"),
            ("a\"b", r#"a\"b"#),
            (r"a\b", r"a\\b"),
            ("a\nb", r"a\nb"),
            ("\\\"\n", r#"\\\"\n"#),
            ("ä\"ö\\", r#"ä\"ö\\"#),
            ("{}=,", "{}=,"),
        ] {
            assert_eq!(Escaped(given).to_string(), expected);
        }
    }

    #[test]
    fn families_and_their_lines_are_written_as_the_format_has_it() {
        let mut out = Exposition::with_room_for(1);
        out.family("a_total", Kind::Counter, "How often.");
        out.count(&[("b", "c"), ("d", "\"")], 3);
        out.family("e", Kind::Gauge, "How much.");
        out.line(&[], 0.5);
        let expected = "# HELP a_total How often.\n# TYPE a_total counter\na_total{b=\"c\",d=\"\\\"\"} 3\n\
                        # HELP e How much.\n# TYPE e gauge\ne 0.5\n";
        assert_eq!(out.finish(), expected);
    }
}
