//! The configuration of a worker in a queue.

use std::time::Duration;

use crate::queue_name::QueueName;

/// The consumer group of a queue's workers.
pub const GROUP: &str = "workers";

/// The limit of pending entries that are read; a queue's workers never hold more jobs.
pub(super) const MAX_PENDING: usize = 10_000;

/// The configuration of a worker in a queue.
#[derive(Debug, Clone)]
pub struct StreamConfig {
    /// The client of Redis.
    pub redis: redis::Client,
    /// The queue that the worker serves.
    pub queue: QueueName,
    /// The worker's name in the consumer group. Two processes may share it: each one only renews the leases that it
    /// holds.
    pub worker: String,
    /// The number of jobs that run at the same time; never more are read, so that others stay available to other
    /// workers.
    pub slots: usize,
    /// The time without a heartbeat after which another worker may take a job over.
    pub lease: Duration,
    /// The number of deliveries after which a job is reported as failed, because its worker dies each time.
    pub max_deliveries: usize,
    /// The kinds of jobs that the worker knows, for people.
    pub kinds: Vec<&'static str>,
}

impl StreamConfig {
    /// Creates a configuration with the defaults: a dead worker's job runs again within ten seconds, and it kills no
    /// more than three workers.
    pub fn new(redis: redis::Client, queue: QueueName, worker: String, slots: usize) -> Self {
        Self {
            redis,
            queue,
            worker,
            slots: slots.max(1),
            lease: Duration::from_secs(6),
            max_deliveries: 3,
            kinds: Vec::new(),
        }
    }
}
