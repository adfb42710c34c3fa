//! Workers over HTTP; staff only.

use chrono::{DateTime, Utc};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    types::ToJSON as _,
};
use serde_json::Value;
use sqlx::PgPool;
use uncloud_wire::JobId;

use crate::{
    error::Error,
    http::{Body, Id, Number, QueueText, Shown, Staff, Tags, input},
    queue::{
        inspect::{self, WorkerLine},
        operate,
    },
};

/// A process that runs jobs of a queue, as it last reported.
#[derive(Debug, Object)]
#[oai(rename = "Worker", skip_serializing_if_is_none)]
struct WorkerBody {
    /// Identifies it, from its start to its end.
    id: i64,
    /// Whose work it does.
    queue: String,
    /// The name it was started with.
    name: String,
    /// The program's version.
    version: String,
    /// False when it has said goodbye, or nothing for a while.
    alive: bool,
    /// Jobs at the same time.
    concurrency: i32,
    /// The concurrency that staff requested, until the worker has it.
    desired_concurrency: Option<i32>,
    /// The jobs that it holds.
    active: Vec<WorkerJob>,
    /// The kinds that it knows.
    kinds: Vec<String>,
    /// When it was started, by its own clock.
    started_at: DateTime<Utc>,
    /// When it last reported.
    last_seen_at: DateTime<Utc>,
    /// Jobs done since it was started.
    succeeded: i64,
    /// Attempts failed since it was started.
    failed: i64,
    /// Jobs that other workers took over from it since it was started.
    leases_lost: i64,
    /// Its memory.
    rss_bytes: i64,
}

/// A job that a worker holds.
#[derive(Debug, Object)]
struct WorkerJob {
    /// The job.
    id: JobId,
    /// What it does.
    kind: String,
    /// Seconds since the worker received it.
    elapsed_seconds: u64,
}

impl From<WorkerLine> for WorkerBody {
    fn from(line: WorkerLine) -> Self {
        let wanted = line.desired_concurrency.filter(|wanted| *wanted != line.concurrency);
        let active =
            line.active.0.into_iter().map(|job| WorkerJob { id: job.job, kind: job.kind, elapsed_seconds: job.secs });
        Self {
            id: line.worker_id,
            queue: line.queue,
            name: line.name,
            version: line.version,
            alive: line.alive,
            concurrency: line.concurrency,
            desired_concurrency: wanted,
            active: active.collect(),
            kinds: line.kinds,
            started_at: line.started_at,
            last_seen_at: line.last_seen_at,
            succeeded: line.succeeded,
            failed: line.failed,
            leases_lost: line.leases_lost,
            rss_bytes: line.rss_bytes,
        }
    }
}

impl Shown for WorkerLine {
    fn shown(self) -> Option<Value> {
        WorkerBody::from(self).to_json()
    }
}

/// Workers.
#[derive(Debug, Object)]
struct WorkerList {
    /// By queue and name: those that are there, or were within the hour.
    items: Vec<WorkerBody>,
}

input! {
    /// What to change of a worker.
    pub struct WorkerUpdate {
        /// Jobs at the same time, until it ends. Running ones are finished.
        pub concurrency: Number<1, 1024>,
    }
}

/// The operations.
pub struct WorkerApi {
    /// Where the workers' reports are.
    pub pool: PgPool,
}

#[OpenApi(prefix_path = "/v1/admin/worker", tag = "Tags::Jobs")]
impl WorkerApi {
    /// List workers
    ///
    /// By queue and name: those that are alive, and those that have not been heard of for a while.
    #[oai(path = "/", method = "get", operation_id = "admin_worker_list")]
    async fn list(
        &self,
        _staff: Staff,
        /// Those of this queue.
        queue: Query<Option<QueueText>>,
    ) -> Result<Json<WorkerList>, Error> {
        let queue = queue.0.map(|queue| String::from(queue.0));
        let workers = inspect::workers(&self.pool, queue.as_deref()).await?;
        Ok(Json(WorkerList { items: workers.into_iter().map(Into::into).collect() }))
    }

    /// Read a worker
    ///
    /// What it runs now, and what it has done since it was started.
    #[oai(path = "/:id", method = "get", operation_id = "admin_worker_read")]
    async fn read(
        &self,
        _staff: Staff,
        /// Identifies the worker.
        id: Path<Id>,
    ) -> Result<Json<WorkerBody>, Error> {
        let workers = inspect::workers(&self.pool, None).await?;
        let worker = workers.into_iter().find(|worker| worker.worker_id == id.0.0);
        let worker = worker.ok_or_else(|| Error::NotFound(format!("there is no worker {}", id.0.0).into()))?;
        Ok(Json(worker.into()))
    }

    /// Change how many jobs a live worker runs at the same time
    ///
    /// It holds until the worker is started again.
    #[oai(path = "/:id", method = "patch", operation_id = "admin_worker_update")]
    async fn edit(
        &self,
        staff: Staff,
        /// Identifies the worker.
        id: Path<Id>,
        body: Body<WorkerUpdate>,
    ) -> Result<Json<WorkerBody>, Error> {
        operate::set_concurrency(&self.pool, id.0.0, body.0.concurrency.get()).await?;
        self.read(staff, id).await
    }
}
