//! The origin of a change: the request, its operation and its user. The database records it with every change
//! (`audit`), in the transaction that makes the change.

use std::{future, panic};

use serde::Serialize;
use sqlx::{AssertSqlSafe, PgPool, Postgres, Transaction};
use tokio::task_local;
use tracing::Instrument as _;

task_local! {
    static REQUEST_ID: String;
    static CALL: Call;
}

/// A requested operation.
#[derive(Debug, Clone, Serialize)]
pub struct Call {
    /// The user that requested the operation.
    pub user_id: i64,
    /// The operation's id in the OpenAPI document.
    pub operation_id: &'static str,
    /// The attempt, if the request has an Idempotency-Key.
    #[serde(skip)]
    pub attempt: Option<IdempotencyAttempt>,
}

/// One of several attempts at a request with an Idempotency-Key.
#[derive(Debug, Clone)]
pub struct IdempotencyAttempt {
    /// The user that the key belongs to.
    pub user_id: i64,
    /// The Idempotency-Key.
    pub key: String,
    /// The number of the attempt.
    pub attempt: i64,
}

/// Runs `work` as part of that request: jobs and changes that it creates carry the request's id.
pub async fn of_request<F: Future>(request_id: String, work: F) -> F::Output {
    REQUEST_ID.scope(request_id, work).await
}

/// Runs `work` for that operation and its user.
pub async fn of_call<F: Future>(call: Call, work: F) -> F::Output {
    CALL.scope(call, work).await
}

/// Runs `work` to its end as part of the current request, also when its caller hangs up, which drops the request's own
/// future: what is counted, limited or follows a change must not end there.
pub async fn to_the_end<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let work = of_request(request_id().unwrap_or_default(), work);
    match tokio::spawn(work.in_current_span()).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => panic::resume_unwind(panic),
            Err(_) => future::pending().await, // the process ends
        },
    }
}

/// Returns the id of the current request; none in background tasks and on the command line.
pub fn request_id() -> Option<String> {
    REQUEST_ID.try_with(Clone::clone).ok()
}

#[derive(Serialize)]
struct Origin<'a> {
    request_id: Option<String>,
    #[serde(flatten)]
    call: &'a Call,
}

/// Starts a transaction that passes the origin of its changes to the database. It takes no longer than a plain start:
/// both are one message. With an Idempotency-Key it also records that the change was made.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub async fn begin(pool: &PgPool) -> sqlx::Result<Transaction<'static, Postgres>> {
    // Without a request: the provider's own work.
    let Ok(call) = CALL.try_with(Clone::clone) else { return pool.begin().await };
    let origin = serde_json::to_string(&Origin { request_id: request_id(), call: &call });
    let origin = origin.map_err(|error| sqlx::Error::Encode(error.into()))?.replace('\'', "''");
    let mut tx = pool.begin_with(AssertSqlSafe(format!("begin; set local uncloud.origin = '{origin}'"))).await?;
    if let Some(IdempotencyAttempt { user_id, key, attempt }) = &call.attempt {
        sqlx::query!("select idempotency_changed($1, $2, $3)", user_id, key, attempt).execute(&mut *tx).await?;
    }
    Ok(tx)
}
