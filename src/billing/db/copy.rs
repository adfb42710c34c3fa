//! Rows for `COPY ... FROM STDIN (FORMAT BINARY)`, the fastest way into a table.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// The bytes that begin a binary COPY: signature, flags, length of the extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// The number of columns that ends one.
const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();
/// 1 January 2000, from which PostgreSQL counts microseconds.
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// Rows of one table.
pub(super) struct Rows {
    table: &'static str,
    columns: &'static [&'static str],
    bytes: Vec<u8>,
    count: usize,
}

impl Rows {
    pub fn new(table: &'static str, columns: &'static [&'static str]) -> Self {
        Self { table, columns, bytes: HEADER.to_vec(), count: 0 }
    }

    /// Adds a row, whose columns `write` adds, each once.
    pub fn row(&mut self, write: impl FnOnce(&mut Row<'_>)) {
        let columns = i16::try_from(self.columns.len()).expect("few columns");
        self.bytes.extend(columns.to_be_bytes());
        let mut row = Row { bytes: &mut self.bytes, columns: 0 };
        write(&mut row);
        assert_eq!(row.columns, self.columns.len(), "a value for each column of {}", self.table);
        self.count += 1;
    }

    /// Sends the rows, if there are any.
    pub async fn send(mut self, tx: &mut PgConnection) -> sqlx::Result<()> {
        if self.count == 0 {
            return Ok(());
        }
        self.bytes.extend(TRAILER);
        let statement = format!("copy {} ({}) from stdin (format binary)", self.table, self.columns.join(", "));
        let mut copy = tx.copy_in_raw(&statement).await?;
        copy.send(self.bytes).await?;
        copy.finish().await.map(drop)
    }
}

/// A row that is being written.
pub(super) struct Row<'a> {
    bytes: &'a mut Vec<u8>,
    columns: usize,
}

impl Row<'_> {
    fn value(&mut self, value: &[u8]) {
        let length = i32::try_from(value.len()).expect("values are short");
        self.bytes.extend(length.to_be_bytes());
        self.bytes.extend(value);
        self.columns += 1;
    }

    fn null(&mut self) {
        self.bytes.extend((-1_i32).to_be_bytes());
        self.columns += 1;
    }

    pub fn i16(&mut self, value: i16) -> &mut Self {
        self.value(&value.to_be_bytes());
        self
    }

    pub fn i32(&mut self, value: i32) -> &mut Self {
        self.value(&value.to_be_bytes());
        self
    }

    pub fn i64(&mut self, value: i64) -> &mut Self {
        self.value(&value.to_be_bytes());
        self
    }

    pub fn text(&mut self, value: &str) -> &mut Self {
        self.value(value.as_bytes());
        self
    }

    pub fn time(&mut self, value: DateTime<Utc>) -> &mut Self {
        self.value(&(value.timestamp_micros() - EPOCH_MICROS).to_be_bytes());
        self
    }

    /// Adds a value that may be null.
    pub fn maybe<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) -> &mut Self {
        match value {
            Some(value) => write(self, value),
            None => self.null(),
        }
        self
    }
}
