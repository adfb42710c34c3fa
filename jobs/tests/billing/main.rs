//! Bill runs as operators have them: `uncloud bill run`, the schedule, and workers for the queue `billing` as processes, with
//! real Redis and PostgreSQL.

mod clock;
mod jobs;
mod soak;
