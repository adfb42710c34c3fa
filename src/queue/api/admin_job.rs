//! All jobs over HTTP; staff only.

use std::sync::Arc;

use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use sqlx::PgPool;

use super::admin_job_body::{AdminJobDetail, AdminJobList};
use crate::{
    error::Error,
    http::{Body, Cursor, Id, Number, PageQuery, QueueText, Sort, Staff, Tags, TextPart, input},
    queue::{
        JobState, Notifier,
        inspect::{self, JobFilter},
        operate,
    },
};

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
        pub min_age_seconds: Option<Number<0, 1_000_000_000>>,
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
    pub wake: Arc<Notifier>,
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
        min_age_seconds: Query<Option<i32>>,
        /// Jobs on a page.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")), default = "page_size")]
        limit: Query<u8>,
        /// The page's begin: `next` of the page before.
        cursor: Query<Option<Cursor>>,
        /// In which order.
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
    /// With its attempts, its steps in time, what it waits for, and a hint where it needs help.
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

    /// Revoke a job
    ///
    /// One that waits is revoked at once. Of one that is on its way or running the worker is told; it ends, with its
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
    /// One that failed or was revoked, as if for the first time; or one that waits for its time, at once.
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
    /// All that match, at once. Jobs that ended well, and those that are still under way, are not touched.
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
