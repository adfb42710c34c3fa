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

/// Begins a transaction that tells the database where its changes come from. Takes no longer than any other beginning:
/// both are one message.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub async fn begin(pool: &PgPool) -> sqlx::Result<Transaction<'static, Postgres>> {
    let origin = CALL.try_with(|call| serde_json::to_string(&Origin { request_id: request_id(), call }));
    match origin {
        Ok(Ok(origin)) => {
            let origin = origin.replace('\'', "''");
            pool.begin_with(AssertSqlSafe(format!("begin; set local uncloud.origin = '{origin}'"))).await
        }
        // Nobody asked: the provider's own work.
        _ => pool.begin().await,
    }
}
