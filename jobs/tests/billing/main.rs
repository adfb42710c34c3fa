//! Bill runs as operators have them: `uncloud bill run`, the schedule, and workers for the queue `billing` as processes, with
//! real Redis and PostgreSQL.

mod clock;
mod jobs;
mod office;
#[allow(dead_code, reason = "the tests of the hosts use the rest")]
#[path = "../hosts/process.rs"]
mod process;
#[allow(dead_code, reason = "the tests of the hosts use the rest")]
#[path = "../hosts/provider.rs"]
mod provider;
#[allow(dead_code, reason = "the tests of the runner use the rest")]
#[path = "../hosts/random.rs"]
mod random;
mod soak;
#[allow(dead_code, reason = "the tests of the hosts use the rest")]
#[path = "../hosts/world.rs"]
mod world;
