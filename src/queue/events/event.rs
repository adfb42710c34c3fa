//! Workers' events, and their effects.

use std::time::Duration;

use serde_json::Value;
use uncloud_wire::{JobId, queue_name::SERVER, stream::Outcome};

use crate::metrics::JobAttempt;

/// A worker's event about one dispatch.
pub(in crate::queue) struct Event {
    pub(super) job_id: JobId,
    pub(super) fence: i64,
    /// The number of workers that have received this dispatch; only the last one's reports count.
    pub(super) delivery: i32,
    pub(super) outcome: Outcome,
    pub(super) body: String,
    pub(super) worker: String,
    /// The handler's run time; none if it never started.
    pub(super) duration_ms: Option<i32>,
    /// The wait before the next attempt, for a snoozed job.
    pub(super) after: Duration,
}

impl Event {
    /// Creates the event of a server's own job that failed.
    pub(in crate::queue) fn failure(job_id: JobId, fence: i64, error: String) -> Self {
        let worker = SERVER.to_owned();
        let outcome = Outcome::Retry;
        Self { job_id, fence, delivery: 1, outcome, body: error, worker, duration_ms: None, after: Duration::ZERO }
    }
}

/// The jobs and attempts that ended in a transaction.
#[derive(Default)]
pub(in crate::queue) struct Ended {
    /// The jobs that reached a final state.
    pub finished: Vec<JobId>,
    /// The attempts, for the metrics.
    pub attempts: Vec<JobAttempt>,
}

/// A job whose worker reported success.
#[derive(Debug)]
pub struct Succeeded {
    /// Identifies the job.
    pub job_id: JobId,
    /// The job's queue.
    pub queue: String,
    /// The kind of the job.
    pub kind: String,
    /// The job's payload.
    pub payload: Value,
    /// The result that the worker reported.
    pub result: Value,
}
