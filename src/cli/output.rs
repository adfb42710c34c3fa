//! What commands print: tables for people, JSON for programs.

use clap::{Args, ValueEnum};
use serde_json::{Map, Value};

/// How to print.
#[derive(Debug, Clone, Args)]
pub(super) struct Output {
    /// How to print the result.
    #[arg(long = "output", value_enum, default_value = "table", value_name = "FORMAT")]
    format: OutputFormat,
}

impl Output {
    /// Whether a program reads it.
    pub(super) const fn is_json(&self) -> bool {
        matches!(self.format, OutputFormat::Json)
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OutputFormat {
    /// Columns.
    Table,
    /// A list of objects.
    Json,
}

/// Rows of equal columns.
pub(super) struct Table {
    columns: Vec<&'static str>,
    rows: Vec<Vec<Value>>,
}

impl Table {
    pub(super) fn new(columns: &[&'static str]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    pub(super) fn row<const N: usize>(&mut self, row: [Value; N]) {
        debug_assert_eq!(N, self.columns.len(), "a value for each column");
        self.rows.push(row.into());
    }

    #[expect(clippy::print_stdout, reason = "this is the command's output")]
    pub(super) fn print(&self, output: &Output) -> anyhow::Result<()> {
        match output.format {
            OutputFormat::Json => println!("{}", serde_json::to_string_pretty(&self.objects())?),
            OutputFormat::Table => print!("{}", self.text()),
        }
        Ok(())
    }

    fn objects(&self) -> Vec<Map<String, Value>> {
        let object = |row: &Vec<Value>| self.columns.iter().map(ToString::to_string).zip(row.iter().cloned()).collect();
        self.rows.iter().map(object).collect()
    }

    fn text(&self) -> String {
        let header = self.columns.iter().map(|column| column.to_uppercase().replace('_', " ")).collect();
        let lines: Vec<Vec<String>> =
            std::iter::once(header).chain(self.rows.iter().map(|row| row.iter().map(cell).collect())).collect();
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let mut text = String::new();
        for line in lines {
            let padded = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            text.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_json_keeps_types() {
        let mut table = Table::new(&["id", "applied_at"]);
        table.row([1.into(), Value::Null]);
        table.row([1000.into(), "now".into()]);
        assert_eq!(table.text(), "ID    APPLIED AT\n1     -\n1000  now\n");
        assert_eq!(serde_json::json!(table.objects())[1], serde_json::json!({"id": 1000, "applied_at": "now"}));
    }
}
