//! Reads jobs for staff, one by one and in lists.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgExecutor;
use uncloud_wire::JobId;

use crate::{
    database::Database,
    http::{PageQuery, in_order},
    queue::{
        diagnose,
        inspect::detail::{JobAttempt, JobDetail, JobLine, ParentLine},
        job::JobState,
        reports,
    },
};

/// A filter of jobs; a field that is none does not limit them.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// The state of the jobs.
    pub state: Option<JobState>,
    /// The queue of the jobs.
    pub queue: Option<String>,
    /// The kind of the jobs.
    pub kind: Option<String>,
    /// The minimum age in seconds, since the request.
    pub min_age_seconds: Option<i32>,
    /// A text that the last error contains, ignoring case.
    pub error: Option<String>,
}

/// A row of the table `job`.
struct Row {
    job_id: JobId,
    state: JobState,
    kind: String,
    queue: String,
    priority: i16,
    attempt: i32,
    created_at: DateTime<Utc>,
    run_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    error: Option<String>,
    progress: Option<Value>,
}

impl From<Row> for JobLine {
    fn from(row: Row) -> Self {
        let Row { job_id, state, kind, queue, priority, attempt, created_at, run_at, finished_at, error, progress } =
            row;
        let progress = reports::parse_progress(progress);
        Self { job_id, state, kind, queue, priority, attempt, created_at, run_at, finished_at, error, progress }
    }
}

/// Returns a page of the jobs that match.
pub async fn jobs(db: &Database, filter: &JobFilter, window: PageQuery) -> sqlx::Result<Vec<JobLine>> {
    let rows = in_order!(
        window,
        &db.search(),
        query_as<Row>,
        id "job_id",
        r#"select job_id, state as "state: JobState", kind, queue, priority, attempt, created_at, run_at, finished_at,
                  error, progress
           from job
           where ($3::text is null or state = $3) and ($4::text is null or queue = $4) and ($5::text is null or kind = $5)
               and ($6::integer is null or created_at < now() - make_interval(secs => $6))
               and ($7::text is null or strpos(lower(error), lower($7)) > 0)"#,
        filter.state.map(JobState::as_str),
        filter.queue,
        filter.kind,
        filter.min_age_seconds,
        filter.error,
    )?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// Returns one job with its details.
pub async fn job(db: &Database, job_id: JobId) -> sqlx::Result<Option<JobDetail>> {
    let Some(row) = sqlx::query!(
        r#"select state as "state: JobState", kind, queue, priority, attempt, created_at, run_at, finished_at, error,
                  progress, payload, result, superseded_by, failures, max_failures, unique_key, serial_key, worker,
                  dispatched_at, running_at, revoke_requested_at, duration_ms, request_id
           from job where job_id = $1"#,
        job_id
    )
    .fetch_optional(db)
    .await?
    else {
        return Ok(None);
    };
    let detail = JobDetail {
        line: JobLine {
            job_id,
            state: row.state,
            kind: row.kind,
            queue: row.queue,
            priority: row.priority,
            attempt: row.attempt,
            created_at: row.created_at,
            run_at: row.run_at,
            finished_at: row.finished_at,
            error: row.error,
            progress: reports::parse_progress(row.progress),
        },
        payload: row.payload,
        result: row.result,
        superseded_by: row.superseded_by,
        failures: row.failures,
        max_failures: row.max_failures,
        unique_key: row.unique_key,
        serial_key: row.serial_key,
        worker: row.worker,
        dispatched_at: row.dispatched_at,
        running_at: row.running_at,
        revoke_requested_at: row.revoke_requested_at,
        duration_ms: row.duration_ms,
        request_id: row.request_id,
        parents: parents(db, job_id).await?,
        attempts: attempts(db, job_id).await?,
        hint: None,
    };
    let hint = diagnose::hint(db, &detail).await?;
    Ok(Some(JobDetail { hint, ..detail }))
}

async fn parents(db: impl PgExecutor<'_>, job_id: JobId) -> sqlx::Result<Vec<ParentLine>> {
    sqlx::query_as!(
        ParentLine,
        r#"select parent.job_id, parent.state as "state: JobState", needed, parent.error
           from job_parent join job parent on parent.job_id = parent_id where job_parent.job_id = $1 order by parent_id"#,
        job_id
    )
    .fetch_all(db)
    .await
}

async fn attempts(db: impl PgExecutor<'_>, job_id: JobId) -> sqlx::Result<Vec<JobAttempt>> {
    sqlx::query_as!(
        JobAttempt,
        "select attempt, outcome, dispatched_at, running_at, duration_ms, ended_at, worker, error from job_attempt
         where job_id = $1 order by attempt",
        job_id
    )
    .fetch_all(db)
    .await
}
