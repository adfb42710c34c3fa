//! The operations on all jobs; staff only.

use std::sync::Arc;

use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};

use super::admin_job_body::{AdminJobDetail, AdminJobList};
use crate::{
    database::Database,
    error::Error,
    http::{Body, Cursor, Id, Json, Number, PageQuery, QueueText, Sort, Staff, Tags, TextPart, input},
    queue::{
        JobState, Notifier,
        inspect::{self, JobFilter},
        operate,
    },
};

input! {
    /// The failed jobs to run again; omitted members do not limit them.
    pub struct JobRetryFilter {
        /// Only jobs of this queue.
        pub queue: Option<QueueText>,
        /// Only jobs of this kind.
        pub kind: Option<TextPart>,
        /// Only jobs whose error contains this text, ignoring case.
        pub error: Option<TextPart>,
        /// Only jobs that were requested at least this many seconds ago.
        pub min_age_seconds: Option<Number<0, 1_000_000_000>>,
    }
}

/// The number of jobs that an operation affected.
#[derive(Debug, Object)]
pub(super) struct JobCount {
    /// The number of jobs.
    pub(super) jobs: u64,
}

/// The operations on all jobs.
pub struct AdminJobApi {
    /// The database.
    pub pool: Database,
    /// Wakes tasks that wait for the jobs.
    pub wake: Arc<Notifier>,
}

#[OpenApi(prefix_path = "/v1/admin/job", tag = "Tags::Jobs")]
impl AdminJobApi {
    /// List jobs
    ///
    /// The newest first. `state=failed` lists the dead letters: jobs that failed permanently and wait for staff.
    #[oai(path = "/", method = "get", operation_id = "admin_job_list")]
    #[expect(clippy::too_many_arguments, reason = "one for each parameter of the query")]
    async fn list(
        &self,
        _staff: Staff,
        /// Only jobs in this state.
        state: Query<Option<JobState>>,
        /// Only jobs of this queue.
        queue: Query<Option<QueueText>>,
        /// Only jobs of this kind.
        kind: Query<Option<TextPart>>,
        /// Only jobs whose last error contains this text, ignoring case.
        error: Query<Option<TextPart>>,
        /// Only jobs that were requested at least this many seconds ago.
        #[oai(validator(minimum(value = "0"), maximum(value = "1000000000")))]
        min_age_seconds: Query<Option<i32>>,
        /// Maximum number of items on the page.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")), default = "page_size")]
        limit: Query<u8>,
        /// The cursor: `next` of the previous page.
        cursor: Query<Option<Cursor>>,
        /// The sort order.
        #[oai(default = "crate::http::newest_first")]
        sort: Query<Sort>,
    ) -> Result<Json<AdminJobList>, Error> {
        let filter = JobFilter {
            state: state.0,
            queue: queue.0.map(|queue| queue.0.into()),
            kind: kind.0.map(|kind| kind.0),
            min_age_seconds: min_age_seconds.0,
            error: error.0.map(|error| error.0),
        };
        let window = PageQuery::new(limit.0, cursor.0, sort.0)?;
        let jobs = inspect::jobs(&self.pool, &filter, window).await?;
        let (jobs, next) = window.page(jobs, |job| job.job_id);
        Ok(Json(AdminJobList { items: jobs.into_iter().map(Into::into).collect(), next }))
    }

    /// Read a job with its history
    ///
    /// Includes its attempts, its history, its parents, and a hint if it is stuck.
    #[oai(path = "/:id", method = "get", operation_id = "admin_job_read")]
    async fn read(
        &self,
        _staff: Staff,
        /// Identifies the job.
        id: Path<Id>,
    ) -> Result<Json<AdminJobDetail>, Error> {
        let job = inspect::job(&self.pool, id.0.0).await?;
        let job = job.ok_or_else(|| Error::NotFound(format!("job {} not found", id.0.0).into()))?;
        Ok(Json(job.into()))
    }

    /// Revoke a job
    ///
    /// A waiting job is revoked at once. If the job was dispatched or is running, its worker is notified; the job ends,
    /// with its child processes, when the worker has received the command.
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
    /// A failed or revoked job starts over; a job that waits for its time runs at once.
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
    /// Runs all failed jobs that match, at once. Jobs that succeeded, and unfinished jobs, are not changed.
    #[oai(path = "/retry", method = "post", operation_id = "admin_job_retry_all")]
    async fn retry_all(&self, _staff: Staff, body: Body<JobRetryFilter>) -> Result<Json<JobCount>, Error> {
        let filter = JobFilter {
            state: None,
            queue: body.0.queue.map(|queue| queue.0.into()),
            kind: body.0.kind.map(|kind| kind.0),
            min_age_seconds: body.0.min_age_seconds.map(Number::get),
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
