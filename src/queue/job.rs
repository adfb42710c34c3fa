//! Words of a job's life.

use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

/// Identifies a job.
pub type JobId = i64;

/// Where a job is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, poem_openapi::Enum)]
#[serde(rename_all = "snake_case")]
#[sqlx(rename_all = "snake_case", type_name = "text")]
#[oai(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for its time, for a twin to end or for Redis to be back.
    Queued,
    /// On its way to a worker.
    Dispatched,
    /// A worker has been at it for longer than a heartbeat.
    Running,
    /// Done.
    Succeeded,
    /// Given up; the error says why.
    Failed,
    /// Withdrawn before it ran.
    Revoked,
    /// Gave way to a newer twin that does its work too.
    Superseded,
}

impl JobState {
    /// True when nothing more will happen to the job.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Queued | Self::Dispatched | Self::Running => false,
            Self::Succeeded | Self::Failed | Self::Revoked | Self::Superseded => true,
        }
    }
}

/// How a handler's failure is to be taken; chosen where the failure happens.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// May well work later: counted against the kind's limit, tried again after a backoff.
    #[error("{0}")]
    Retry(String),
    /// Will never work: no further attempt.
    #[error("{0}")]
    Fail(String),
}

/// How often and how patiently a kind of job is tried.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Failures after which the job is given up.
    pub max_failures: i32,
    /// Longest wait after the first failure; doubles with each further one.
    pub backoff_base: Duration,
    /// Longest wait at all.
    pub backoff_max: Duration,
}

impl Policy {
    /// The wait before the next attempt: exponential with full jitter, so that jobs which failed together do
    /// not come back together. `random` is uniform in 0..=1.
    pub fn backoff(&self, failures: i32, random: f64) -> Duration {
        let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(0).min(30);
        self.backoff_base.saturating_mul(1 << doublings).min(self.backoff_max).mul_f64(random.clamp(0.0, 1.0))
    }
}

/// A number uniform in 0..=1, for jitter.
pub(super) fn jitter(random: &SystemRandom) -> f64 {
    let mut bytes = [0; 4];
    // Without random numbers the full wait is as good.
    if random.fill(&mut bytes).is_err() { 1.0 } else { f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_its_limit_and_is_spread_over_the_whole_span() {
        let policy =
            Policy { max_failures: 9, backoff_base: Duration::from_secs(1), backoff_max: Duration::from_mins(1) };
        let longest: Vec<u64> = (1..=8).map(|failures| policy.backoff(failures, 1.0).as_secs()).collect();
        assert_eq!(longest, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(policy.backoff(4, 0.0), Duration::ZERO);
        assert_eq!(policy.backoff(4, 0.5), Duration::from_secs(4));
        assert_eq!(policy.backoff(i32::MAX, 1.0), Duration::from_mins(1));
    }
}
