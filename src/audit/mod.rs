//! The audit log: every change of what people decide about, who asked for it, and how it was before. Its rows are written by
//! the database's triggers, in the transaction of the change (`migrations/0101_audit.sql`); here they are read.

mod api;
mod db;
mod entry;

pub use api::AuditApi;
