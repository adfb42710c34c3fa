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
    let (_, tenth) = one_size(postgres, orders / 10, report).await;
    let (provider, first) = one_size(postgres, orders, report).await;
    let ratio = first.secs_per_order / tenth.secs_per_order;
    report.add("growth_size", "time per order: ten times as many / as many", ratio, "", "about 1", "");
    thirteenth_month(&provider, first.secs_per_record, report).await;
    growth_by_history(postgres, orders / 10, report).await;
}

/// The cost of the first run.
struct First {
    secs_per_order: f64,
    secs_per_record: f64,
}

/// Measures a first run, a second one and COPY.
async fn one_size(postgres: &PostgresServer, orders: usize, report: &mut Report) -> (Provider, First) {
    eprintln!("== {orders} orders");
    let provider = Provider::with_orders(postgres, &format!("orders_{orders}"), orders).await;
    let name = |what: &str| format!("{what}_{orders}");
    let first = provider.run(provider::START);
    let (bills, records) =
        (provider.count("bill").await, provider.count("bill_charge").await + provider.count("bill_record").await);
    let count = |count: i64| f64::from(u32::try_from(count).expect("small"));
    let orders_per_sec = f64::from(u32::try_from(orders).expect("small")) / first.secs;
    report.add(&name("run_s"), &format!("{orders} orders: the run"), first.secs, "s", "", "");
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
    report.add(&name("run_per_copy"), "   the run / COPY", first.secs / copy, "x", "<= 3.5", "");
    let again = provider.run(provider::START);
    report.add(
        &name("rerun_s"),
        "   the same run again",
        again.secs,
        "s",
        if orders == 1_000_000 { "<= 1" } else { "" },
        "",
    );
    assert_eq!(provider.count("bill").await, bills, "the second run wrote bills");
    let first = First { secs_per_order: 1.0 / orders_per_sec, secs_per_record: first.secs / count(records) };
    (provider, first)
}

/// Measures the thirteenth month of orders that have been billed once, compared with the first, by record: the first has
/// one-time prices and yearly orders besides.
async fn thirteenth_month(provider: &Provider, first: f64, report: &mut Report) {
    let records = async || {
        let count = provider.count("bill_charge").await + provider.count("bill_record").await;
        f64::from(u32::try_from(count).expect("small"))
    };
    let mut before = records().await;
    let mut ratio = 0.0;
    for month in 2..=13 {
        let took = provider.run(&provider.days_later((month - 1) * 30).await);
        let after = records().await;
        ratio = took.secs / (after - before) / first;
        let name = |what: &str| format!("month_{month}_{what}");
        let note = format!("{} records", after - before);
        report.add(&name("s"), &format!("month {month} of the same orders"), took.secs, "s", "", &note);
        if month == 13 {
            report.add(&name("memory_mb"), "   memory of the program (peak)", took.peak_mb, "MB", "<= 200", "");
        }
        before = after;
    }
    report.add("growth_months", "   time per record: month 13 / month 1", ratio, "x", "<= 1.25", "");
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
