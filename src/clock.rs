//! The time: the database's, which all servers and workers agree on.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

/// The database's time.
pub async fn now(db: impl PgExecutor<'_>) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#).fetch_one(db).await
}

/// The time at which the transaction began: the one that its rows' defaults have.
pub async fn of_transaction(db: impl PgExecutor<'_>) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query_scalar!(r#"select now() as "now!""#).fetch_one(db).await
}
