//! The database's clock, which all servers and workers share.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

/// Returns the database's current time.
pub async fn now(db: impl PgExecutor<'_>) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#).fetch_one(db).await
}

/// Returns the time at which the transaction started: the one that its rows' defaults have.
pub async fn of_transaction(db: impl PgExecutor<'_>) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query_scalar!(r#"select now() as "now!""#).fetch_one(db).await
}
