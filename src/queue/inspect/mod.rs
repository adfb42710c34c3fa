//! What staff see of jobs, queues and workers. Nothing here grows with the number of finished jobs.

mod detail;
mod job;
mod queue;
mod worker;

pub use detail::JobLine;
pub use detail::{Attempt, JobDetail, ParentLine};
pub use job::{JobFilter, job, jobs};
pub use queue::{QueueLine, queues};
pub use worker::{WorkerLine, workers};

/// A worker that has said nothing for so long is not there.
const SILENCE_SECS: f64 = 15.0;
