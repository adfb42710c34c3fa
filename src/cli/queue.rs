//! `uncloud queue` and `uncloud worker`: steering.

use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use sqlx::PgPool;

use super::config::DatabaseArgs;
use crate::queue::{
    inspect,
    operate::{self, QueueWish},
};
use uncloud_wire::QueueName;

/// Options of `queue`.
#[derive(Debug, Args)]
#[command(after_help = "\
`uncloud inspect stats` lists the queues.

Examples:
  uncloud queue drain vpn-1.example.ch && reboot      pause it, and wait until nothing is under way
  uncloud queue limit billing 10/60                   at most ten jobs a minute start, on all workers together")]
pub(super) struct QueueArgs {
    #[command(subcommand)]
    command: QueueCommand,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Debug, Subcommand)]
enum QueueCommand {
    /// Dispatch nothing more; what is on its way is finished.
    Pause { queue: QueueName },
    /// Dispatch again.
    Resume { queue: QueueName },
    /// Pause, and wait until nothing is on its way or running.
    Drain {
        queue: QueueName,
        /// Longest wait.
        #[arg(long, default_value_t = 600, value_name = "SECONDS")]
        timeout: u64,
    },
    /// Limit how many jobs start, on all workers together.
    Limit {
        queue: QueueName,
        /// Jobs and seconds, as in 10/60; or none.
        #[arg(value_name = "JOBS/SECONDS", value_parser = rate)]
        rate: Rate,
    },
}

/// A rate limit, or none.
#[derive(Debug, Clone, Copy)]
struct Rate(Option<(i32, i32)>);

fn rate(text: &str) -> Result<Rate, String> {
    if text == "none" {
        return Ok(Rate(None));
    }
    let parsed = text.split_once('/').and_then(|(jobs, secs)| Some((jobs.parse().ok()?, secs.parse().ok()?)));
    match parsed {
        Some((jobs @ 1..=1_000_000, secs @ 1..=86_400)) => Ok(Rate(Some((jobs, secs)))),
        _ => Err("a limit is jobs/seconds, as in 10/60 (up to a day), or none".to_owned()),
    }
}

pub(super) async fn run(args: QueueArgs) -> anyhow::Result<()> {
    let pool = args.database.connect().await?;
    match args.command {
        QueueCommand::Pause { queue } => pause(&pool, &queue, true).await,
        QueueCommand::Resume { queue } => pause(&pool, &queue, false).await,
        QueueCommand::Drain { queue, timeout } => drain(&pool, &queue, Duration::from_secs(timeout)).await,
        QueueCommand::Limit { queue, rate } => {
            operate::set_queue(&pool, &queue, QueueWish { paused: None, rate: Some(rate.0) }).await?;
            let limit = rate.0.map_or_else(|| "no limit".to_owned(), |(jobs, secs)| format!("{jobs} jobs in {secs} s"));
            tracing::info!(%queue, limit, "limited");
            Ok(())
        }
    }
}

async fn pause(pool: &PgPool, queue: &QueueName, paused: bool) -> anyhow::Result<()> {
    operate::set_queue(pool, queue, QueueWish { paused: Some(paused), rate: None }).await?;
    tracing::info!(%queue, "{}", if paused { "paused" } else { "goes on" });
    Ok(())
}

async fn drain(pool: &PgPool, queue: &QueueName, timeout: Duration) -> anyhow::Result<()> {
    pause(pool, queue, true).await?;
    let started = tokio::time::Instant::now();
    let mut last = None;
    loop {
        let line = inspect::queues(pool, Some(queue.as_str())).await?.pop().context("the queue is gone")?;
        if line.in_flight == 0 {
            tracing::info!(%queue, waiting = line.queued, "drained; `uncloud queue resume {queue}` lets its jobs go again");
            return Ok(());
        }
        if last != Some(line.in_flight) {
            tracing::info!(%queue, jobs = line.in_flight, "still under way");
            last = Some(line.in_flight);
        }
        if started.elapsed() > timeout {
            bail!("{} jobs of {queue} are still under way after {timeout:?}; `uncloud inspect active`", line.in_flight);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Options of `worker`.
#[derive(Debug, Args)]
#[command(after_help = "\
`uncloud inspect report` lists the workers with their numbers.

Example:
  uncloud worker scale 3 16")]
pub(super) struct WorkerArgs {
    #[command(subcommand)]
    command: WorkerCommand,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Debug, Subcommand)]
enum WorkerCommand {
    /// Change how many jobs a live worker runs at the same time, until it ends.
    Scale {
        /// The worker's number.
        #[arg(value_name = "ID")]
        worker: i64,
        /// Jobs at the same time.
        #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
        concurrency: u16,
    },
}

pub(super) async fn run_worker(args: WorkerArgs) -> anyhow::Result<()> {
    let WorkerCommand::Scale { worker, concurrency } = args.command;
    operate::set_concurrency(&args.database.connect().await?, worker, concurrency).await?;
    tracing::info!(worker, concurrency, "the worker is told");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::rate;

    #[test]
    fn a_limit_is_jobs_in_seconds() {
        assert_eq!(rate("10/60").map(|rate| rate.0), Ok(Some((10, 60))));
        assert_eq!(rate("none").map(|rate| rate.0), Ok(None));
        for wrong in ["", "10", "0/1", "1/0", "-1/1", "1/86401", "a/b"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }
}
