//! The states of a job, and its policy.

use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use uncloud_wire::Kind;

/// The state of a job.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, poem_openapi::Enum, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(rename_all = "snake_case", type_name = "text")]
#[oai(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for its time, for its parents, for the end of a duplicate or for Redis to be available.
    Queued,
    /// Sent to a worker.
    Dispatched,
    /// A worker has run it for longer than a heartbeat.
    Running,
    /// Completed successfully.
    Succeeded,
    /// Failed permanently; see the error.
    Failed,
    /// Revoked by staff, or by the server because nothing was left to do.
    Revoked,
    /// Replaced by a newer duplicate that does its work too.
    Superseded,
}

impl JobState {
    /// Returns true if the state is final.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Queued | Self::Dispatched | Self::Running => false,
            Self::Succeeded | Self::Failed | Self::Revoked | Self::Superseded => true,
        }
    }

    /// Returns the name that the database stores.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Dispatched => "dispatched",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Revoked => "revoked",
            Self::Superseded => "superseded",
        }
    }
}

/// A job's policy: each kind has one, and the code that enqueues a job may change it for that job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The number of failures after which the job fails permanently.
    pub max_failures: i32,
    /// The longest wait after the first failure; doubles with each further one.
    pub backoff_base: Duration,
    /// The upper limit of all waits.
    pub backoff_max: Duration,
    /// The time after which the handler is requested to finish.
    pub soft_limit: Option<Duration>,
    /// The time after which the handler and its child processes are terminated; counts as a failure.
    pub hard_limit: Option<Duration>,
    /// The priority, 0 to 9; jobs of priority 9 run first.
    pub priority: i16,
    /// The time for which a finished job is retained; a failed one is retained for at least a quarter of a year.
    pub keep: Duration,
}

impl Policy {
    /// The policy of most kinds.
    pub const DEFAULT: Self = Self {
        max_failures: 8,
        backoff_base: Duration::from_secs(1),
        backoff_max: Duration::from_mins(1),
        soft_limit: None,
        hard_limit: Some(Duration::from_hours(1)),
        priority: 5,
        keep: Duration::from_hours(7 * 24),
    };

    /// Returns the policy of a kind's jobs, unless the caller that enqueues a job changes it.
    pub const fn of(kind: Kind) -> Self {
        match kind {
            Kind::VpnApply => Self { hard_limit: Some(Duration::from_mins(5)), ..Self::DEFAULT },
            // A user waits for the response; a user who still needs it requests it again.
            Kind::VpnStatus => Self {
                max_failures: 1,
                hard_limit: Some(Duration::from_secs(30)),
                keep: Duration::from_hours(1),
                ..Self::DEFAULT
            },
            // The whole job is one transaction that holds locks.
            Kind::VpnReconcile => Self { hard_limit: Some(Duration::from_mins(1)), ..Self::DEFAULT },
            Kind::JobCleanup => Self {
                hard_limit: Some(Duration::from_mins(1)),
                priority: 0,
                keep: Duration::from_hours(24),
                ..Self::DEFAULT
            },
            // The customer cancelled and no longer pays, so it is retried until it succeeds.
            Kind::OrderService => Self { max_failures: 1000, backoff_max: Duration::from_hours(1), ..Self::DEFAULT },
            _ => Self::DEFAULT,
        }
    }
}

/// Returns the wait before the next attempt: exponential with full jitter, so that jobs that failed together are not
/// retried together. `random` is uniform in 0..=1.
pub(super) fn backoff(base: Duration, max: Duration, failures: i32, random: f64) -> Duration {
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(0).min(30);
    base.saturating_mul(1 << doublings).min(max).mul_f64(random.clamp(0.0, 1.0))
}

/// Returns a random number, uniform in 0..=1, for jitter.
pub(super) fn jitter(random: &SystemRandom) -> f64 {
    let mut bytes = [0; 4];
    // Without random numbers, the full wait is acceptable.
    if random.fill(&mut bytes).is_err() { 1.0 } else { f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_with_more_failures_doubles_up_to_its_limit() {
        let after = |failures, random| backoff(Duration::from_secs(1), Duration::from_mins(1), failures, random);
        let longest: Vec<u64> = (1..=8).map(|failures| after(failures, 1.0).as_secs()).collect();
        assert_eq!(longest, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(after(4, 0.0), Duration::ZERO);
        assert_eq!(after(4, 0.5), Duration::from_secs(4));
        assert_eq!(after(i32::MAX, 1.0), Duration::from_mins(1));
    }
}
