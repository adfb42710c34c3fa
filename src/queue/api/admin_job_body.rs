//! Jobs as staff see them.

use chrono::{DateTime, Utc};
use poem_openapi::types::ToJSON as _;
use poem_openapi::{Object, types::Any};
use serde_json::Value;
use uncloud_wire::JobId;

use super::progress::JobProgress;
use crate::{
    http::Shown,
    queue::{
        history::{self, Step},
        inspect::{Attempt, JobDetail, JobLine, ParentLine},
        job::JobState,
    },
};

/// A job as staff see it in a list.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct AdminJob {
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
    progress: Option<JobProgress>,
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
            progress: line.progress.map(JobProgress::from),
        }
    }
}

impl Shown for JobLine {
    fn shown(self) -> Option<Value> {
        AdminJob::from(self).to_json()
    }
}

/// A page of jobs.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct AdminJobList {
    /// In the order asked for.
    pub(super) items: Vec<AdminJob>,
    /// Cursor of the next page; absent on the last.
    pub(super) next: Option<String>,
}

/// A job with its history.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct AdminJobDetail {
    /// What a list shows.
    job: AdminJob,
    /// Why the job is stuck, and a fix; absent when all is well.
    hint: Option<String>,
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
    /// When staff wanted it revoked.
    revoke_requested_at: Option<DateTime<Utc>>,
    /// How long the last attempt ran, in milliseconds.
    duration_ms: Option<i32>,
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
pub(super) struct AdminJobParent {
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
pub(super) struct AdminJobAttempt {
    /// Counts from 1.
    attempt: i32,
    /// `retry`, `snoozed`, `failed`, `lost` (with Redis) or `revoked`.
    outcome: String,
    /// When it was sent to a worker.
    dispatched_at: Option<DateTime<Utc>>,
    /// When a worker was first known to be at it; absent when it was shorter than a heartbeat.
    running_at: Option<DateTime<Utc>>,
    /// How long it ran, in milliseconds, by the worker's clock.
    duration_ms: Option<i32>,
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
            duration_ms: attempt.duration_ms,
            ended_at: attempt.ended_at,
            worker: attempt.worker,
            error: attempt.error,
        }
    }
}

/// What happened to a job.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct AdminJobStep {
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
            history: history::history(&job).into_iter().map(Into::into).collect(),
            job: job.line.into(),
            hint: job.hint,
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
            duration_ms: job.duration_ms,
            request_id: job.request_id,
            parents: job.parents.into_iter().map(Into::into).collect(),
            attempts: job.attempts.into_iter().map(Into::into).collect(),
        }
    }
}

impl Shown for JobDetail {
    fn shown(self) -> Option<Value> {
        AdminJobDetail::from(self).to_json()
    }
}
