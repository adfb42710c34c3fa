//! Results that commands print: tables for people, JSON for programs.

mod layout;
mod table;

use clap::{Args, ValueEnum};
use serde_json::Value;

pub(super) use self::table::{Table, time};
use crate::http::Representation;
use uncloud_wire::{
    logging::colour,
    program::{print, width},
};

/// Options for the output.
#[derive(Debug, Clone, Args)]
pub(super) struct Output {
    /// Format of the result.
    #[arg(long = "output", value_enum, default_value = "table", value_name = "FORMAT")]
    format: OutputFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OutputFormat {
    /// Columns for people, fitted to the terminal's width.
    Table,
    /// The API's object, or a list of objects.
    Json,
}

impl Output {
    /// Returns whether the output is for programs.
    pub(super) const fn is_json(&self) -> bool {
        matches!(self.format, OutputFormat::Json)
    }

    /// Prints one object: as the API returns it, or as a table for people.
    pub(super) fn object<T: Representation>(&self, object: T, table: impl FnOnce(&T) -> Table) -> anyhow::Result<()> {
        if self.is_json() {
            self.json(&object.representation().unwrap_or_default())
        } else {
            self.table(&table(&object))
        }
    }

    /// Prints a list of objects: each as the API returns it, or as a table for people.
    pub(super) fn list<T: Representation>(
        &self,
        list: Vec<T>,
        table: impl FnOnce(&[T]) -> Table,
    ) -> anyhow::Result<()> {
        if self.is_json() {
            self.json(&list.into_iter().filter_map(Representation::representation).collect())
        } else {
            self.table(&table(&list))
        }
    }

    /// Prints rows that have no corresponding object in the API.
    pub(super) fn rows(&self, table: &Table) -> anyhow::Result<()> {
        if self.is_json() { self.json(&table.objects().into()) } else { self.table(table) }
    }

    /// Prints the only row of a table that has no corresponding object in the API.
    pub(super) fn row(&self, table: &Table) -> anyhow::Result<()> {
        if self.is_json() { self.json(&table.objects().pop().unwrap_or_default()) } else { self.table(table) }
    }

    #[expect(clippy::unused_self, reason = "reads as one of the two formats")]
    fn json(&self, value: &Value) -> anyhow::Result<()> {
        print(serde_json::to_string_pretty(value)? + "\n")
    }

    #[expect(clippy::unused_self, reason = "reads as one of the two formats")]
    fn table(&self, table: &Table) -> anyhow::Result<()> {
        print(table.text(width(), colour(&std::io::stdout())))
    }
}
