//! The job runner as its operators have it: servers, workers and `uncloud` as processes, real Redis and PostgreSQL, default
//! settings. What is told here is looked at in another process than the one that did it.

mod actor;
mod faults;
mod frozen;
#[path = "../hosts/gate.rs"]
mod gate;
mod killed;
mod operate;
mod order;
#[allow(dead_code, reason = "the tests of the hosts use the rest")]
#[path = "../hosts/process.rs"]
mod process;
#[path = "../hosts/random.rs"]
mod random;
mod soak;
mod stage;
mod terms;
#[allow(dead_code, reason = "the tests of the hosts use the rest")]
#[path = "../hosts/world.rs"]
mod world;

/// Not a test: where a process begins that one of the tests has started.
#[test]
fn the_parts_are_played() {
    actor::play();
}
