//! `./dev bench api`: requests per second and the duration of each, with a password of the directory and with a token,
//! compared with `pgbench -S` on the same PostgreSQL in the same run.
//!
//! Everything is real: `uncloud serve` as shipped (but without rate limits), a durable PostgreSQL, Redis, slapd. The
//! clients are threads of this program, on the same processors.

mod load;
mod peer;
mod place;

use std::{process::ExitCode, time::Duration};

use self::{
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
    let place = Place::start();
    report.add("rss_start_mb", "server: most memory (RSS) until it is ready", place.most_rss_mb(), "MB", "", "");
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
        let aim = if name == "token" { ">= 10000 /s" } else { "" };
        add(&mut report, &format!("{name}_read"), &format!("read, {scheme}"), &read, aim);
        if name == "token" {
            let ratio = read.per_second() / pgbench;
            report.add("token_read_of_pgbench", "read, token / pgbench -S", ratio, "", ">= 0.6", "");
        }
        let list = get(&format!("/v1/net/vpn?limit={PAGE}"));
        let list = load::measure(place.address, CALLERS, took, 200, |_| list.clone());
        add(&mut report, &format!("{name}_list"), &format!("list {PAGE}, {scheme}"), &list, "");
        let create = |_| Request::new("POST", "/v1/net/vpn", authorization, Some(&new_network()));
        let create = load::measure(place.address, CALLERS, took, 201, create);
        add(&mut report, &format!("{name}_create"), &format!("create, {scheme}"), &create, "");
    }
    report.add("rss_mb", "server: most memory (RSS) under load", place.most_rss_mb(), "MB", "<= 40 MB", "");
    add_load(&mut report, "after");
    report.finish(&args.output);
    ExitCode::SUCCESS
}

fn add(report: &mut Report, name: &str, what: &str, load: &Load, aim: &str) {
    let note = format!("{CALLERS} callers");
    report.add(&format!("{name}_per_s"), what, load.per_second(), "/s", aim, &note);
    for percent in [50, 99] {
        let millis = report::percentile(&load.millis, percent);
        report.add(&format!("{name}_p{percent}_ms"), &format!("{what}, p{percent}"), millis, "ms", "", "");
    }
}
