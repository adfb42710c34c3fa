//! The audit log over HTTP; staff only.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use poem_openapi::{Object, OpenApi, param::Query, payload::Json, types::Any};
use serde_json::{Map, Value};
use sqlx::PgPool;

use super::{
    db::{self, Filter},
    entry::Entry,
};
use crate::{
    audit::entry::AuditAction,
    error::Error,
    http::{Cursor, Moment, Sort, Staff, Tags, TextPart, Window},
};

/// A change.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct AuditEntry {
    /// Identifies the entry.
    id: i64,
    /// When it was made.
    at: DateTime<Utc>,
    /// Who asked for it; absent when nobody did: the provider's own work, or a command on its machine.
    username: Option<String>,
    /// The request, as in its answer and in the server's log.
    request_id: Option<String>,
    /// What was asked for, as the OpenAPI document names it.
    operation_id: Option<String>,
    /// The program that did it.
    program: String,
    /// What was done.
    action: AuditAction,
    /// What kind of object.
    kind: String,
    /// Which of them.
    object_id: String,
    /// What was there before; of an edit only what it changed. Secrets are masked. Absent of what was created.
    before: Option<Any<Value>>,
    /// What is there since; absent of what was deleted.
    after: Option<Any<Value>>,
}

/// A page of changes.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct AuditList {
    /// In the order asked for.
    items: Vec<AuditEntry>,
    /// Cursor of the next page; absent on the last.
    next: Option<String>,
}

/// PostgreSQL writes keys as `\x...`; people know them in base64.
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

/// The operation.
pub struct AuditApi {
    /// Where the entries are.
    pub pool: PgPool,
}

#[OpenApi(prefix_path = "/v1/admin/audit", tag = "Tags::Audit")]
impl AuditApi {
    /// List changes
    ///
    /// The newest first: who asked for what, by which request, and how it was before. Work that machines do all the time
    /// (counters, jobs on their way) is left out.
    #[oai(path = "/", method = "get", operation_id = "admin_audit_list")]
    #[expect(clippy::too_many_arguments, reason = "one for each parameter of the query")]
    async fn list(
        &self,
        _staff: Staff,
        /// Those of the user with this name.
        username: Query<Option<TextPart>>,
        /// Those of objects of this kind, as in `vpn_pool`.
        kind: Query<Option<TextPart>>,
        /// Those of the object with this identifier.
        object_id: Query<Option<TextPart>>,
        /// Those of this request.
        request_id: Query<Option<TextPart>>,
        /// Those from this time on.
        from: Query<Option<Moment>>,
        /// Those before this time.
        to: Query<Option<Moment>>,
        /// Changes on a page.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")), default = "crate::http::page_size")]
        limit: Query<u8>,
        /// The page's begin: `next` of the page before.
        cursor: Query<Option<Cursor>>,
        /// In which order.
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
        let window = Window::new(limit.0, cursor.0, sort.0)?;
        let (entries, next) = window.page(db::entries(&self.pool, &filter, window).await?, |entry| entry.audit_id);
        Ok(Json(AuditList { items: entries.into_iter().map(Into::into).collect(), next }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::readable;

    #[test]
    fn keys_are_shown_in_base64() {
        let state = json!({ "public_key": "\\x000102", "text": "\\xyz", "name": "x", "used": 1 });
        let shown = json!({ "public_key": "AAEC", "text": "\\xyz", "name": "x", "used": 1 });
        assert_eq!(readable(state), shown);
    }
}
