//! Reads jobs, queues and workers for staff. No cost here grows with the number of finished jobs.

mod detail;
mod job;
mod queue;
mod worker;

pub use detail::JobLine;
pub use detail::{JobAttempt, JobDetail, ParentLine};
pub use job::{JobFilter, job, jobs};
pub use queue::{QueueLine, queues};
pub use worker::{WorkerLine, workers};

/// The silence in seconds after which a worker counts as gone.
const SILENCE_SECS: f64 = 15.0;
