//! The state shared by the control plane's background tasks.

use std::sync::Arc;

use sqlx::PgPool;
use uncloud_wire::JobId;

use super::{
    kinds::JobKinds,
    notifier::{self, Notifier},
};
use crate::metrics::Metrics;

/// The state shared by the control plane's background tasks.
#[derive(Clone)]
pub struct Runner {
    /// The database: the source of truth.
    pub pool: PgPool,
    /// The client of Redis, which delivers jobs and events.
    pub redis: redis::Client,
    /// The implementation of each kind of job.
    pub kinds: Arc<dyn JobKinds>,
    /// Wakes tasks that wait for work or for results.
    pub wake: Arc<Notifier>,
    /// Counts the outcomes of jobs.
    pub metrics: Arc<Metrics>,
}

impl Runner {
    /// Announces, after the commit, that these jobs have ended.
    pub(super) async fn finished(&self, jobs: &[JobId]) -> sqlx::Result<()> {
        notifier::announce_finished(&self.pool, &self.wake, jobs).await
    }
}
