//! `pgbench`, which is part of PostgreSQL.

use std::process::Command;

use uncloud_testkit::command::succeed;

/// Runs pgbench with these options and this many clients on a database, and returns the transactions per second.
pub(crate) fn transactions_per_second(options: &[&str], clients: usize, seconds: u64, database_url: &str) -> f64 {
    let (clients, seconds) = (clients.to_string(), seconds.to_string());
    let mut command = Command::new("pgbench");
    command.args(["-n", "-c", &clients, "-j", "2", "-T", &seconds]).args(options).arg(database_url);
    let printed = succeed(&mut command, "");
    let line = printed.lines().find_map(|line| line.strip_prefix("tps = ")).expect("a rate");
    line.split(' ').next().and_then(|text| text.parse().ok()).expect("a number")
}
