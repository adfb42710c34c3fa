//! The representations of jobs for staff.

use chrono::{DateTime, Utc};
use poem_openapi::types::ToJSON as _;
use poem_openapi::{Object, types::Any};
use serde_json::Value;
use uncloud_wire::JobId;

use super::progress::JobProgress;
use crate::{
    http::Representation,
    queue::{
        history::{self, Step},
        inspect::{JobAttempt, JobDetail, JobLine, ParentLine},
        job::JobState,
    },
};

/// A job in a list for staff.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct AdminJob {
    /// Identifies the job.
    id: JobId,
    /// The state of the job.
    state: JobState,
    /// The kind of the job.
    kind: String,
    /// The job's queue: a host's name, or a word for the provider's own work.
    queue: String,
    /// The priority, 0 to 9; jobs of priority 9 run first.
    priority: i16,
    /// The number of dispatches to a worker.
    attempt: i32,
    /// The time at which it was requested.
    created_at: DateTime<Utc>,
    /// The earliest time of the next attempt.
    run_at: DateTime<Utc>,
    /// The time at which it reached its final state.
    finished_at: Option<DateTime<Utc>>,
    /// The last error.
    error: Option<String>,
    /// The progress of the job.
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

impl Representation for JobLine {
    fn representation(self) -> Option<Value> {
        AdminJob::from(self).to_json()
    }
}

/// A page of jobs.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct AdminJobList {
    /// The jobs, in the requested order.
    pub(super) items: Vec<AdminJob>,
    /// Cursor of the next page; absent on the last.
    pub(super) next: Option<String>,
}

/// A job with its history.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct AdminJobDetail {
    /// The members that a list shows.
    job: AdminJob,
    /// The reason for which the job is stuck, and a fix; absent if nothing is wrong.
    hint: Option<String>,
    /// The payload of the job.
    payload: Any<Value>,
    /// The result that its worker reported.
    result: Option<Any<Value>>,
    /// The newer job that does this one's work too.
    superseded_by: Option<JobId>,
    /// The number of failures that count against the limit.
    failures: i32,
    /// The number of failures after which the job fails permanently.
    max_failures: i32,
    /// A key whose jobs run one at a time; at most one of them waits.
    unique_key: Option<String>,
    /// A key whose jobs run one after the other.
    serial_key: Option<String>,
    /// The worker that ran it last.
    worker: Option<String>,
    /// The time of its last dispatch to a worker.
    dispatched_at: Option<DateTime<Utc>>,
    /// The time at which a worker first reported that it runs the last attempt; absent if that was shorter than a
    /// heartbeat.
    running_at: Option<DateTime<Utc>>,
    /// The time at which staff requested its revocation.
    revoke_requested_at: Option<DateTime<Utc>>,
    /// The duration of the last attempt, in milliseconds.
    duration_ms: Option<i32>,
    /// The id of the HTTP request that created it; the logs of server and worker contain it.
    request_id: Option<String>,
    /// The jobs that it waits or waited for.
    parents: Vec<AdminJobParent>,
    /// The attempts that did not succeed, in order.
    attempts: Vec<AdminJobAttempt>,
    /// The history of the job, step by step.
    history: Vec<AdminJobStep>,
}

/// A job that another job waits or waited for.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct AdminJobParent {
    /// Identifies the job.
    id: JobId,
    /// The state of the job.
    state: JobState,
    /// True if the waiting job requires its success.
    needed: bool,
    /// The error, if it failed.
    error: Option<String>,
}

impl From<ParentLine> for AdminJobParent {
    fn from(parent: ParentLine) -> Self {
        Self { id: parent.job_id, state: parent.state, needed: parent.needed, error: parent.error }
    }
}

/// An attempt that did not succeed.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct AdminJobAttempt {
    /// The number of the attempt, from 1.
    attempt: i32,
    /// The outcome: `retry`, `snoozed`, `failed`, `lost` (with Redis) or `revoked`.
    outcome: String,
    /// The time of its dispatch to a worker.
    dispatched_at: Option<DateTime<Utc>>,
    /// The time at which a worker first reported that it runs this attempt; absent if that was shorter than a
    /// heartbeat.
    running_at: Option<DateTime<Utc>>,
    /// The duration, in milliseconds, by the worker's clock.
    duration_ms: Option<i32>,
    /// The time at which the server recorded its end.
    ended_at: DateTime<Utc>,
    /// The worker that ran it.
    worker: Option<String>,
    /// The error, if there was one.
    error: Option<String>,
}

impl From<JobAttempt> for AdminJobAttempt {
    fn from(attempt: JobAttempt) -> Self {
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

/// An event in the history of a job.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct AdminJobStep {
    /// The time of the event.
    at: DateTime<Utc>,
    /// The job's state from then on, or the outcome of an attempt: `retry`, `snoozed` or `lost`.
    event: String,
    /// The number of the attempt, from 1; absent before the first one.
    attempt: Option<i32>,
    /// The worker that ran it.
    worker: Option<String>,
    /// The error, if there was one.
    error: Option<String>,
}

impl From<Step> for AdminJobStep {
    fn from(step: Step) -> Self {
        Self { at: step.at, event: step.event, attempt: step.attempt, worker: step.worker, error: step.error }
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

impl Representation for JobDetail {
    fn representation(self) -> Option<Value> {
        AdminJobDetail::from(self).to_json()
    }
}
