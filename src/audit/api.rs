//! The audit log over HTTP; staff only.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use poem_openapi::{Object, OpenApi, param::Query, types::Any};
use serde_json::{Map, Value};

use super::{
    db::{self, Filter},
    entry::Entry,
};
use crate::{
    audit::entry::AuditAction,
    database::Database,
    error::Error,
    http::{Cursor, Json, Moment, PageQuery, Sort, Staff, Tags, TextPart},
};

/// An entry of the audit log: one change.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct AuditEntry {
    /// Identifies the entry.
    id: i64,
    /// The time of the change.
    at: DateTime<Utc>,
    /// The user who requested the change; absent for internal work and for commands on the server's machine.
    username: Option<String>,
    /// The request's id, as in its response and in the server's log.
    request_id: Option<String>,
    /// The operation that was requested, as named in the OpenAPI document.
    operation_id: Option<String>,
    /// The program that made the change.
    program: String,
    /// The action on the object.
    action: AuditAction,
    /// The kind of the object.
    kind: String,
    /// The id of the object.
    object_id: String,
    /// The state before the change; for an update only the fields that it changed. Secrets are masked. Absent for a
    /// creation.
    before: Option<Any<Value>>,
    /// The state after the change; absent for a deletion.
    after: Option<Any<Value>>,
}

/// A page of entries.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct AuditList {
    /// The entries, in the requested order.
    items: Vec<AuditEntry>,
    /// The cursor of the next page; absent on the last.
    next: Option<String>,
}

/// Converts keys from PostgreSQL's `\x...` to base64, the form that people know.
fn readable(mut state: Value) -> Value {
    for value in state.as_object_mut().into_iter().flat_map(Map::values_mut) {
        let bytes = value.as_str().and_then(|text| text.strip_prefix("\\x")).and_then(bytes_of_hex);
        if let Some(bytes) = bytes {
            *value = STANDARD.encode(bytes).into();
        }
    }
    state
}

fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    digits.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}

impl From<Entry> for AuditEntry {
    fn from(entry: Entry) -> Self {
        Self {
            id: entry.audit_id,
            at: entry.at,
            username: entry.username,
            request_id: entry.request_id,
            operation_id: entry.operation_id,
            program: entry.program,
            action: entry.action,
            kind: entry.kind,
            object_id: entry.object_id,
            before: entry.before.map(readable).map(Any),
            after: entry.after.map(readable).map(Any),
        }
    }
}

/// The operations.
pub struct AuditApi {
    /// The database pool.
    pub pool: Database,
}

#[OpenApi(prefix_path = "/v1/admin/audit", tag = "Tags::Audit")]
impl AuditApi {
    /// List changes
    ///
    /// Lists changes, newest first: the user, the operation, the request and the previous state. Routine work of
    /// machines (counters, jobs in progress) is left out.
    #[oai(path = "/", method = "get", operation_id = "admin_audit_list")]
    #[expect(clippy::too_many_arguments, reason = "one for each parameter of the query")]
    async fn list(
        &self,
        _staff: Staff,
        /// Only changes by the user with this name.
        username: Query<Option<TextPart>>,
        /// Only changes of objects of this kind, such as `vpn_pool`.
        kind: Query<Option<TextPart>>,
        /// Only changes of the object with this id.
        object_id: Query<Option<TextPart>>,
        /// Only changes by this request.
        request_id: Query<Option<TextPart>>,
        /// Only changes at this time or later.
        from: Query<Option<Moment>>,
        /// Only changes before this time.
        to: Query<Option<Moment>>,
        /// Maximum number of items on the page.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")), default = "crate::http::page_size")]
        limit: Query<u8>,
        /// The cursor: `next` of the previous page.
        cursor: Query<Option<Cursor>>,
        /// The sort order.
        #[oai(default = "crate::http::newest_first")]
        sort: Query<Sort>,
    ) -> Result<Json<AuditList>, Error> {
        let text = |part: Option<TextPart>| part.map(|part| part.0);
        let filter = Filter {
            username: text(username.0),
            kind: text(kind.0),
            object_id: text(object_id.0),
            request_id: text(request_id.0),
            from: from.0.map(|moment| moment.0),
            to: to.0.map(|moment| moment.0),
        };
        let window = PageQuery::new(limit.0, cursor.0, sort.0)?;
        let (entries, next) = window.page(db::entries(&self.pool, &filter, window).await?, |entry| entry.audit_id);
        Ok(Json(AuditList { items: entries.into_iter().map(Into::into).collect(), next }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::readable;

    #[test]
    fn readable_of_keys_is_base64() {
        let state = json!({ "public_key": "\\x000102", "text": "\\xyz", "name": "x", "used": 1 });
        let expected = json!({ "public_key": "AAEC", "text": "\\xyz", "name": "x", "used": 1 });
        assert_eq!(readable(state), expected);
    }
}
