//! A table whose rows all have the same columns.

use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat, Utc};
use clap::builder::styling::{AnsiColor, Style};
use serde_json::{Map, Value};

use super::layout::{Layout, layout};

/// Rows with the same columns.
pub(in crate::cli) struct Table {
    columns: Vec<&'static str>,
    rows: Vec<Vec<Value>>,
}

/// Returns a time as the API writes it, in whole seconds.
pub(in crate::cli) fn time(time: DateTime<Utc>) -> Value {
    time.to_rfc3339_opts(SecondsFormat::Secs, true).into()
}

impl Table {
    pub(in crate::cli) fn new(columns: &[&'static str]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Creates a table of one object: a line for each name and value. Facts without a value are omitted.
    pub(in crate::cli) fn facts<const N: usize>(facts: [(&'static str, Value); N]) -> Self {
        let mut table = Self::new(&["field", "value"]);
        for (name, value) in facts {
            if value != Value::Null {
                table.row([name.into(), value]);
            }
        }
        table
    }

    pub(in crate::cli) fn row<const N: usize>(&mut self, row: [Value; N]) {
        debug_assert_eq!(N, self.columns.len(), "a value for each column");
        self.rows.push(row.into());
    }

    /// Returns the rows as objects.
    pub(super) fn objects(&self) -> Vec<Value> {
        let object = |row: &Vec<Value>| {
            let members = self.columns.iter().map(ToString::to_string).zip(row.iter().cloned());
            Value::Object(members.collect::<Map<_, _>>())
        };
        self.rows.iter().map(object).collect()
    }

    /// Returns the text for people, with lines of at most this width if there is a limit.
    pub(super) fn text(&self, width: Option<usize>, colour: bool) -> String {
        let header = self.columns.iter().map(|column| column.to_uppercase().replace('_', " ")).collect();
        let lines: Vec<Vec<String>> =
            std::iter::once(header).chain(self.rows.iter().map(|row| row.iter().map(cell).collect())).collect();
        match layout(&lines, width) {
            Layout::Columns(widths) => self.in_columns(&lines, &widths, colour),
            Layout::Records => self.in_records(&lines, width, colour),
        }
    }

    fn in_columns(&self, lines: &[Vec<String>], widths: &[usize], colour: bool) -> String {
        let mut text = String::new();
        for (number, line) in lines.iter().enumerate() {
            let cells: Vec<Vec<String>> =
                line.iter().zip(widths).map(|(cell, width)| super::layout::wrapped(cell, *width)).collect();
            for row in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
                let mut blanks = 0;
                for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
                    let part = cell.get(row).map_or("", String::as_str);
                    if !part.is_empty() {
                        text.extend(std::iter::repeat_n(' ', blanks));
                        blanks = 0;
                        let style = if number == 0 { HEADER } else { self.style(column, &line[column]) };
                        push_styled(&mut text, part, style, colour);
                    }
                    blanks += width.saturating_sub(part.chars().count()) + super::layout::GAP;
                }
                text.push('\n');
            }
        }
        text
    }

    /// Returns one line for each value, and an empty line between rows.
    fn in_records(&self, lines: &[Vec<String>], width: Option<usize>, colour: bool) -> String {
        let Some((header, rows)) = lines.split_first() else { return String::new() };
        let name_width = header.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let value_width = width.unwrap_or(usize::MAX).saturating_sub(name_width + super::layout::GAP).max(1);
        let mut text = String::new();
        for (number, row) in rows.iter().enumerate() {
            if number > 0 {
                text.push('\n');
            }
            for (column, (name, value)) in header.iter().zip(row).enumerate() {
                for (part_number, part) in super::layout::wrapped(value, value_width).iter().enumerate() {
                    let name = if part_number == 0 { name.as_str() } else { "" };
                    push_styled(&mut text, name, HEADER, colour);
                    text.extend(std::iter::repeat_n(' ', name_width - name.chars().count() + super::layout::GAP));
                    push_styled(&mut text, part, self.style(column, value), colour);
                    text.push('\n');
                }
            }
        }
        text
    }

    /// Returns the colour of a cell: states are coloured, because people look for failed ones.
    fn style(&self, column: usize, cell: &str) -> Style {
        let is_state = |column: &&str| *column == "state" || column.ends_with("_state") || *column == "reply";
        let colour = match cell {
            _ if !self.columns.get(column).is_some_and(is_state) => return Style::new(),
            "succeeded" | "pong" => AnsiColor::Green,
            "failed" | "timeout" => AnsiColor::Red,
            "running" | "dispatched" => AnsiColor::Cyan,
            "revoked" | "superseded" => AnsiColor::Yellow,
            _ => return Style::new(),
        };
        colour.on_default()
    }
}

const HEADER: Style = Style::new().bold();

fn push_styled(text: &mut String, part: &str, style: Style, colour: bool) {
    if colour && !part.is_empty() && !style.is_plain() {
        let _ = write!(text, "{style}{part}{style:#}"); // a String takes everything
    } else {
        text.push_str(part);
    }
}

/// Returns one line of plain text: foreign text must neither break the table nor control the terminal.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if !text.contains(char::is_control) {
        return text;
    }
    let plain = text.chars().map(|c| match c {
        '\n' | '\t' => " ".to_owned(),
        c if c.is_control() => c.escape_default().to_string(),
        c => c.to_string(),
    });
    plain.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs() -> Table {
        let mut table = Table::new(&["id", "state", "created_at", "error"]);
        table.row([1.into(), "succeeded".into(), "2026-11-25T03:17:00Z".into(), Value::Null]);
        table.row([1000.into(), "failed".into(), "2026-11-25T03:18:00Z".into(), "port 51820 is taken".into()]);
        table
    }

    #[test]
    fn table_as_text_aligns_columns_and_as_json_keeps_types() {
        let mut table = Table::new(&["id", "applied_at"]);
        table.row([1.into(), Value::Null]);
        table.row([1000.into(), "now".into()]);
        assert_eq!(table.text(None, false), "ID    APPLIED AT\n1     -\n1000  now\n");
        assert_eq!(table.objects()[1], serde_json::json!({"id": 1000, "applied_at": "now"}));
    }

    #[test]
    fn narrow_terminal_gets_wrapped_cells_then_records() {
        let wide = jobs().text(None, false);
        assert!(wide.lines().all(|line| line.chars().count() <= 62) && wide.lines().count() == 3, "{wide}");
        let expected = "\
ID    STATE      CREATED AT  ERROR
1     succeeded  2026-11-25  -
                 T03:17:00Z
1000  failed     2026-11-25  port 51820
                 T03:18:00Z  is taken
";
        assert_eq!(jobs().text(Some(40), false), expected);
        let records = jobs().text(Some(24), false);
        assert!(records.starts_with("ID          1\nSTATE       succeeded\n"), "{records}");
        for width in 14..80 {
            let text = jobs().text(Some(width), false);
            assert!(text.lines().all(|line| line.chars().count() <= width), "{width}:\n{text}");
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).filter(|c| *c == 'a').count();
            assert_eq!(letters(&text), letters(&wide), "nothing is lost");
        }
    }

    #[test]
    fn text_with_colour_differs_only_by_escape_codes() {
        let coloured = jobs().text(None, true);
        assert!(coloured.contains("\x1b[31mfailed\x1b[0m") && coloured.contains("\x1b[1mID\x1b[0m"), "{coloured:?}");
        let plain = jobs().text(None, false);
        assert!(!plain.contains('\x1b'));
        let mut stripped = coloured;
        for code in ["\x1b[0m", "\x1b[1m", "\x1b[31m", "\x1b[32m"] {
            stripped = stripped.replace(code, "");
        }
        assert_eq!(stripped, plain);
    }

    #[test]
    fn cell_with_control_characters_is_escaped() {
        let mut table = Table::new(&["error"]);
        table.row(["two\nlines \x1b[2J".into()]);
        assert_eq!(table.text(None, false), "ERROR\ntwo lines \\u{1b}[2J\n");
    }
}
