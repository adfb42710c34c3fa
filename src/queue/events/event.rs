//! What workers reported, and what came of it.

use std::time::Duration;

use serde_json::Value;
use uncloud_wire::{JobId, queue_name::SERVER, stream::Outcome};

use crate::metrics::Attempt;

/// What a worker said of one dispatch.
pub(in crate::queue) struct Event {
    pub(super) job_id: JobId,
    pub(super) fence: i64,
    /// Counts the workers that were given this dispatch; only the last one's reports count.
    pub(super) delivery: i32,
    pub(super) outcome: Outcome,
    pub(super) body: String,
    pub(super) worker: String,
    /// How long the handler ran; none when it never began.
    pub(super) duration_ms: Option<i32>,
    /// How long a job wants to be left alone.
    pub(super) after: Duration,
}

impl Event {
    /// Of a job that a server itself could not do.
    pub(in crate::queue) fn failure(job_id: JobId, fence: i64, error: String) -> Self {
        let worker = SERVER.to_owned();
        let outcome = Outcome::Retry;
        Self { job_id, fence, delivery: 1, outcome, body: error, worker, duration_ms: None, after: Duration::ZERO }
    }
}

/// What came to its end in a transaction.
#[derive(Default)]
pub(in crate::queue) struct Ended {
    /// Jobs of which nothing more will come.
    pub finished: Vec<JobId>,
    /// For the metrics.
    pub attempts: Vec<Attempt>,
}

/// A row whose worker reported success.
#[derive(Debug)]
pub struct Succeeded {
    /// The row.
    pub job_id: JobId,
    /// Whose work it was.
    pub queue: String,
    /// What it did.
    pub kind: String,
    /// Whom it is about.
    pub payload: Value,
    /// What the worker reported.
    pub result: Value,
}
