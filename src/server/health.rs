//! Liveness and readiness of the service.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

use poem_openapi::{Enum, Object, OpenApi};
use redis::{AsyncCommands as _, aio::ConnectionManager};
use sqlx::PgPool;
use tokio::sync::Mutex;
use uncloud_wire::stream::reconnecting;

use crate::{
    error::Error,
    http::{Json, Tags},
};

/// Longest wait for the response of one dependency.
const PATIENCE: Duration = Duration::from_secs(2);
/// Time for which one readiness result is returned to all callers.
const FRESH: Duration = Duration::from_secs(1);

/// State of a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum Dependency {
    /// The dependency responds.
    Ok,
    /// The dependency does not respond.
    Unavailable,
}

/// Liveness of the process.
#[derive(Debug, Object)]
pub struct Health {
    /// Always `ok`.
    pub status: Dependency,
}

/// State of the service's dependencies.
#[derive(Debug, Clone, Copy, Object)]
pub struct Readiness {
    /// PostgreSQL, the source of truth; nothing works without it.
    pub postgres: Dependency,
    /// Redis, which delivers jobs; without it the server accepts requests, and their jobs run once it is back.
    pub redis: Dependency,
}

/// Operations that report liveness and readiness.
pub struct HealthApi {
    pool: PgPool,
    redis: redis::Client,
    /// Redis connection that all checks share: these operations are public, and a request must not cost a connection
    /// each.
    connection: OnceLock<ConnectionManager>,
    /// The last result and its time; locked while PostgreSQL and Redis are being checked.
    last: Mutex<Option<(Instant, Readiness)>>,
}

impl HealthApi {
    /// Creates the operations that check these two.
    pub fn new(pool: PgPool, redis: redis::Client) -> Self {
        Self { pool, redis, connection: OnceLock::new(), last: Mutex::default() }
    }
}

#[OpenApi(tag = "Tags::Service")]
impl HealthApi {
    /// Report whether the process is alive
    ///
    /// Does not check the database or any other dependency; meant for a supervisor that restarts a hanging process.
    #[expect(clippy::unused_async, reason = "the framework's signature")]
    #[oai(path = "/healthz", method = "get", operation_id = "health_read")]
    async fn healthz(&self) -> Json<Health> {
        Json(Health { status: Dependency::Ok })
    }

    /// Report whether the service can accept requests
    ///
    /// Returns 503 while PostgreSQL is unavailable; `detail` gives the state of both dependencies. Without Redis it
    /// returns 200 and reports that Redis is unavailable.
    #[oai(path = "/readyz", method = "get", operation_id = "readiness_read")]
    async fn readyz(&self) -> Result<Json<Readiness>, Error> {
        let mut last = self.last.lock().await;
        let readiness = match *last {
            Some((at, readiness)) if at.elapsed() < FRESH => readiness,
            _ => {
                let (postgres, redis) = tokio::join!(self.postgres_answers(), self.redis_answers());
                let part = |responds| if responds { Dependency::Ok } else { Dependency::Unavailable };
                let readiness = Readiness { postgres: part(postgres), redis: part(redis) };
                *last = Some((Instant::now(), readiness));
                readiness
            }
        };
        match readiness {
            Readiness { postgres: Dependency::Ok, .. } => Ok(Json(readiness)),
            Readiness { redis: Dependency::Ok, .. } => {
                Err(Error::NotReady("PostgreSQL is unavailable; Redis is available".into()))
            }
            _ => Err(Error::NotReady("PostgreSQL and Redis are unavailable".into())),
        }
    }

    async fn postgres_answers(&self) -> bool {
        let response = tokio::time::timeout(PATIENCE, sqlx::query!("select 1 as one").fetch_one(&self.pool)).await;
        let failure = match &response {
            Ok(Ok(_)) => return true,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no response within {PATIENCE:?}"),
        };
        tracing::error!(error = failure, "PostgreSQL is unavailable");
        false
    }

    async fn redis_answers(&self) -> bool {
        let ping = async {
            let mut connection = if let Some(connection) = self.connection.get() {
                connection.clone()
            } else {
                let new = reconnecting(&self.redis)?;
                self.connection.get_or_init(|| new).clone()
            };
            connection.ping::<String>().await
        };
        matches!(tokio::time::timeout(PATIENCE, ping).await, Ok(Ok(_)))
    }
}
