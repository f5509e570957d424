//! The table: 80 columns of plain text, and the same as Markdown.

use std::fmt::Write;

/// One requirement and what was measured.
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) must_be: String,
    /// First, since they hold on other machines too.
    pub(crate) ratios: String,
    pub(crate) absolute: String,
    /// `None`: there is nothing to meet.
    pub(crate) met: Option<bool>,
}

pub(crate) struct Report {
    pub(crate) machine: Vec<(&'static str, String)>,
    pub(crate) rows: Vec<Row>,
}

const HEADINGS: [&str; COLUMNS] = ["what", "must be", "measured", "met"];
const COLUMNS: usize = 4;
/// With two blanks between them, 80.
const WIDTHS: [usize; COLUMNS] = [19, 18, 34, 3];
const GAP: &str = "  ";

// === impl Row ===

impl Row {
    fn met(&self) -> &'static str {
        match self.met {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "–",
        }
    }
}

// === impl Report ===

impl Report {
    pub(crate) fn text(&self) -> String {
        let mut text = String::from("\n");
        for (name, value) in &self.machine {
            let lines = wrapped(value, 69);
            for (number, line) in lines.iter().enumerate() {
                let name = if number == 0 { name } else { "" };
                // Writing to a String can't fail, here and below.
                let _ = writeln!(text, "{name:<9}{GAP}{line}");
            }
        }
        let rule = WIDTHS.map(|width| "─".repeat(width)).join(GAP);
        let _ = writeln!(text, "\n{}\n{rule}", line(HEADINGS));
        for row in &self.rows {
            let mut measured = wrapped(&row.ratios, WIDTHS[2]);
            measured.extend(wrapped(&row.absolute, WIDTHS[2]));
            let cells = [
                wrapped(&row.what, WIDTHS[0]),
                wrapped(&row.must_be, WIDTHS[1]),
                measured,
                vec![row.met().to_owned()],
            ];
            let height = cells.iter().map(Vec::len).max().unwrap_or(0);
            for number in 0..height {
                let part = |cell: &Vec<String>| cell.get(number).cloned().unwrap_or_default();
                let parts: [String; COLUMNS] = std::array::from_fn(|column| part(&cells[column]));
                let _ = writeln!(text, "{}", line(parts.each_ref().map(String::as_str)));
            }
            let _ = writeln!(text, "{rule}");
        }
        text
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = String::from(
            "# Results\n\nWritten by `cargo xtask bench`; the method stands in the header of\n\
             `crates/rolekeeper/benches/side_by_side/main.rs`. Compare ratios: absolute figures are this \
             machine's.\n\n| | |\n|---|---|\n",
        );
        for (name, value) in &self.machine {
            let _ = writeln!(text, "| {name} | {value} |");
        }
        let _ = writeln!(text, "\n| {} |\n|---|---|---|---|", HEADINGS.join(" | "));
        for row in &self.rows {
            let Row { what, must_be, ratios, absolute, .. } = row;
            let _ = writeln!(
                text,
                "| {what} | {must_be} | **{ratios}**<br>{absolute} | {} |",
                row.met()
            );
        }
        text
    }
}

fn line(cells: [&str; COLUMNS]) -> String {
    let padded: Vec<String> =
        cells.iter().zip(WIDTHS).map(|(cell, width)| format!("{cell:<width$}")).collect();
    padded.join(GAP).trim_end().to_owned()
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        let line = &mut lines[last];
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}
