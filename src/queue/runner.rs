//! What the control plane's background tasks share.

use std::sync::Arc;

use sqlx::PgPool;
use uncloud_wire::JobId;

use super::{
    kinds::JobKinds,
    wake::{self, Wake},
};
use crate::metrics::Metrics;

/// What the control plane's background tasks share.
#[derive(Clone)]
pub struct Runner {
    /// The truth.
    pub pool: PgPool,
    /// The carrier.
    pub redis: redis::Client,
    /// What each kind of job means.
    pub kinds: Arc<dyn JobKinds>,
    /// Wakes those who wait for work or for results.
    pub wake: Arc<Wake>,
    /// Counts what becomes of jobs.
    pub metrics: Arc<Metrics>,
}

impl Runner {
    /// Tells everybody, after the commit, that these jobs have ended.
    pub(super) async fn finished(&self, jobs: &[JobId]) -> sqlx::Result<()> {
        wake::announce_finished(&self.pool, &self.wake, jobs).await
    }
}
