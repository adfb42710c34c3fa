//! The job runner with jobs of the tests' own: servers and workers as processes, real Redis and PostgreSQL.
//!
//! A server runs what `uncloud serve` runs besides HTTP, a worker is all of `uncloud-worker`; only what their jobs
//! mean is defined here, as an [`Action`]. Both are the test program started a second time, which has to come to
//! [`play_role`].

mod action;
mod handler;
mod role;
mod stage;

pub use action::Action;
pub use handler::{Kinds, nanos, trace_file};
pub use role::{Addresses, play_role};
pub use stage::{JobRow, Stage};

use std::time::Duration;

use uncloud::queue::{NewJob, Policy};
use uncloud_wire::QueueName;

/// The queue of most jobs.
pub const QUEUE: &str = "vpn-1.example.ch";

/// Returns [`QUEUE`] as a name.
pub fn queue_name() -> QueueName {
    QUEUE.parse().expect("a queue")
}

/// Makes a job for an action that leaves nothing to chance: no wait before another attempt is longer than a moment.
/// `change` may give it other terms.
pub fn new_job<'a>(action: &Action, queue: &'a QueueName, change: impl FnOnce(&mut NewJob<'a>)) -> NewJob<'a> {
    let policy = Policy { backoff_max: Duration::from_millis(50), max_failures: 3, ..Policy::DEFAULT };
    let mut job = NewJob::new(queue, action.kind(), serde_json::to_value(action).expect("JSON"), policy);
    change(&mut job);
    job
}
