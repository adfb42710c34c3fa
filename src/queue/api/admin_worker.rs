//! The operations on workers; staff only.

use chrono::{DateTime, Utc};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    types::ToJSON as _,
};
use serde_json::Value;
use uncloud_wire::JobId;

use crate::{
    database::Database,
    error::Error,
    http::{Body, Id, Json, Number, QueueText, Representation, Staff, Tags, input},
    queue::{
        inspect::{self, WorkerLine},
        operate,
    },
};

/// A process that runs jobs of a queue, as it last reported.
#[derive(Debug, Object)]
#[oai(rename = "Worker", skip_serializing_if_is_none)]
struct WorkerBody {
    /// Identifies the worker, from its start to its end.
    id: i64,
    /// The queue that the worker serves.
    queue: String,
    /// The name it was started with.
    name: String,
    /// The program's version.
    version: String,
    /// False if the worker has stopped, or has not reported for a while.
    alive: bool,
    /// The number of jobs that it runs at the same time.
    concurrency: i32,
    /// The concurrency that staff requested, until the worker has it.
    desired_concurrency: Option<i32>,
    /// The jobs that the worker holds.
    active: Vec<WorkerJob>,
    /// The kinds of jobs that the worker knows.
    kinds: Vec<String>,
    /// The time of its start, by its own clock.
    started_at: DateTime<Utc>,
    /// The time of its last report.
    last_seen_at: DateTime<Utc>,
    /// The number of jobs completed since its start.
    succeeded: i64,
    /// The number of failed attempts since its start.
    failed: i64,
    /// The number of jobs that other workers took over from it since its start.
    leases_lost: i64,
    /// The resident memory, in bytes.
    rss_bytes: i64,
}

/// A job that a worker holds.
#[derive(Debug, Object)]
struct WorkerJob {
    /// Identifies the job.
    id: JobId,
    /// The kind of the job.
    kind: String,
    /// The seconds since the worker received it.
    elapsed_seconds: u64,
}

impl From<WorkerLine> for WorkerBody {
    fn from(line: WorkerLine) -> Self {
        let desired = line.desired_concurrency.filter(|desired| *desired != line.concurrency);
        let active =
            line.active.0.into_iter().map(|job| WorkerJob { id: job.job, kind: job.kind, elapsed_seconds: job.secs });
        Self {
            id: line.worker_id,
            queue: line.queue,
            name: line.name,
            version: line.version,
            alive: line.alive,
            concurrency: line.concurrency,
            desired_concurrency: desired,
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

impl Representation for WorkerLine {
    fn representation(self) -> Option<Value> {
        WorkerBody::from(self).to_json()
    }
}

/// A list of workers.
#[derive(Debug, Object)]
struct WorkerList {
    /// The workers that are alive or reported within the last hour, by queue and name.
    items: Vec<WorkerBody>,
}

input! {
    /// A change of a worker.
    pub struct WorkerUpdate {
        /// The number of jobs at the same time, until the worker ends. Running jobs are finished.
        pub concurrency: Number<1, 1024>,
    }
}

/// The operations on workers.
pub struct WorkerApi {
    /// The database.
    pub pool: Database,
}

#[OpenApi(prefix_path = "/v1/admin/worker", tag = "Tags::Jobs")]
impl WorkerApi {
    /// List workers
    ///
    /// Lists the workers that are alive, and those that have not reported for a while, by queue and name.
    #[oai(path = "/", method = "get", operation_id = "admin_worker_list")]
    async fn list(
        &self,
        _staff: Staff,
        /// Only workers of this queue.
        queue: Query<Option<QueueText>>,
    ) -> Result<Json<WorkerList>, Error> {
        let queue = queue.0.map(|queue| String::from(queue.0));
        let workers = inspect::workers(&self.pool, queue.as_deref()).await?;
        Ok(Json(WorkerList { items: workers.into_iter().map(Into::into).collect() }))
    }

    /// Read a worker
    ///
    /// Returns its current jobs, and its counters since its start.
    #[oai(path = "/:id", method = "get", operation_id = "admin_worker_read")]
    async fn read(
        &self,
        _staff: Staff,
        /// Identifies the worker.
        id: Path<Id>,
    ) -> Result<Json<WorkerBody>, Error> {
        let workers = inspect::workers(&self.pool, None).await?;
        let worker = workers.into_iter().find(|worker| worker.worker_id == id.0.0);
        let worker = worker.ok_or_else(|| Error::NotFound(format!("worker {} not found", id.0.0).into()))?;
        Ok(Json(worker.into()))
    }

    /// Change how many jobs a live worker runs at the same time
    ///
    /// The change lasts until the worker is restarted.
    #[oai(path = "/:id", method = "patch", operation_id = "admin_worker_update")]
    async fn update(
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
