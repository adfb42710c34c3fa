//! `./dev bench api`: requests per second and the duration of each, with a password of the directory and with a token,
//! compared with `pgbench -S` on the same PostgreSQL in the same run.
//!
//! Then a customer reads during an attack. Everything is real: `uncloud serve` as shipped (without rate limits, but for
//! the attack), a durable PostgreSQL, Redis, slapd. The
//! clients are threads of this program, on the same processors.

mod attack;
mod load;
mod peer;
mod place;

use std::{process::ExitCode, time::Duration};

use self::{
    attack::attack,
    load::{Load, Request},
    place::{Place, new_network},
};
use crate::{
    machine::{add_cores, add_load},
    report::{self, Output, Report},
};

/// Number of concurrent clients, each with one connection, over HTTP and to PostgreSQL.
const CALLERS: usize = 16;
/// Number of networks on the listed page.
const PAGE: usize = 10;

/// Measures requests per second with a password and with a token, compared with `pgbench -S`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    output: Output,
    /// Duration of each measurement in seconds.
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    secs: u64,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    let took = Duration::from_secs(args.secs);
    let mut report = Report::default();
    add_cores(&mut report);
    add_load(&mut report, "before");
    let place = Place::start(&["--rate-limit", "0", "--address-rate-limit", "0"]);
    report.add(
        "rss_start_mb",
        "server: most memory (RSS) until it is ready",
        place.most_rss_mb(),
        "MB",
        "<= 45 MB",
        "",
    );
    place.forget_peak();
    let pgbench = peer::selects(&place, CALLERS, args.secs);
    report.add("pgbench_select_per_s", "pgbench -S", pgbench, "/s", "", &format!("{CALLERS} clients"));
    let token = format!("Bearer {}", place.token());
    for (scheme, name, authorization) in
        [("token", "token", token.as_str()), ("Basic (LDAP)", "basic", place.basic.as_str())]
    {
        let get = |path: &str| Request::new("GET", path, authorization, None);
        let read = get("/v1/net/vpn/1");
        let read = load::measure(place.address, CALLERS, took, 200, |_| read.clone());
        let aim = |aim| if name == "token" { aim } else { "" };
        add(&mut report, &format!("{name}_read"), &format!("read, {scheme}"), &read, aim(">= 15000 /s"));
        if name == "token" {
            let ratio = read.per_second() / pgbench;
            report.add("token_read_of_pgbench", "read, token / pgbench -S", ratio, "", ">= 0.4", "");
        }
        let list = get(&format!("/v1/net/vpn?limit={PAGE}"));
        let list = load::measure(place.address, CALLERS, took, 200, |_| list.clone());
        add(&mut report, &format!("{name}_list"), &format!("list {PAGE}, {scheme}"), &list, aim(">= 12000 /s"));
        let create = |_| Request::new("POST", "/v1/net/vpn", authorization, Some(&new_network()));
        let create = load::measure(place.address, CALLERS, took, 201, create);
        add(&mut report, &format!("{name}_create"), &format!("create, {scheme}"), &create, "");
    }
    report.add("rss_mb", "server: most memory (RSS) under load", place.most_rss_mb(), "MB", "<= 40 MB", "");
    drop(place);
    add_attack(&mut report, took);
    add_load(&mut report, "after");
    report.finish(&args.output);
    ExitCode::SUCCESS
}

/// Measures what a customer sees of an attack, on a server with its usual limits.
fn add_attack(report: &mut Report, took: Duration) {
    let place = Place::start(&[]);
    let token = format!("Bearer {}", place.token());
    let attacked = attack(place.address, &token, took);
    let note = format!("{} hang-ups, {} refusals", attacked.hang_ups, attacked.refused);
    let worst = attacked.millis.iter().copied().fold(0.0, f64::max);
    report.add("attacked_worst_ms", "read during an attack, slowest", worst, "ms", "<= 100 ms", &note);
    let median = report::percentile(&attacked.millis, 50);
    report.add("attacked_p50_ms", "read during an attack, p50", median, "ms", "", "");
    let memory = place.rss_mb();
    report.add("attacked_rss_mb", "server: memory (RSS) after the attack", memory, "MB", "<= 48 MB", "");
}

fn add(report: &mut Report, name: &str, what: &str, load: &Load, aim: &str) {
    let note = format!("{CALLERS} callers");
    report.add(&format!("{name}_per_s"), what, load.per_second(), "/s", aim, &note);
    for percent in [50, 99] {
        let millis = report::percentile(&load.millis, percent);
        report.add(&format!("{name}_p{percent}_ms"), &format!("{what}, p{percent}"), millis, "ms", "", "");
    }
}
