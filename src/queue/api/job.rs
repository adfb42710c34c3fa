//! The operations on a user's own jobs.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use poem_openapi::types::ToJSON as _;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    types::Any,
};
use serde_json::Value;
use uncloud_wire::JobId;

use super::{progress::JobProgress, waits::Waits};
use crate::{
    database::Database,
    error::Error,
    http::{AuthenticatedUser, Id, Json, Representation, Tags},
    queue::{
        db::{JobView, wait_until_finished},
        job::JobState,
        notifier::Notifier,
        reports,
    },
};

/// A reference to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Object)]
pub struct JobRef {
    /// Identifies the job: `GET /v1/job/{id}`.
    pub id: JobId,
    /// The state of the job.
    pub state: JobState,
}

impl JobRef {
    /// Returns a reference if both parts are known.
    pub fn of(id: Option<JobId>, state: Option<JobState>) -> Option<Self> {
        Some(Self { id: id?, state: state? })
    }
}

/// A job that a worker or a server runs.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct Job {
    /// Identifies the job.
    pub id: JobId,
    /// The state of the job. A superseded job shows the state of the newer one.
    pub state: JobState,
    /// The newer job that does this one's work too.
    pub superseded_by: Option<JobId>,
    /// The kind of the job.
    pub kind: String,
    /// The number of dispatches to a worker.
    pub attempt: i32,
    /// The last error; a job that is retried keeps it until then.
    pub error: Option<String>,
    /// The time at which it was requested.
    pub created_at: DateTime<Utc>,
    /// The earliest time of the next attempt.
    pub run_at: DateTime<Utc>,
    /// The time of its last dispatch to a worker.
    pub dispatched_at: Option<DateTime<Utc>>,
    /// The time at which it reached its final state.
    pub finished_at: Option<DateTime<Utc>>,
    /// The progress, if its handler reports it.
    pub progress: Option<JobProgress>,
    /// Staff only: the queue, which is the host's name.
    pub queue: Option<String>,
    /// Staff only: the worker that ran it last.
    pub worker: Option<String>,
    /// Staff only: the result that the worker reported.
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
            progress: reports::parse_progress(view.progress).map(JobProgress::from),
            queue: staff.then_some(view.queue),
            worker: view.worker.filter(|_| staff),
            result: view.result.filter(|_| staff).map(Any),
        }
    }
}

/// The representation for staff.
impl Representation for JobView {
    fn representation(self) -> Option<Value> {
        Job::new(self, true).to_json()
    }
}

/// The seconds after which a user with too many long polls may try again.
const RETRY_AFTER_SECS: u64 = 5;

/// The operations on a user's own jobs.
pub struct JobApi {
    /// The database.
    pub pool: Database,
    /// Wakes long polls.
    pub wake: Arc<Notifier>,
    /// The long polls in flight.
    pub waits: Waits,
}

#[OpenApi(prefix_path = "/v1/job", tag = "Tags::Jobs")]
impl JobApi {
    /// Read a job
    ///
    /// With `wait`, the response is sent when the job has finished, or after that many seconds with its current state.
    /// Customers see the jobs that they requested; staff see all. A user may wait for 32 jobs at the same time.
    #[oai(path = "/:id", method = "get", operation_id = "job_read")]
    async fn read(
        &self,
        caller: AuthenticatedUser,
        /// Identifies the job.
        id: Path<Id>,
        /// The seconds to wait for the job's end.
        #[oai(validator(minimum(value = "0"), maximum(value = "60")), default)]
        wait: Query<u8>,
    ) -> Result<Json<Job>, Error> {
        let requester = (!caller.0.staff).then_some(caller.0.user_id);
        let wait = Duration::from_secs(wait.0.into());
        let too_many = Error::RateLimited { retry_after_seconds: RETRY_AFTER_SECS };
        let _waits = if wait.is_zero() { None } else { Some(self.waits.begin(caller.0.user_id).ok_or(too_many)?) };
        let view = wait_until_finished(&self.pool, &self.wake, id.0.0, requester, wait).await?;
        let view = view.ok_or_else(|| Error::NotFound(format!("job {} not found", id.0.0).into()))?;
        Ok(Json(Job::new(view, caller.0.staff)))
    }
}
