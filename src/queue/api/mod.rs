//! The operations on jobs, queues and workers.

mod admin_job;
mod admin_job_body;
mod admin_queue;
mod admin_worker;
mod job;
mod progress;
mod waits;

pub use admin_job::AdminJobApi;
pub use admin_queue::QueueApi;
pub use admin_worker::WorkerApi;
pub use job::{JobApi, JobRef};
pub use waits::Waits;
