//! The job runner: Postgres remembers, Redis carries, workers converge.
//!
//! A job is a row written together with the change that wants it ([`enqueue`]). The *relay* pushes due rows to
//! Redis, a worker runs them and reports by *events*, which become the row's new state. The *sweep* takes back
//! what Redis lost, and *control* tells workers what staff want. Jobs of the queue `server` are done by the *desk*, in the
//! database alone. The runner knows no noun: what a kind of job means is told by [`JobKinds`].

pub mod access;
pub mod job;

mod api;
mod claim;
mod control;
mod db;
mod depths;
mod desk;
mod events;
mod explain;
mod history;
pub mod inspect;
mod kinds;
pub mod operate;
mod outbox;
mod relay;
mod reports;
mod retention;
mod sweep;
mod wake;

pub use api::{AdminJobApi, JobApi, JobRef, QueueApi, WorkerApi};
pub use claim::{Claimed, Parent};
pub use db::{JobView, find, wait_until_finished};
pub use depths::{Depth, depths};
pub use events::Succeeded;
pub use history::{Step, history};
pub use job::{JobState, Policy};
pub use kinds::{JobKinds, Rendered, Settled};
pub use outbox::{After, NewJob, enqueue, enqueue_all, wake_relays};
pub use retention::render_cleanup;
pub use wake::{Wake, announce_schedules, listen};

use std::sync::Arc;

use sqlx::PgPool;
use tokio::{sync::watch, task::JoinSet};

use crate::metrics::Metrics;
use uncloud_wire::JobId;

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
    /// Starts relay, desk, events consumer, sweep and the listener for other processes' wake-ups. Any number of
    /// processes may run them against one database. They end when `stop` becomes true.
    pub fn start(&self, stop: &watch::Receiver<bool>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        tasks.spawn(relay::run(self.clone(), stop.clone()));
        tasks.spawn(desk::run(self.clone(), stop.clone()));
        tasks.spawn(events::run(self.clone(), stop.clone()));
        tasks.spawn(sweep::run(self.clone(), stop.clone()));
        tasks.spawn(control::run(self.clone(), stop.clone()));
        let (pool, wake, mut stop) = (self.pool.clone(), Arc::clone(&self.wake), stop.clone());
        tasks.spawn(async move {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => {}
                () = wake::listen(pool, Arc::clone(&wake)) => {}
            }
            wake.end_waits();
        });
        tasks
    }

    /// Tells everybody, after the commit, that these jobs have ended.
    async fn finished(&self, jobs: &[JobId]) -> sqlx::Result<()> {
        wake::announce_finished(&self.pool, &self.wake, jobs).await
    }
}
