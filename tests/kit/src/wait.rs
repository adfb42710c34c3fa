//! Waiting for a condition instead of sleeping for a while.

use std::{
    thread,
    time::{Duration, Instant},
};

/// The time limit of [`wait_until`]. It detects a hang; it is not an expectation of how fast something is.
const LIMIT: Duration = Duration::from_secs(30);

/// Waits until `holds` returns true; panics after 30 seconds, naming `what`.
#[track_caller]
pub fn wait_until(what: &str, holds: impl FnMut() -> bool) {
    wait_within(LIMIT, what, holds);
}

/// Waits until `holds` returns true and returns how long that took; panics after `limit`, naming `what`.
#[track_caller]
pub fn wait_within(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < limit, "waited {limit:?} in vain for: {what}");
        thread::sleep(Duration::from_millis(20));
    }
    started.elapsed()
}
