//! The phases of the life cycle of networks and pools.

use crate::queue::JobState;

/// The phase of the life cycle of a network or a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, poem_openapi::Enum)]
#[oai(rename_all = "snake_case")]
pub enum NetworkStatus {
    /// The host has not confirmed it yet.
    Pending,
    /// The host has confirmed it.
    Active,
    /// The host could not set it up; the reason has the details.
    Failed,
    /// The host still has to remove it.
    Deleting,
}

impl NetworkStatus {
    /// Returns the phase, derived from the last change's generation, the generation that the host has confirmed, and
    /// the change's job, so that it can't become stale.
    pub(super) fn of(deleting: bool, (requested, applied): (i64, i64), job: Option<JobState>) -> Self {
        match job {
            _ if deleting => Self::Deleting,
            _ if applied >= requested => Self::Active,
            Some(JobState::Failed) => Self::Failed,
            _ => Self::Pending,
        }
    }
}
