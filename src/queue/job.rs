//! Words of a job's life.

use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use uncloud_wire::Kind;

/// Where a job is in its life.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, poem_openapi::Enum, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(rename_all = "snake_case", type_name = "text")]
#[oai(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for its time, for its parents, for a twin to end or for Redis to be back.
    Queued,
    /// On its way to a worker.
    Dispatched,
    /// A worker has been at it for longer than a heartbeat.
    Running,
    /// Done.
    Succeeded,
    /// Given up; the error says why.
    Failed,
    /// Revoked.
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

    /// Its name in rows.
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

/// A job's terms: the kind has them, and whoever enqueues may change them for one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Failures after which the job is given up.
    pub max_failures: i32,
    /// Longest wait after the first failure; doubles with each further one.
    pub backoff_base: Duration,
    /// Longest wait at all.
    pub backoff_max: Duration,
    /// The handler is asked to wind up after this long.
    pub soft_limit: Option<Duration>,
    /// The handler and its child processes are ended after this long; counts as a failure.
    pub hard_limit: Option<Duration>,
    /// 0 to 9; 9 goes first.
    pub priority: i16,
    /// How long the finished job is kept; a failed one is kept for a quarter of a year at least.
    pub keep: Duration,
}

impl Policy {
    /// What most kinds want.
    pub const DEFAULT: Self = Self {
        max_failures: 8,
        backoff_base: Duration::from_secs(1),
        backoff_max: Duration::from_mins(1),
        soft_limit: None,
        hard_limit: Some(Duration::from_hours(1)),
        priority: 5,
        keep: Duration::from_hours(7 * 24),
    };

    /// The terms of a kind's jobs, unless the one who enqueues wants others.
    pub const fn of(kind: Kind) -> Self {
        match kind {
            Kind::VpnApply => Self { hard_limit: Some(Duration::from_mins(5)), ..Self::DEFAULT },
            // Somebody waits for the answer; whoever still wants it asks again.
            Kind::VpnStatus => Self {
                max_failures: 1,
                hard_limit: Some(Duration::from_secs(30)),
                keep: Duration::from_hours(1),
                ..Self::DEFAULT
            },
            // All of it is one transaction that has locks.
            Kind::VpnReconcile => Self { hard_limit: Some(Duration::from_mins(1)), ..Self::DEFAULT },
            Kind::JobCleanup => Self {
                hard_limit: Some(Duration::from_mins(1)),
                priority: 0,
                keep: Duration::from_hours(24),
                ..Self::DEFAULT
            },
            Kind::BillRun | Kind::BillPart | Kind::BillEnd => Self::DEFAULT,
            // Whoever cancelled pays no more, so it is tried until it works.
            Kind::OrderService => Self { max_failures: 1000, backoff_max: Duration::from_hours(1), ..Self::DEFAULT },
        }
    }
}

/// The wait before the next attempt: exponential with full jitter, so that jobs which failed together do not come
/// back together. `random` is uniform in 0..=1.
pub(super) fn backoff(base: Duration, max: Duration, failures: i32, random: f64) -> Duration {
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(0).min(30);
    base.saturating_mul(1 << doublings).min(max).mul_f64(random.clamp(0.0, 1.0))
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
        let after = |failures, random| backoff(Duration::from_secs(1), Duration::from_mins(1), failures, random);
        let longest: Vec<u64> = (1..=8).map(|failures| after(failures, 1.0).as_secs()).collect();
        assert_eq!(longest, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(after(4, 0.0), Duration::ZERO);
        assert_eq!(after(4, 0.5), Duration::from_secs(4));
        assert_eq!(after(i32::MAX, 1.0), Duration::from_mins(1));
    }
}
