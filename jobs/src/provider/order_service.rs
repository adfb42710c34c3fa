//! The job that ends an order's service at its time, on the queue `billing`.

use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::PgPool;
use uncloud::{dispatch, orders};
use uncloud_wire::JobError;

#[derive(Deserialize)]
struct Service {
    order: i64,
}

pub(super) async fn handle(database: &PgPool, payload: &[u8]) -> Result<Value, JobError> {
    let Service { order } = serde_json::from_slice(payload)
        .map_err(|error| JobError::Fail(format!("the job's payload is invalid: {error}")))?;
    orders::carry_out_due(database, dispatch::services, order).await?;
    Ok(json!({ "order": order }))
}
