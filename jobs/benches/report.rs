//! Figures: a table for people, JSON for programs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

/// Options for the output of figures.
#[derive(Debug, clap::Args)]
pub(crate) struct Output {
    /// File to write the same figures to, by name.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// One row of the table.
struct Figure {
    name: String,
    what: String,
    value: Option<f64>,
    unit: &'static str,
    aim: String,
    note: String,
}

/// Figures in the order in which they were measured.
#[derive(Default)]
pub(crate) struct Report(Vec<Figure>);

impl Report {
    /// Adds a figure and shows it at once, as progress.
    pub(crate) fn add(&mut self, name: &str, what: &str, value: f64, unit: &'static str, aim: &str, note: &str) {
        eprintln!("   {what}: {value:.2} {unit}");
        let (name, what, aim, note) = (name.into(), what.into(), aim.into(), note.into());
        self.0.push(Figure { name, what, value: Some(value), unit, aim, note });
    }

    /// Records that a figure could not be measured, and the reason.
    pub(crate) fn leave_out(&mut self, name: &str, what: &str, reason: &str) {
        eprintln!("   {what}: left out, {reason}");
        let (name, what, note) = (name.into(), what.into(), format!("left out: {reason}"));
        self.0.push(Figure { name, what, value: None, unit: "", aim: String::new(), note });
    }

    /// Prints the table, and writes the file if one was requested.
    pub(crate) fn finish(&self, output: &Output) {
        self.print();
        if let Some(path) = &output.json {
            self.write(path);
        }
    }

    #[expect(clippy::print_stdout, reason = "the table is the program's result")]
    fn print(&self) {
        let width = self.0.iter().map(|figure| figure.what.chars().count()).max().unwrap_or_default();
        println!("\n{:width$}  {:>10} {:9}  {:14}  NOTE", "WHAT", "FIGURE", "", "AIM");
        for Figure { what, value, unit, aim, note, .. } in &self.0 {
            let value = value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
            println!("{what:width$}  {value:>10} {unit:9}  {aim:14}  {note}");
        }
    }

    fn write(&self, path: &Path) {
        let figure = |figure: &Figure| {
            let Figure { what, value, unit, aim, note, .. } = figure;
            (figure.name.clone(), json!({ "what": what, "value": value, "unit": unit, "aim": aim, "note": note }))
        };
        let figures: Map<String, Value> = self.0.iter().map(figure).collect();
        let text = serde_json::to_string_pretty(&figures).expect("JSON");
        fs::write(path, text + "\n").unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

/// Returns the value that this percentage of all values does not exceed.
pub(crate) fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
}
