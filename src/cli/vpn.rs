//! The command `uncloud vpn`.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use clap::{Args, ValueHint};
use serde_json::Value;
use uncloud_wire::program::{Exit, Failure};

use super::{
    config::DatabaseArgs,
    output::{Output, Table},
};
use crate::{
    queue::{self, JobState, JobView, Notifier},
    vpn::{self, Hostname},
};

/// Options of `vpn`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example, also for the crontab of the control plane:
  uncloud vpn --hostname vpn-1.example.ch")]
pub(super) struct VpnArgs {
    /// Full name of the host.
    #[arg(long, value_name = "FQDN", value_hint = ValueHint::Hostname)]
    hostname: Hostname,
    /// Longest time to wait for the host.
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=86_400))]
    timeout: u64,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) async fn run(args: VpnArgs) -> anyhow::Result<()> {
    let pool = args.database.connect().await?;
    let wake: Arc<Notifier> = Arc::default();
    let listener = tokio::spawn(queue::listen(pool.clone(), Arc::clone(&wake)));
    // At least a moment: with a wait of 0 the command creates the jobs and does not wait for them.
    let creation =
        tokio::time::timeout(Duration::from_secs(args.timeout.max(1)), vpn::reconcile(&pool, &args.hostname));
    let Ok(jobs) = creation.await else {
        let what = format!(
            "the database did not respond within {} s: another transaction keeps the host's pools locked (see \
             pg_stat_activity); nothing was sent to the host",
            args.timeout.max(1)
        );
        return Err(Failure::no_response(what).into());
    };
    let jobs = jobs?;
    if jobs.is_empty() {
        let what =
            format!("host {} has no VPN pool; `GET /v1/admin/vpnpool` lists the pools and their hosts", args.hostname);
        return Err(Failure::not_found(what).into());
    }
    let deadline = tokio::time::Instant::now() + Duration::from_secs(args.timeout);
    let mut views = Vec::new();
    for job in jobs {
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        views.push(
            queue::wait_until_finished(&pool, &wake, job, None, left).await?.context("the job no longer exists")?,
        );
    }
    listener.abort();
    let missing = missing(&views, &args.hostname);
    args.output.list(views, table)?;
    missing.map_or(Ok(()), |missing| Err(missing.into()))
}

/// Returns a failure with the number of pools that were not reconciled, if any.
fn missing(views: &[JobView], hostname: &Hostname) -> Option<Failure> {
    let unfinished = views.iter().filter(|view| !view.state.is_final()).count();
    let failed = |view: &&JobView| view.state.is_final() && view.state != JobState::Succeeded;
    let pools = views.len();
    if let Some(view) = views.iter().find(failed) {
        let count = views.iter().filter(failed).count();
        let what = format!("{count} of {pools} pools could not be reconciled; see `uncloud job show {}`", view.job_id);
        return Some(Failure::new(Exit::Failed, what));
    }
    let what = format!(
        "{unfinished} of {pools} pools are not reconciled yet; is `uncloud-worker --queue {hostname}` running there?"
    );
    (unfinished > 0).then(|| Failure::no_response(what))
}

fn table(views: &[JobView]) -> Table {
    let mut table = Table::new(&["job", "state", "peers", "drift", "note"]);
    for view in views {
        let result = view.result.clone().unwrap_or_default();
        let drift = result["drift"].as_array().map(|drift| drift.iter().filter_map(Value::as_str).collect::<Vec<_>>());
        let drift = drift.filter(|drift| !drift.is_empty()).map(|drift| drift.join("; "));
        let note = view.error.clone().map_or_else(|| result["dry_run"].clone(), Value::from);
        table.row([view.job_id.into(), view.state.as_str().into(), result["peers"].clone(), drift.into(), note]);
    }
    table
}
