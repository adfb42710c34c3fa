//! Is the service there, and can it work?

use std::{sync::OnceLock, time::Duration};

use poem_openapi::{Enum, Object, OpenApi, payload::Json};
use redis::{AsyncCommands as _, aio::ConnectionManager};
use sqlx::PgPool;

use super::Tags;
use crate::{error::Error, queue::backend::reconnecting};

/// Longest wait for one part's answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether a part answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum Part {
    /// It answers.
    Ok,
    /// It does not.
    Unavailable,
}

/// The process answers.
#[derive(Debug, Object)]
pub struct Health {
    /// Always `ok`.
    pub status: Part,
}

/// What the service depends on.
#[derive(Debug, Object)]
pub struct Readiness {
    /// The truth; without it nothing works.
    pub postgres: Part,
    /// The carrier; without it requests are accepted, and done when it is back.
    pub redis: Part,
}

/// The operations.
pub struct HealthApi {
    /// Where the truth is.
    pub pool: PgPool,
    /// Where the carrier is.
    pub redis: redis::Client,
    /// The connection on which it is asked: anybody may ask us, and each question is not to cost one.
    pub connection: OnceLock<ConnectionManager>,
}

#[OpenApi(tag = "Tags::Service")]
impl HealthApi {
    /// Is the process alive
    ///
    /// Without asking the database or anything else: for whoever restarts a process that hangs.
    #[expect(clippy::unused_async, reason = "the framework's signature")]
    #[oai(path = "/healthz", method = "get", operation_id = "health_read")]
    async fn healthz(&self) -> Json<Health> {
        Json(Health { status: Part::Ok })
    }

    /// Can requests be accepted
    ///
    /// 503 while Postgres does not answer. Without Redis the answer is 200 and says so.
    #[oai(path = "/readyz", method = "get", operation_id = "readiness_read")]
    async fn readyz(&self) -> Result<Json<Readiness>, Error> {
        let postgres = async {
            tokio::time::timeout(PATIENCE, sqlx::query!("select 1 as one").fetch_one(&self.pool))
                .await
                .map_err(|_| Error::Unavailable(anyhow::anyhow!("Postgres did not answer within {PATIENCE:?}")))?
                .map_err(|error| Error::Unavailable(error.into()))
        };
        let (postgres, redis) = tokio::join!(postgres, self.redis_answers());
        postgres?;
        Ok(Json(Readiness { postgres: Part::Ok, redis: if redis { Part::Ok } else { Part::Unavailable } }))
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
