//! `pgbench -S`: one row by its key, the least that a read can cost.

use std::process::Command;

use uncloud_testkit::command::succeed;

use super::place::Place;
use crate::pgbench::transactions_per_second;

/// Rows of its table: 100,000 for each.
const SCALE: &str = "5";

/// Returns the transactions a second.
pub(crate) fn selects(place: &Place, clients: usize, secs: u64) -> f64 {
    let url = place.pgbench_url.expose();
    succeed(Command::new("pgbench").args(["-i", "-q", "-s", SCALE, url]), "");
    transactions_per_second(&["-S"], clients, secs, url)
}
