//! Jobs over HTTP.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use poem_openapi::types::ToJSON as _;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    types::Any,
};
use serde_json::Value;
use sqlx::PgPool;
use uncloud_wire::JobId;

use super::progress::JobProgress;
use crate::{
    error::Error,
    http::{Id, Shown, SignedIn, Tags},
    queue::{
        db::{JobView, wait_until_finished},
        job::JobState,
        reports,
        wake::Wake,
    },
};

/// A job, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Object)]
pub struct JobRef {
    /// Identifies it: `GET /v1/job/{id}`.
    pub id: JobId,
    /// Where it is in its life.
    pub state: JobState,
}

impl JobRef {
    /// Both or nothing.
    pub fn of(id: Option<JobId>, state: Option<JobState>) -> Option<Self> {
        Some(Self { id: id?, state: state? })
    }
}

/// Work that a worker does.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct Job {
    /// Identifies the job.
    pub id: JobId,
    /// Where it is in its life. A job that gave way to a newer one shows the state of that one.
    pub state: JobState,
    /// The newer job that does this one's work too.
    pub superseded_by: Option<JobId>,
    /// What it does.
    pub kind: String,
    /// How often it was sent to a worker.
    pub attempt: i32,
    /// The last error; a job that is tried again keeps it until then.
    pub error: Option<String>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// Earliest time of the next attempt.
    pub run_at: DateTime<Utc>,
    /// When it was last sent to a worker.
    pub dispatched_at: Option<DateTime<Utc>>,
    /// When nothing more was to be done.
    pub finished_at: Option<DateTime<Utc>>,
    /// How far it is, where its handler says so.
    pub progress: Option<JobProgress>,
    /// Staff only: the queue, which is the host's name.
    pub queue: Option<String>,
    /// Staff only: the worker that ran it last.
    pub worker: Option<String>,
    /// Staff only: what the worker reported.
    pub result: Option<Any<Value>>,
}

impl Job {
    fn new(view: JobView, staff: bool) -> Self {
        Self {
            id: view.job_id,
            state: view.state,
            superseded_by: view.superseded_by,
            kind: view.kind,
            attempt: view.attempt,
            error: view.error,
            created_at: view.created_at,
            run_at: view.run_at,
            dispatched_at: view.dispatched_at,
            finished_at: view.finished_at,
            progress: reports::shown(view.progress).map(JobProgress::from),
            queue: staff.then_some(view.queue),
            worker: view.worker.filter(|_| staff),
            result: view.result.filter(|_| staff).map(Any),
        }
    }
}

/// As staff see it.
impl Shown for JobView {
    fn shown(self) -> Option<Value> {
        Job::new(self, true).to_json()
    }
}

/// The operations.
pub struct JobApi {
    /// Where the jobs are.
    pub pool: PgPool,
    /// Wakes long polls.
    pub wake: Arc<Wake>,
}

#[OpenApi(prefix_path = "/v1/job", tag = "Tags::Jobs")]
impl JobApi {
    /// Read a job
    ///
    /// With `wait` the answer comes when the job has finished, or after that many seconds with what it is by then.
    /// Customers see the jobs that they asked for, staff see all.
    #[oai(path = "/:id", method = "get", operation_id = "job_read")]
    async fn read(
        &self,
        caller: SignedIn,
        /// Identifies the job.
        id: Path<Id>,
        /// Seconds to wait for the job's end.
        #[oai(validator(minimum(value = "0"), maximum(value = "60")), default)]
        wait: Query<u8>,
    ) -> Result<Json<Job>, Error> {
        let requester = (!caller.0.staff).then_some(caller.0.user_id);
        let wait = Duration::from_secs(wait.0.into());
        let view = wait_until_finished(&self.pool, &self.wake, id.0.0, requester, wait).await?;
        let view = view.ok_or_else(|| Error::NotFound(format!("there is no job {}", id.0.0).into()))?;
        Ok(Json(Job::new(view, caller.0.staff)))
    }
}
