//! Is the service there, and can it work?

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

use poem_openapi::{Enum, Object, OpenApi, payload::Json};
use redis::{AsyncCommands as _, aio::ConnectionManager};
use sqlx::PgPool;
use tokio::sync::Mutex;
use uncloud_wire::stream::reconnecting;

use crate::{error::Error, http::Tags};

/// Longest wait for one part's answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// For so long an answer is good for everybody.
const FRESH: Duration = Duration::from_secs(1);

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
#[derive(Debug, Clone, Copy, Object)]
pub struct Readiness {
    /// The truth; without it nothing works.
    pub postgres: Part,
    /// The carrier; without it requests are accepted, and done when it is back.
    pub redis: Part,
}

/// The operations.
pub struct HealthApi {
    pool: PgPool,
    redis: redis::Client,
    /// On which Redis is asked: anybody may ask us, and each question is not to cost a connection.
    connection: OnceLock<ConnectionManager>,
    /// What Postgres and Redis answered last, and when; locked while they are asked.
    last: Mutex<Option<(Instant, Readiness)>>,
}

impl HealthApi {
    /// Asks these two.
    pub fn new(pool: PgPool, redis: redis::Client) -> Self {
        Self { pool, redis, connection: OnceLock::new(), last: Mutex::default() }
    }
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
    /// 503 while Postgres does not answer; `detail` tells about both. Without Redis the answer is 200 and says so.
    #[oai(path = "/readyz", method = "get", operation_id = "readiness_read")]
    async fn readyz(&self) -> Result<Json<Readiness>, Error> {
        let mut last = self.last.lock().await;
        let readiness = match *last {
            Some((at, readiness)) if at.elapsed() < FRESH => readiness,
            _ => {
                let (postgres, redis) = tokio::join!(self.postgres_answers(), self.redis_answers());
                let part = |answers| if answers { Part::Ok } else { Part::Unavailable };
                let readiness = Readiness { postgres: part(postgres), redis: part(redis) };
                *last = Some((Instant::now(), readiness));
                readiness
            }
        };
        match readiness {
            Readiness { postgres: Part::Ok, .. } => Ok(Json(readiness)),
            Readiness { redis: Part::Ok, .. } => Err(Error::NotReady("Postgres does not answer; Redis does".into())),
            _ => Err(Error::NotReady("neither Postgres nor Redis answers".into())),
        }
    }

    async fn postgres_answers(&self) -> bool {
        let answer = tokio::time::timeout(PATIENCE, sqlx::query!("select 1 as one").fetch_one(&self.pool)).await;
        let failure = match &answer {
            Ok(Ok(_)) => return true,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {PATIENCE:?}"),
        };
        tracing::error!(error = failure, "Postgres does not answer");
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
