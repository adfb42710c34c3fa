//! `uncloud vpn`.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::Value;

use super::{
    config::DatabaseArgs,
    output::{Output, Table},
};
use crate::{
    queue::{self, JobState, Wake},
    vpn::{self, Hostname},
};

/// Options of `vpn`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example, also for the crontab of the control plane:\n  uncloud vpn --hostname vpn-1.example.ch"
)]
pub(super) struct VpnArgs {
    /// The host whose pools to reconcile.
    #[arg(long, value_name = "FQDN")]
    hostname: Hostname,
    /// Longest wait for the host's answer.
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=86_400))]
    timeout: u64,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) async fn run(args: VpnArgs) -> anyhow::Result<()> {
    let pool = args.database.connect().await?;
    let wake: Arc<Wake> = Arc::default();
    let listener = tokio::spawn(queue::listen(pool.clone(), Arc::clone(&wake)));
    // At least a moment: a wait of 0 asks for the jobs and does not look after them.
    let asking = tokio::time::timeout(Duration::from_secs(args.timeout.max(1)), vpn::reconcile(&pool, &args.hostname));
    let Ok(jobs) = asking.await else {
        bail!(
            "the database has not answered in {} s: another transaction keeps the host's pools locked (see \
             pg_stat_activity); nothing was asked of the host",
            args.timeout.max(1)
        );
    };
    let jobs = jobs?;
    if jobs.is_empty() {
        bail!("no VPN pool is on {}; `GET /v1/admin/vpnpool` lists the pools and their hosts", args.hostname);
    }
    let deadline = tokio::time::Instant::now() + Duration::from_secs(args.timeout);
    let mut table = Table::new(&["job", "state", "peers", "drift", "note"]);
    let mut undone = 0;
    for job in jobs {
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        let view = queue::wait_until_finished(&pool, &wake, job, None, left).await?.context("the job is gone")?;
        undone += i32::from(view.state != JobState::Succeeded);
        let result = view.result.unwrap_or_default();
        let drift = result["drift"]
            .as_array()
            .map(|drift| drift.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; "));
        let note = view.error.map_or_else(|| result["dry_run"].clone(), Value::from);
        let state = serde_json::to_value(view.state)?;
        table.row([job.into(), state, result["peers"].clone(), drift.filter(|drift| !drift.is_empty()).into(), note]);
    }
    listener.abort();
    table.print(&args.output)?;
    if undone > 0 {
        bail!(
            "{undone} of the host's pools are not done; is `uncloud-worker --queue {}` running there?",
            args.hostname
        );
    }
    Ok(())
}
