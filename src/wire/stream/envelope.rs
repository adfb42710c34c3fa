//! The message in Redis for one attempt of a job.

use std::time::Duration;

use crate::{job::JobId, queue_name::QueueName};

/// The message in Redis for one attempt of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The job's queue, which determines the stream.
    pub queue: QueueName,
    /// The job's id, in table `job`.
    pub job_id: JobId,
    /// Identifies this dispatch: reports of another dispatch change nothing.
    pub fence: i64,
    /// The kind of the job; see [`crate::kind::Kind`].
    pub kind: String,
    /// The payload as JSON, prepared at dispatch. The handler decodes it: an unreadable payload fails that job, not the
    /// worker.
    pub payload: Vec<u8>,
    /// The time after which the handler is requested to finish.
    pub soft_limit: Option<Duration>,
    /// The time after which the handler is terminated.
    pub hard_limit: Option<Duration>,
    /// The id of the HTTP request that created the job.
    pub request_id: Option<String>,
}
