//! The details of a job for staff.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uncloud_wire::{JobId, stream::Progress};

use crate::queue::job::JobState;

/// A job with its history.
#[derive(Debug, Clone)]
pub struct JobDetail {
    /// The fields that a list shows.
    pub line: JobLine,
    /// The job's payload.
    pub payload: Value,
    /// The result that its worker reported.
    pub result: Option<Value>,
    /// The newer job that does this one's work too.
    pub superseded_by: Option<JobId>,
    /// The number of failures that count against the limit.
    pub failures: i32,
    /// The number of failures after which the job fails permanently.
    pub max_failures: i32,
    /// A key whose jobs run one at a time; at most one of them waits.
    pub unique_key: Option<String>,
    /// A key whose jobs run one after the other.
    pub serial_key: Option<String>,
    /// The worker that ran it last.
    pub worker: Option<String>,
    /// The time of its last dispatch to a worker.
    pub dispatched_at: Option<DateTime<Utc>>,
    /// The time at which a worker first reported that it runs the last attempt.
    pub running_at: Option<DateTime<Utc>>,
    /// The time at which staff requested its revocation.
    pub revoke_requested_at: Option<DateTime<Utc>>,
    /// The duration of the last attempt, in milliseconds.
    pub duration_ms: Option<i32>,
    /// The id of the HTTP request that created it.
    pub request_id: Option<String>,
    /// The jobs that it waits or waited for.
    pub parents: Vec<ParentLine>,
    /// The attempts that did not succeed, in order.
    pub attempts: Vec<JobAttempt>,
    /// The reason for which it is stuck, and a fix; none if nothing is wrong.
    pub hint: Option<String>,
}

/// A job that another job waits or waited for.
#[derive(Debug, Clone)]
pub struct ParentLine {
    /// Identifies the job.
    pub job_id: JobId,
    /// The state of the job.
    pub state: JobState,
    /// True if the waiting job requires its success.
    pub needed: bool,
    /// The error, if it failed.
    pub error: Option<String>,
}

/// An attempt that did not succeed.
#[derive(Debug, Clone)]
pub struct JobAttempt {
    /// The number of the attempt, from 1.
    pub attempt: i32,
    /// The outcome: `retry`, `snoozed`, `failed`, `lost` or `revoked`.
    pub outcome: String,
    /// The time of its dispatch to a worker.
    pub dispatched_at: Option<DateTime<Utc>>,
    /// The time at which a worker first reported that it runs this attempt; none if that was shorter than a heartbeat.
    pub running_at: Option<DateTime<Utc>>,
    /// The duration in milliseconds, by the worker's clock.
    pub duration_ms: Option<i32>,
    /// The time at which the server recorded its end.
    pub ended_at: DateTime<Utc>,
    /// The worker that ran it.
    pub worker: Option<String>,
    /// The error, if there was one.
    pub error: Option<String>,
}

/// A job in a list.
#[derive(Debug, Clone)]
pub struct JobLine {
    /// Identifies the job.
    pub job_id: JobId,
    /// The state of the job.
    pub state: JobState,
    /// The kind of the job.
    pub kind: String,
    /// The job's queue.
    pub queue: String,
    /// The priority; jobs of priority 9 run first.
    pub priority: i16,
    /// The number of dispatches to a worker.
    pub attempt: i32,
    /// The time at which it was requested.
    pub created_at: DateTime<Utc>,
    /// The earliest time of the next attempt.
    pub run_at: DateTime<Utc>,
    /// The time at which it reached its final state.
    pub finished_at: Option<DateTime<Utc>>,
    /// The last error.
    pub error: Option<String>,
    /// The progress of the job.
    pub progress: Option<Progress>,
}
