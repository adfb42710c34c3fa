//! The command `uncloud queue`, which shows and manages queues.

use std::time::Duration;

use clap::{Args, Subcommand};
use sqlx::PgPool;
use uncloud_wire::{QueueName, program::Failure};

use super::{config::DatabaseArgs, inspect::queue_table, output::Output};
use crate::queue::{
    inspect::{self, QueueLine},
    operate::{self, QueueSettings},
};

/// Options of `queue`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  uncloud queue ls                                    # how many jobs wait, and for how long
  uncloud queue drain vpn-1.example.ch && reboot      # pause it, and wait until no job is running
  uncloud queue limit billing 10/60                   # at most ten jobs start in a minute")]
pub(super) struct QueueArgs {
    #[command(subcommand)]
    command: QueueCommand,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Debug, Args)]
struct NameArgs {
    /// Name of the queue: a host's full name, or a word such as billing.
    #[arg(value_name = "QUEUE")]
    queue: QueueName,
}

#[derive(Debug, Subcommand)]
enum QueueCommand {
    /// List the queues that have jobs, workers or settings.
    #[command(after_help = "Example:\n  uncloud queue ls --output json")]
    Ls {
        #[command(flatten)]
        output: Output,
    },
    /// Show a queue.
    #[command(after_help = "Example:\n  uncloud queue show vpn-1.example.ch")]
    Show {
        #[command(flatten)]
        name: NameArgs,
        #[command(flatten)]
        output: Output,
    },
    /// Stop dispatching jobs; those that were dispatched are finished.
    #[command(after_help = "Example:\n  uncloud queue pause vpn-1.example.ch")]
    Pause(NameArgs),
    /// Dispatch jobs again.
    #[command(after_help = "Example:\n  uncloud queue resume vpn-1.example.ch")]
    Resume(NameArgs),
    /// Pause a queue, and wait until no job is dispatched or running.
    #[command(after_help = "Example:\n  uncloud queue drain vpn-1.example.ch && reboot")]
    Drain {
        #[command(flatten)]
        name: NameArgs,
        /// Longest time to wait.
        #[arg(long, default_value_t = 600, value_name = "SECONDS")]
        timeout: u64,
    },
    /// Limit how many jobs start, on all workers together.
    #[command(after_help = "\
Examples:
  uncloud queue limit billing 10/60       # at most ten jobs a minute
  uncloud queue limit billing none        # no limit")]
    Limit {
        #[command(flatten)]
        name: NameArgs,
        /// Number of jobs and seconds, as in 10/60; or none.
        #[arg(value_name = "JOBS/SECONDS", value_parser = rate)]
        rate: Rate,
    },
}

/// A rate limit; `None` for no limit.
#[derive(Debug, Clone, Copy)]
struct Rate(Option<(i32, i32)>);

fn rate(text: &str) -> Result<Rate, String> {
    if text == "none" {
        return Ok(Rate(None));
    }
    let parsed = text.split_once('/').and_then(|(jobs, secs)| Some((jobs.parse().ok()?, secs.parse().ok()?)));
    match parsed {
        Some((jobs @ 1..=1_000_000, secs @ 1..=86_400)) => Ok(Rate(Some((jobs, secs)))),
        _ => Err("must be jobs/seconds, as in 10/60 (up to a day), or none".to_owned()),
    }
}

pub(super) async fn run(args: QueueArgs) -> anyhow::Result<()> {
    let pool = args.database.connect().await?;
    match args.command {
        QueueCommand::Ls { output } => output.list(inspect::queues(&pool, None).await?, queue_table),
        QueueCommand::Show { name, output } => {
            output.object(find(&pool, &name.queue).await?, |queue| queue_table(std::slice::from_ref(queue)))
        }
        QueueCommand::Pause(name) => pause(&pool, &name.queue, true).await,
        QueueCommand::Resume(name) => pause(&pool, &name.queue, false).await,
        QueueCommand::Drain { name, timeout } => drain(&pool, &name.queue, Duration::from_secs(timeout)).await,
        QueueCommand::Limit { name: NameArgs { queue }, rate } => {
            operate::set_queue(&pool, &queue, QueueSettings { paused: None, rate: Some(rate.0) }).await?;
            let limit = rate.0.map_or_else(|| "no limit".to_owned(), |(jobs, secs)| format!("{jobs} jobs in {secs} s"));
            tracing::info!(%queue, limit, "limited");
            Ok(())
        }
    }
}

async fn find(pool: &PgPool, queue: &QueueName) -> anyhow::Result<QueueLine> {
    let found = inspect::queues(pool, Some(queue.as_str())).await?.pop();
    found.ok_or_else(|| {
        let what =
            format!("queue {queue} not found: it has no jobs, workers or settings; `uncloud queue ls` lists queues");
        Failure::not_found(what).into()
    })
}

async fn pause(pool: &PgPool, queue: &QueueName, paused: bool) -> anyhow::Result<()> {
    operate::set_queue(pool, queue, QueueSettings { paused: Some(paused), rate: None }).await?;
    tracing::info!(%queue, "{}", if paused { "paused" } else { "resumed" });
    Ok(())
}

async fn drain(pool: &PgPool, queue: &QueueName, timeout: Duration) -> anyhow::Result<()> {
    pause(pool, queue, true).await?;
    let started = tokio::time::Instant::now();
    let mut last = None;
    loop {
        let line = find(pool, queue).await?;
        if line.in_flight == 0 {
            tracing::info!(%queue, waiting = line.queued, "drained; to dispatch jobs again: `uncloud queue resume {queue}`");
            return Ok(());
        }
        if last != Some(line.in_flight) {
            tracing::info!(%queue, jobs = line.in_flight, "waiting for jobs that are dispatched or running");
            last = Some(line.in_flight);
        }
        if started.elapsed() > timeout {
            let what = format!(
                "{} jobs of {queue} are still dispatched or running after {timeout:?}; see `uncloud inspect active -Q {queue}`",
                line.in_flight
            );
            return Err(Failure::no_response(what).into());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::rate;

    #[test]
    fn rate_in_other_form_than_jobs_per_seconds_is_refused() {
        assert_eq!(rate("10/60").map(|rate| rate.0), Ok(Some((10, 60))));
        assert_eq!(rate("none").map(|rate| rate.0), Ok(None));
        for wrong in ["", "10", "0/1", "1/0", "-1/1", "1/86401", "a/b"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }
}
