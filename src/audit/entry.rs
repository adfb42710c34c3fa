//! Entries of the audit log.

use chrono::{DateTime, Utc};
use poem_openapi::Enum;
use serde_json::Value;

/// The action on an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, sqlx::Type)]
#[oai(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub(super) enum AuditAction {
    /// The object was created.
    Create,
    /// The object was updated.
    Update,
    /// The object was deleted.
    Delete,
}

/// An entry as stored.
pub(super) struct Entry {
    pub audit_id: i64,
    pub at: DateTime<Utc>,
    pub username: Option<String>,
    pub request_id: Option<String>,
    pub operation_id: Option<String>,
    pub program: String,
    pub action: AuditAction,
    pub kind: String,
    pub object_id: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
}
