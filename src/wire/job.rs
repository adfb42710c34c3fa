//! A job's id, and the errors of its handler.

use std::time::Duration;

/// Identifies a job.
pub type JobId = i64;

/// An error of a handler, which determines whether the job is retried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// The job may succeed later: counted against its limit, retried after a backoff.
    #[error("{0}")]
    Retry(String),
    /// The job can't run yet, for no fault of its own: retried after that time, and not counted.
    #[error("{reason}")]
    Snooze {
        /// The time to wait.
        after: Duration,
        /// The reason for the wait.
        reason: String,
    },
    /// The job will never succeed: no further attempt.
    #[error("{0}")]
    Fail(String),
    /// The job was revoked while it ran; [`super::stream::JobControl::run`] returns this, not a handler.
    #[error("revoked by staff while it ran")]
    Revoked,
}

/// Returns whole milliseconds, as rows and Redis store them.
pub fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
