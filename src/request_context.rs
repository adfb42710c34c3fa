//! Where a change comes from: the request, its operation and who asked. Noted with every change by the database (`audit`), in
//! the transaction that makes it.

use serde::Serialize;
use sqlx::{AssertSqlSafe, PgPool, Postgres, Transaction};
use tokio::task_local;

task_local! {
    static REQUEST_ID: String;
    static CALL: Call;
}

/// An operation that somebody asks for.
#[derive(Debug, Clone, Serialize)]
pub struct Call {
    /// Who.
    pub user_id: i64,
    /// Its name in the OpenAPI document.
    pub operation_id: String,
    /// With which Idempotency-Key.
    #[serde(skip)]
    pub attempt: Option<IdempotencyAttempt>,
}

/// One of several attempts to have a request with an Idempotency-Key done.
#[derive(Debug, Clone)]
pub struct IdempotencyAttempt {
    /// Whose key.
    pub user_id: i64,
    /// The key.
    pub key: String,
    /// Which attempt.
    pub attempt: i64,
}

/// Runs `work` as part of that request: jobs and changes that it makes carry its id.
pub async fn of_request<F: Future>(request_id: String, work: F) -> F::Output {
    REQUEST_ID.scope(request_id, work).await
}

/// Runs `work` for that operation and whoever asks for it.
pub async fn of_call<F: Future>(call: Call, work: F) -> F::Output {
    CALL.scope(call, work).await
}

/// The id of the request that this runs for; none in background tasks and on the command line.
pub fn request_id() -> Option<String> {
    REQUEST_ID.try_with(Clone::clone).ok()
}

#[derive(Serialize)]
struct Origin<'a> {
    request_id: Option<String>,
    #[serde(flatten)]
    call: &'a Call,
}

/// Begins a transaction that looks through many rows for few: each query is planned for the filters that it has. A plan for
/// any filters would read whole tables.
pub async fn begin_search(pool: &PgPool) -> sqlx::Result<Transaction<'static, Postgres>> {
    pool.begin_with("begin read only; set local plan_cache_mode = force_custom_plan").await
}

/// Begins a transaction that tells the database where its changes come from. Takes no longer than any other beginning:
/// both are one message. With an Idempotency-Key it also notes that the change was made.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub async fn begin(pool: &PgPool) -> sqlx::Result<Transaction<'static, Postgres>> {
    // Nobody asked: the provider's own work.
    let Ok(call) = CALL.try_with(Clone::clone) else { return pool.begin().await };
    let origin = serde_json::to_string(&Origin { request_id: request_id(), call: &call });
    let origin = origin.map_err(|error| sqlx::Error::Encode(error.into()))?.replace('\'', "''");
    let mut tx = pool.begin_with(AssertSqlSafe(format!("begin; set local uncloud.origin = '{origin}'"))).await?;
    if let Some(IdempotencyAttempt { user_id, key, attempt }) = &call.attempt {
        sqlx::query!("select idempotency_changed($1, $2, $3)", user_id, key, attempt).execute(&mut *tx).await?;
    }
    Ok(tx)
}
