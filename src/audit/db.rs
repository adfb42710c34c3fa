//! Queries for the entries in PostgreSQL.

use chrono::{DateTime, Utc};

use super::entry::AuditAction;
use crate::{
    audit::entry::Entry,
    database::Database,
    http::{PageQuery, in_order},
};

/// A filter for entries; fields that are `None` do not restrict the result.
pub(super) struct Filter {
    pub username: Option<String>,
    pub kind: Option<String>,
    pub object_id: Option<String>,
    pub request_id: Option<String>,
    pub from: Option<DateTime<Utc>>,
    pub to: Option<DateTime<Utc>>,
}

/// Returns a page of the entries that match, without those that follow an entry which is still to be committed.
pub(super) async fn entries(db: &Database, filter: &Filter, window: PageQuery) -> sqlx::Result<Vec<Entry>> {
    // In a statement before the one that reads entries, which therefore sees all up to there.
    let complete = sqlx::query_scalar!(r#"select audit_complete_to() as "number!""#).fetch_one(db).await?;
    in_order!(
        window,
        &db.search(),
        query_as<Entry>,
        id "audit_id",
        r#"select audit_id, at, username as "username?", request_id, operation_id, program, action as "action: AuditAction",
                  kind, object_id, before, after
           from audit left join users using (user_id)
           where ($3::text is null or audit.user_id = (select user_id from users where username = $3))
               and ($4::text is null or kind = $4) and ($5::text is null or object_id = $5)
               and ($6::text is null or request_id = $6)
               and audit_id <= $9
               and ($7::timestamptz is null or at >= $7) and ($8::timestamptz is null or at < $8)"#,
        filter.username,
        filter.kind,
        filter.object_id,
        filter.request_id,
        filter.from,
        filter.to,
        complete,
    )
}
