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
mod runner;
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
pub use runner::Runner;
pub use wake::{Wake, announce_schedules, listen};

use std::sync::Arc;

use tokio::{sync::watch, task::JoinSet};

/// Starts relay, desk, events consumer, sweep and the listener for other processes' wake-ups. Any number of
/// processes may run them against one database. They end when `stop` becomes true.
pub fn start(runner: &Runner, stop: &watch::Receiver<bool>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(relay::run(runner.clone(), stop.clone()));
    tasks.spawn(desk::run(runner.clone(), stop.clone()));
    tasks.spawn(events::run(runner.clone(), stop.clone()));
    tasks.spawn(sweep::run(runner.clone(), stop.clone()));
    tasks.spawn(control::run(runner.clone(), stop.clone()));
    let (pool, wake, mut stop) = (runner.pool.clone(), Arc::clone(&runner.wake), stop.clone());
    tasks.spawn(async move {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            () = wake::listen(pool, Arc::clone(&wake)) => {}
        }
        wake.end_waits();
    });
    tasks
}
