//! `./dev bench api`: how many requests a second, and how long each takes, with a password of the directory and with a
//! token, beside `pgbench -S` on the same PostgreSQL in the same run.
//!
//! Everything is real: `uncloud serve` as shipped (but without rate limits), a durable PostgreSQL, Redis, slapd. The callers
//! are threads here, on the same processors.

mod load;
mod peer;
mod place;

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/hosts/process.rs"]
mod process;
#[allow(dead_code, reason = "the VPN's bench uses the rest")]
#[path = "../vpn/report.rs"]
mod report;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../../tests/api/slapd.rs"]
mod slapd;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/hosts/world.rs"]
mod world;

use std::{path::PathBuf, time::Duration};

use clap::Parser as _;

use crate::{
    load::{Load, Request},
    place::{Place, new_network},
    report::Report,
};

/// Callers at the same time, each with one connection, over HTTP and to PostgreSQL.
const CALLERS: usize = 16;
/// Networks on the page that is listed.
const PAGE: usize = 10;

/// Measures the API on this machine.
#[derive(Debug, clap::Parser)]
#[command(name = "./dev bench api")]
struct Args {
    /// File to write the same figures to, by name.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Seconds that each figure is measured for.
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    secs: u64,
    /// What cargo says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let args = Args::parse();
    let took = Duration::from_secs(args.secs);
    let mut report = Report::default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    report.add("cores", "machine: cores", u32::try_from(cores).map_or(0.0, f64::from), "", "", "");
    load_of_machine(&mut report, "before");
    let place = Place::start();
    report.add("rss_start_mb", "server: most memory (RSS) until it is ready", place.most_rss_mb(), "MB", "", "");
    place.forget_peak();
    let pgbench = peer::selects(&place, CALLERS, args.secs);
    report.add("pgbench_select_per_s", "pgbench -S", pgbench, "/s", "", &format!("{CALLERS} clients"));
    let token = format!("Bearer {}", place.token());
    for (who, name, authorization) in
        [("token", "token", token.as_str()), ("Basic (LDAP)", "basic", place.basic.as_str())]
    {
        let get = |path: &str| Request::new("GET", path, authorization, None);
        let read = get("/v1/net/vpn/1");
        let read = load::measure(place.address, CALLERS, took, 200, |_| read.clone());
        let aim = if name == "token" { ">= 10000 /s" } else { "" };
        add(&mut report, &format!("{name}_read"), &format!("read, {who}"), &read, aim);
        if name == "token" {
            let ratio = read.per_second() / pgbench;
            report.add("token_read_of_pgbench", "read, token / pgbench -S", ratio, "", ">= 0.6", "");
        }
        let list = get(&format!("/v1/net/vpn?limit={PAGE}"));
        let list = load::measure(place.address, CALLERS, took, 200, |_| list.clone());
        add(&mut report, &format!("{name}_list"), &format!("list {PAGE}, {who}"), &list, "");
        let create = |_| Request::new("POST", "/v1/net/vpn", authorization, Some(&new_network()));
        let create = load::measure(place.address, CALLERS, took, 201, create);
        add(&mut report, &format!("{name}_create"), &format!("create, {who}"), &create, "");
    }
    report.add("rss_mb", "server: most memory (RSS) under load", place.most_rss_mb(), "MB", "<= 40 MB", "");
    load_of_machine(&mut report, "after");
    report.print();
    if let Some(path) = &args.json {
        report.write(path);
    }
}

fn add(report: &mut Report, name: &str, what: &str, load: &Load, aim: &str) {
    let note = format!("{CALLERS} callers");
    report.add(&format!("{name}_per_s"), what, load.per_second(), "/s", aim, &note);
    for percent in [50, 99] {
        let millis = report::percentile(&load.millis, percent);
        report.add(&format!("{name}_p{percent}_ms"), &format!("{what}, p{percent}"), millis, "ms", "", "");
    }
}

/// Load as the kernel counts it: what else runs here disturbs every other figure.
fn load_of_machine(report: &mut Report, when: &str) {
    let text = std::fs::read_to_string("/proc/loadavg").expect("proc");
    let load = text.split(' ').next().and_then(|number| number.parse().ok()).expect("a number");
    report.add(&format!("load_{when}"), &format!("machine: load {when}"), load, "", "", "one minute's mean");
}
