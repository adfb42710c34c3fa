//! The job runner: PostgreSQL is the source of truth, Redis delivers the jobs, workers run them.
//!
//! A job is a row written together with the change that requires it ([`enqueue`]). The *relay* pushes available rows to
//! Redis; a worker runs them and reports by *events*, which update the row's state. The *rescuer* queues jobs again
//! that Redis lost, and *control* sends staff's commands to workers. Jobs of the queue `server` are run by the servers
//! themselves (`server_jobs`), in the database alone. The runner knows no domain: the meaning of each kind of job comes
//! from [`JobKinds`].

pub mod access;
pub mod job;

mod api;
mod claim;
mod control;
mod db;
mod depths;
mod diagnose;
mod events;
mod history;
pub mod inspect;
mod kinds;
mod notifier;
pub mod operate;
mod outbox;
mod relay;
mod reports;
mod rescuer;
mod retention;
mod runner;
mod server_jobs;

pub use api::{AdminJobApi, JobApi, JobRef, QueueApi, Waits, WorkerApi};
pub use claim::{Claimed, Parent};
pub use db::{JobView, find, wait_until_finished};
pub use depths::{Depth, depths};
pub use events::Succeeded;
pub use history::{Step, history};
pub use job::{JobState, Policy};
pub use kinds::{JobKinds, Prepared, Settled};
pub use notifier::{Notifier, announce_schedules, listen};
pub use outbox::{DependsOn, NewJob, enqueue, enqueue_all, wake_relays};
pub use retention::prepare_cleanup;
pub use runner::Runner;

use std::sync::Arc;

use tokio::{sync::watch, task::JoinSet};

/// Starts the relay, the server's own jobs, the events consumer, the rescuer and the listener for other processes'
/// notifications. Any number of processes may run them against one database. They end when `stop` becomes true.
pub fn start(runner: &Runner, stop: &watch::Receiver<bool>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(relay::run(runner.clone(), stop.clone()));
    tasks.spawn(server_jobs::run(runner.clone(), stop.clone()));
    tasks.spawn(events::run(runner.clone(), stop.clone()));
    tasks.spawn(rescuer::run(runner.clone(), stop.clone()));
    tasks.spawn(control::run(runner.clone(), stop.clone()));
    let (pool, wake, mut stop) = (runner.pool.clone(), Arc::clone(&runner.wake), stop.clone());
    tasks.spawn(async move {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            () = notifier::listen(pool, Arc::clone(&wake)) => {}
        }
        wake.end_waits();
    });
    tasks
}
