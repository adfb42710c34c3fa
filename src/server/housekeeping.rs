//! Deletion of expired rows.

use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::watch;

use super::middleware::idempotency;
use crate::accounts;

const PERIOD: Duration = Duration::from_mins(1);

/// Deletes expired rows every minute until `stop` becomes true. Any number of servers may run it at the same time.
pub async fn keep_house(pool: PgPool, mut stop: watch::Receiver<bool>) {
    let mut minutes = tokio::time::interval(PERIOD);
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            _ = minutes.tick() => {}
        }
        let done = async {
            idempotency::forget(&pool).await?;
            accounts::forget_ended_tokens(&pool).await
        };
        if let Err(error) = done.await {
            tracing::warn!(%error, "expired rows could not be deleted; trying again in a minute");
        }
    }
}
