//! `pgbench -S`: one row by its key, the least that a read can cost.

use std::process::Command;

use crate::{place::Place, process::succeed};

/// Rows of its table: 100,000 for each.
const SCALE: &str = "5";

/// Transactions a second.
pub(crate) fn selects(place: &Place, clients: usize, secs: u64) -> f64 {
    let url = &place.pgbench_url;
    succeed(Command::new("pgbench").args(["-i", "-q", "-s", SCALE, url.expose()]), "");
    let (clients, secs) = (clients.to_string(), secs.to_string());
    let mut command = Command::new("pgbench");
    command.args(["-S", "-n", "-c", &clients, "-j", "2", "-T", &secs, url.expose()]);
    let printed = succeed(&mut command, "");
    let line = printed.lines().find_map(|line| line.strip_prefix("tps = ")).expect("a rate");
    line.split(' ').next().and_then(|text| text.parse().ok()).expect("a number")
}
