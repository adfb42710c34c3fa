//! All jobs over HTTP; staff only.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    types::Any,
};
use serde_json::Value;
use sqlx::PgPool;

use crate::{
    error::Error,
    http::{Body, Cursor, Id, Number, QueueText, Staff, Tags, TextPart, Window, input, page},
    queue::{
        JobId, JobState, Step, Wake,
        backend::Progress,
        history,
        inspect::{self, Attempt, JobDetail, JobFilter, JobLine, ParentLine},
        operate,
    },
};

/// A job as staff see it in a list.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct AdminJob {
    /// Identifies the job.
    id: JobId,
    /// Where it is in its life.
    state: JobState,
    /// What it does.
    kind: String,
    /// Whose work it is: a host's name, or a word for the provider's own work.
    queue: String,
    /// 0 to 9; 9 goes first.
    priority: i16,
    /// How often it was sent to a worker.
    attempt: i32,
    /// When it was asked for.
    created_at: DateTime<Utc>,
    /// Earliest time of the next attempt.
    run_at: DateTime<Utc>,
    /// When nothing more was to be done.
    finished_at: Option<DateTime<Utc>>,
    /// The last error.
    error: Option<String>,
    /// How far it is.
    progress: Option<Progress>,
}

impl From<JobLine> for AdminJob {
    fn from(line: JobLine) -> Self {
        Self {
            id: line.job_id,
            state: line.state,
            kind: line.kind,
            queue: line.queue,
            priority: line.priority,
            attempt: line.attempt,
            created_at: line.created_at,
            run_at: line.run_at,
            finished_at: line.finished_at,
            error: line.error,
            progress: line.progress,
        }
    }
}

/// A page of jobs.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct AdminJobList {
    /// The newest first.
    items: Vec<AdminJob>,
    /// Cursor of the next page; absent on the last.
    next: Option<String>,
}

/// A job with its history.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct AdminJobDetail {
    /// What a list shows.
    job: AdminJob,
    /// Why it does not get on, and what to do; absent when all is well.
    advice: Option<String>,
    /// Whom it is about.
    payload: Any<Value>,
    /// What its worker reported.
    result: Option<Any<Value>>,
    /// The newer job that does this one's work too.
    superseded_by: Option<JobId>,
    /// Failures that count against the limit.
    failures: i32,
    /// The limit.
    max_failures: i32,
    /// Jobs of one key run one at a time, and at most one waits.
    unique_key: Option<String>,
    /// Jobs of one key run one after the other.
    serial_key: Option<String>,
    /// Who ran it last.
    worker: Option<String>,
    /// When it was last sent to a worker.
    dispatched_at: Option<DateTime<Utc>>,
    /// When a worker was first known to be at the last attempt; absent when that was shorter than a heartbeat.
    running_at: Option<DateTime<Utc>>,
    /// When staff wanted it withdrawn.
    revoke_requested_at: Option<DateTime<Utc>>,
    /// How long the last attempt ran, in milliseconds.
    took_ms: Option<i32>,
    /// The HTTP request that wanted it; it stands in the logs of server and worker.
    request_id: Option<String>,
    /// What it waits or waited for.
    parents: Vec<AdminJobParent>,
    /// What became of attempts that were not its success, the first one first.
    attempts: Vec<AdminJobAttempt>,
    /// Its life, step by step.
    history: Vec<AdminJobStep>,
}

/// A job that another one waits or waited for.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct AdminJobParent {
    /// The job.
    id: JobId,
    /// Where it is in its life.
    state: JobState,
    /// Whether its success matters.
    needed: bool,
    /// Why it failed.
    error: Option<String>,
}

impl From<ParentLine> for AdminJobParent {
    fn from(parent: ParentLine) -> Self {
        Self { id: parent.job_id, state: parent.state, needed: parent.needed, error: parent.error }
    }
}

/// An attempt that was not the job's success.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct AdminJobAttempt {
    /// Counts from 1.
    attempt: i32,
    /// `retry`, `snoozed`, `failed`, `lost` (with Redis) or `revoked`.
    outcome: String,
    /// When it was sent to a worker.
    dispatched_at: Option<DateTime<Utc>>,
    /// When a worker was first known to be at it; absent when it was shorter than a heartbeat.
    running_at: Option<DateTime<Utc>>,
    /// How long it ran, in milliseconds, by the worker's clock.
    took_ms: Option<i32>,
    /// When its end was known.
    ended_at: DateTime<Utc>,
    /// Who ran it.
    worker: Option<String>,
    /// What went wrong.
    error: Option<String>,
}

impl From<Attempt> for AdminJobAttempt {
    fn from(attempt: Attempt) -> Self {
        Self {
            attempt: attempt.attempt,
            outcome: attempt.outcome,
            dispatched_at: attempt.dispatched_at,
            running_at: attempt.running_at,
            took_ms: attempt.took_ms,
            ended_at: attempt.ended_at,
            worker: attempt.worker,
            error: attempt.error,
        }
    }
}

/// What happened to a job.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct AdminJobStep {
    /// When.
    at: DateTime<Utc>,
    /// Its state from then on, or what became of an attempt: `retry`, `snoozed` or `lost`.
    what: String,
    /// Counts from 1; absent before the first one.
    attempt: Option<i32>,
    /// Who ran it.
    worker: Option<String>,
    /// What went wrong.
    error: Option<String>,
}

impl From<Step> for AdminJobStep {
    fn from(step: Step) -> Self {
        Self { at: step.at, what: step.what, attempt: step.attempt, worker: step.worker, error: step.error }
    }
}

impl From<JobDetail> for AdminJobDetail {
    fn from(job: JobDetail) -> Self {
        Self {
            history: history(&job).into_iter().map(Into::into).collect(),
            job: job.line.into(),
            advice: job.advice,
            payload: Any(job.payload),
            result: job.result.map(Any),
            superseded_by: job.superseded_by,
            failures: job.failures,
            max_failures: job.max_failures,
            unique_key: job.unique_key,
            serial_key: job.serial_key,
            worker: job.worker,
            dispatched_at: job.dispatched_at,
            running_at: job.running_at,
            revoke_requested_at: job.revoke_requested_at,
            took_ms: job.took_ms,
            request_id: job.request_id,
            parents: job.parents.into_iter().map(Into::into).collect(),
            attempts: job.attempts.into_iter().map(Into::into).collect(),
        }
    }
}

input! {
    /// Which of the failed jobs to run again; what is left out limits nothing.
    pub struct JobRetryFilter {
        /// Those of this queue.
        pub queue: Option<QueueText>,
        /// Those of this kind.
        pub kind: Option<TextPart>,
        /// Those whose error has this in it, in upper or lower case.
        pub error: Option<TextPart>,
        /// Those that were asked for at least so many seconds ago.
        pub min_age_secs: Option<Number<0, 1_000_000_000>>,
    }
}

/// How many jobs an operation was about.
#[derive(Debug, Object)]
pub(super) struct JobCount {
    /// That many.
    pub(super) jobs: u64,
}

/// The operations.
pub struct AdminJobApi {
    /// Where the jobs are.
    pub pool: PgPool,
    /// Wakes those who wait for them.
    pub wake: Arc<Wake>,
}

#[OpenApi(prefix_path = "/v1/admin/job", tag = "Tags::Jobs")]
impl AdminJobApi {
    /// List jobs
    ///
    /// The newest first. `state=failed` are the dead letters: they were given up and wait for staff.
    #[oai(path = "/", method = "get", operation_id = "admin_job_list")]
    #[expect(clippy::too_many_arguments, reason = "one for each parameter of the query")]
    async fn list(
        &self,
        _staff: Staff,
        /// Those in this state.
        state: Query<Option<JobState>>,
        /// Those of this queue.
        queue: Query<Option<QueueText>>,
        /// Those of this kind.
        kind: Query<Option<TextPart>>,
        /// Those whose last error has this in it, in upper or lower case.
        error: Query<Option<TextPart>>,
        /// Those that were asked for at least so many seconds ago.
        #[oai(validator(minimum(value = "0"), maximum(value = "1000000000")))]
        min_age_secs: Query<Option<i32>>,
        /// Jobs on a page.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")), default = "page_size")]
        limit: Query<u8>,
        /// The page's begin: `next` of the page before.
        cursor: Query<Option<Cursor>>,
    ) -> Result<Json<AdminJobList>, Error> {
        let filter = JobFilter {
            state: state.0,
            queue: queue.0.map(|queue| queue.0.into()),
            kind: kind.0.map(|kind| kind.0),
            min_age_secs: min_age_secs.0,
            error: error.0.map(|error| error.0),
        };
        let window = Window::new(limit.0, cursor.0);
        let jobs = inspect::jobs(&self.pool, &filter, window.after, window.fetch()).await?;
        let (jobs, next) = page(jobs, window, |job| job.job_id);
        Ok(Json(AdminJobList { items: jobs.into_iter().map(Into::into).collect(), next }))
    }

    /// Read a job with its history
    ///
    /// What it is about, what became of each attempt, and what to do when it does not get on.
    #[oai(path = "/:id", method = "get", operation_id = "admin_job_read")]
    async fn read(
        &self,
        _staff: Staff,
        /// Identifies the job.
        id: Path<Id>,
    ) -> Result<Json<AdminJobDetail>, Error> {
        let job = inspect::job(&self.pool, id.0.0).await?;
        let job = job.ok_or_else(|| Error::NotFound(format!("there is no job {}", id.0.0).into()))?;
        Ok(Json(job.into()))
    }

    /// Withdraw a job
    ///
    /// One that waits is withdrawn at once. Of one that is on its way or running the worker is told; it ends, with its
    /// child processes, when the worker has heard of it.
    #[oai(path = "/:id/revoke", method = "post", operation_id = "admin_job_revoke")]
    async fn revoke(
        &self,
        staff: Staff,
        /// Identifies the job.
        id: Path<Id>,
    ) -> Result<Json<AdminJobDetail>, Error> {
        operate::revoke(&self.pool, &self.wake, id.0.0).await?;
        self.read(staff, id).await
    }

    /// Run a job again
    ///
    /// One that failed or was withdrawn, as if for the first time; or one that waits for its time, at once.
    #[oai(path = "/:id/retry", method = "post", operation_id = "admin_job_retry")]
    async fn retry(
        &self,
        staff: Staff,
        /// Identifies the job.
        id: Path<Id>,
    ) -> Result<Json<AdminJobDetail>, Error> {
        operate::retry(&self.pool, id.0.0).await?;
        self.wake.queued();
        self.read(staff, id).await
    }

    /// Run failed jobs again
    ///
    /// As if for the first time. An empty object means all that failed.
    #[oai(path = "/retry", method = "post", operation_id = "admin_job_retry_all")]
    async fn retry_all(&self, _staff: Staff, body: Body<JobRetryFilter>) -> Result<Json<JobCount>, Error> {
        let filter = JobFilter {
            state: None,
            queue: body.0.queue.map(|queue| queue.0.into()),
            kind: body.0.kind.map(|kind| kind.0),
            min_age_secs: body.0.min_age_secs.map(Number::get),
            error: body.0.error.map(|error| error.0),
        };
        let jobs = operate::retry_all(&self.pool, &filter).await?;
        self.wake.queued();
        Ok(Json(JobCount { jobs }))
    }
}

const fn page_size() -> u8 {
    50
}
