//! A job's name, and how a handler's failure is to be taken.

use std::time::Duration;

/// Identifies a job.
pub type JobId = i64;

/// How a handler's failure is to be taken; chosen where the failure happens.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// May well work later: counted against the job's limit, tried again after a backoff.
    #[error("{0}")]
    Retry(String),
    /// Can't work yet, and nobody is to blame: tried again after that long, and not counted.
    #[error("{reason}")]
    Snooze {
        /// How long to wait.
        after: Duration,
        /// What it waits for.
        reason: String,
    },
    /// Will never work: no further attempt.
    #[error("{0}")]
    Fail(String),
    /// Was revoked while it ran; [`super::stream::JobControl::run`] says so, not a handler.
    #[error("revoked by staff while it ran")]
    Revoked,
}

/// Whole milliseconds, as rows and Redis have them.
pub fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
