//! Waiting for locks of the database.

use std::time::{Duration, Instant};

use sqlx::PgPool;

/// Waits until somebody waits for a lock.
pub async fn until_somebody_waits(pool: &PgPool) {
    let waiting = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    let end = Instant::now() + Duration::from_secs(30);
    while sqlx::query(waiting).fetch_optional(pool).await.expect("looked").is_none() {
        assert!(Instant::now() < end, "nobody waits");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
