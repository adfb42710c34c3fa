//! A job as staff see it.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uncloud_wire::{JobId, stream::Progress};

use crate::queue::job::JobState;

/// Everything about a job.
#[derive(Debug, Clone)]
pub struct JobDetail {
    /// What a list shows.
    pub line: JobLine,
    /// Whom it is about.
    pub payload: Value,
    /// What its worker reported.
    pub result: Option<Value>,
    /// The newer job that does this one's work too.
    pub superseded_by: Option<JobId>,
    /// Failures that count against the limit.
    pub failures: i32,
    /// The limit.
    pub max_failures: i32,
    /// Jobs of one key run one at a time, and at most one waits.
    pub unique_key: Option<String>,
    /// Jobs of one key run one after the other.
    pub serial_key: Option<String>,
    /// Who ran it last.
    pub worker: Option<String>,
    /// When it was last sent to a worker.
    pub dispatched_at: Option<DateTime<Utc>>,
    /// When a worker was first known to be at the last attempt.
    pub running_at: Option<DateTime<Utc>>,
    /// When staff wanted it revoked.
    pub revoke_requested_at: Option<DateTime<Utc>>,
    /// How long the last attempt ran.
    pub duration_ms: Option<i32>,
    /// The HTTP request that wanted it.
    pub request_id: Option<String>,
    /// What it waits or waited for.
    pub parents: Vec<ParentLine>,
    /// What became of attempts that were not its success, the first one first.
    pub attempts: Vec<Attempt>,
    /// Why it does not get on, and what to do; none when all is well.
    pub hint: Option<String>,
}

/// A job that another one waits or waited for.
#[derive(Debug, Clone)]
pub struct ParentLine {
    /// The job.
    pub job_id: JobId,
    /// Where it is in its life.
    pub state: JobState,
    /// Whether its success matters.
    pub needed: bool,
    /// Why it failed.
    pub error: Option<String>,
}

/// An attempt that was not the job's success.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Counts from 1.
    pub attempt: i32,
    /// `retry`, `snoozed`, `failed`, `lost` or `revoked`.
    pub outcome: String,
    /// When it was sent to a worker.
    pub dispatched_at: Option<DateTime<Utc>>,
    /// When a worker was first known to be at it; none when it was shorter than a heartbeat.
    pub running_at: Option<DateTime<Utc>>,
    /// How long it ran, by the worker's clock.
    pub duration_ms: Option<i32>,
    /// When its end was known.
    pub ended_at: DateTime<Utc>,
    /// Who ran it.
    pub worker: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
}

/// A job in a list.
#[derive(Debug, Clone)]
pub struct JobLine {
    /// Identifies it.
    pub job_id: JobId,
    /// Where it is in its life.
    pub state: JobState,
    /// What it does.
    pub kind: String,
    /// Whose work it is.
    pub queue: String,
    /// 9 goes first.
    pub priority: i16,
    /// How often it was sent to a worker.
    pub attempt: i32,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// Earliest time of the next attempt.
    pub run_at: DateTime<Utc>,
    /// When nothing more was to be done.
    pub finished_at: Option<DateTime<Utc>>,
    /// The last error.
    pub error: Option<String>,
    /// How far it is.
    pub progress: Option<Progress>,
}
