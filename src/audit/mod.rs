//! The audit log: every change to data that people decide about, with its author and the previous state. The
//! database's triggers write the rows in the transaction of the change (`migrations/0101_audit.sql`); this module
//! reads them.

mod api;
mod db;
mod entry;

pub use api::AuditApi;
