//! `pgbench -S`, which reads one row by its key: the minimum cost of a read.

use std::process::Command;

use uncloud_testkit::command::succeed;

use super::place::Place;
use crate::pgbench::transactions_per_second;

/// Scale of its table: 100,000 rows for each unit.
const SCALE: &str = "5";

/// Returns the transactions per second.
pub(crate) fn selects(place: &Place, clients: usize, secs: u64) -> f64 {
    let url = place.pgbench_url.expose();
    succeed(Command::new("pgbench").args(["-i", "-q", "-s", SCALE, url]), "");
    transactions_per_second(&["-S"], clients, secs, url)
}
