//! Where a network or a pool is in its life.

use crate::queue::JobState;

/// Where a network or a pool is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, poem_openapi::Enum)]
#[oai(rename_all = "snake_case")]
pub enum NetworkStatus {
    /// The host does not have it yet.
    Pending,
    /// The host has confirmed it.
    Active,
    /// The host could not set it up; the reason says why.
    Failed,
    /// The host still has to remove it.
    Deleting,
}

impl NetworkStatus {
    /// Derived from the last change's generation, the one that the host has confirmed, and the change's job, so that it
    /// can't go stale.
    pub(super) fn of(deleting: bool, (wanted, applied): (i64, i64), job: Option<JobState>) -> Self {
        match job {
            _ if deleting => Self::Deleting,
            _ if applied >= wanted => Self::Active,
            Some(JobState::Failed) => Self::Failed,
            _ => Self::Pending,
        }
    }
}
