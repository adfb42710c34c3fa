//! `./dev bench billing`: the duration of a bill run, compared with COPY of the rows that it writes, and its growth
//! with history and size.
//!
//! Runs the shipped `uncloud bill run` with its two concurrent transactions, on a durable PostgreSQL.

mod provider;
mod run;

use std::process::ExitCode;

use uncloud_testkit::servers::PostgresServer;

use self::provider::Provider;
use crate::report::{Output, Report};

/// Number of months of a customer's bills with which the cost of history is measured.
const MONTHS: usize = 24;

/// Measures a bill run, compared with COPY of its rows, by size and by history.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Number of orders; a tenth of them is measured too, to show the growth.
    #[arg(long, default_value_t = 100_000)]
    orders: usize,
    #[command(flatten)]
    output: Output,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    let postgres = PostgresServer::start_durable(&["shared_buffers=1GB", "max_wal_size=8GB"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut report = Report::default();
    runtime.block_on(measure(&postgres, args.orders, &mut report));
    report.finish(&args.output);
    ExitCode::SUCCESS
}

async fn measure(postgres: &PostgresServer, orders: usize, report: &mut Report) {
    let tenth = one_size(postgres, orders / 10, report).await;
    let whole = one_size(postgres, orders, report).await;
    let ratio = whole / tenth;
    report.add("growth_size", "time per order: ten times as many / as many", ratio, "", "about 1", "");
    growth_by_history(postgres, orders / 10, report).await;
}

/// Measures a first run, a second one and COPY; returns the first run's seconds per order.
async fn one_size(postgres: &PostgresServer, orders: usize, report: &mut Report) -> f64 {
    eprintln!("== {orders} orders");
    let provider = Provider::with_orders(postgres, &format!("orders_{orders}"), orders).await;
    let name = |what: &str| format!("{what}_{orders}");
    let first = provider.run(provider::START);
    let (bills, records) =
        (provider.count("bill").await, provider.count("bill_charge").await + provider.count("bill_record").await);
    let count = |count: i64| f64::from(u32::try_from(count).expect("small"));
    let orders_per_sec = f64::from(u32::try_from(orders).expect("small")) / first.secs;
    report.add(&name("run_s"), &format!("{orders} orders: the run"), first.secs, "s", aim(orders, 20.0), "");
    report.add(&name("orders_per_s"), "   orders", orders_per_sec, "/s", "", "");
    report.add(
        &name("bills_per_s"),
        "   bills",
        count(bills) / first.secs,
        "/s",
        "",
        &format!("{bills} bills, {records} records"),
    );
    report.add(&name("memory_mb"), "   memory of the program (peak)", first.peak_mb, "MB", "<= 200", "");
    let copy = provider.copy().await;
    report.add(
        &name("copy_s"),
        "   COPY of the same rows into bare tables",
        copy,
        "s",
        "",
        "bill, bill_charge, bill_record, bill_vat, bill_number; order_cursor",
    );
    report.add(&name("run_per_copy"), "   the run / COPY", first.secs / copy, "x", "<= 10", "");
    let again = provider.run(provider::START);
    report.add(&name("rerun_s"), "   the same run again", again.secs, "s", aim(orders, 3.0), "");
    assert_eq!(provider.count("bill").await, bills, "the second run wrote bills");
    first.secs / f64::from(u32::try_from(orders).expect("small"))
}

/// Returns the aim, which is defined for a million orders.
fn aim(orders: usize, secs: f64) -> &'static str {
    match (orders, secs > 10.0) {
        (1_000_000, true) => "<= 20",
        (1_000_000, false) => "<= 3",
        _ => "",
    }
}

/// Measures new orders beside as many old ones, which were billed for two years, have ended and are closed.
async fn growth_by_history(postgres: &PostgresServer, orders: usize, report: &mut Report) {
    eprintln!("== {MONTHS} months of history for {orders} orders");
    let fresh = Provider::with_orders(postgres, "fresh", orders).await.run(provider::START);
    let provider = Provider::with_history(postgres, "history", orders, MONTHS).await;
    let records = provider.count("bill_charge").await;
    provider.add_orders(orders).await;
    let after = provider.run(provider::START);
    report.add("run_without_history_s", &format!("{orders} orders without history"), fresh.secs, "s", "", "");
    let what = format!("{orders} orders after {MONTHS} months");
    report.add("run_with_history_s", &what, after.secs, "s", "", &format!("{records} records before"));
    report.add("growth_history", "   with history / without", after.secs / fresh.secs, "", "about 1", "");
    let again = provider.run(provider::START);
    report.add("rerun_with_history_s", "   the same run again", again.secs, "s", "", "");
}
