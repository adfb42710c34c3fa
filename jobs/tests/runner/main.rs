//! The job runner as its operators have it: servers, workers and `uncloud` as processes, real Redis and PostgreSQL, default
//! settings. What is told here is looked at in another process than the one that did it.

mod faults;
mod frozen;
mod killed;
mod operate;
mod order;
mod soak;
mod terms;

/// Not a test: where a process begins that a [`uncloud_testkit::runner::Stage`] has started.
#[test]
fn play_role() {
    uncloud_testkit::runner::play_role();
}
