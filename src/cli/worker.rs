//! The command `uncloud worker`, which lists and scales workers.

use clap::{Args, Subcommand};
use uncloud_wire::{QueueName, program::number};

use super::{config::DatabaseArgs, inspect::worker_table, output::Output};
use crate::queue::{inspect, operate};

/// Options of `worker`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  uncloud worker ls                 # workers with their numbers
  uncloud worker scale 3 16         # worker 3 runs 16 jobs at the same time")]
pub(super) struct WorkerArgs {
    #[command(subcommand)]
    command: WorkerCommand,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Debug, Subcommand)]
enum WorkerCommand {
    /// List workers with version, age, memory and counts of jobs.
    #[command(after_help = "Example:\n  uncloud worker ls --queue vpn-1.example.ch")]
    Ls {
        /// Only workers of this queue.
        #[arg(short = 'Q', long, value_name = "QUEUE")]
        queue: Option<QueueName>,
        #[command(flatten)]
        output: Output,
    },
    /// Change how many jobs a live worker runs at the same time, until it ends.
    #[command(
        after_help = "`uncloud worker ls` lists the workers with their numbers.\n\nExample:\n  uncloud worker scale 3 16"
    )]
    Scale {
        /// Number of the worker.
        #[arg(value_parser = number, value_name = "ID")]
        worker: i64,
        /// Jobs at the same time.
        #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
        concurrency: u16,
    },
}

pub(super) async fn run(args: WorkerArgs) -> anyhow::Result<()> {
    let pool = args.database.connect().await?;
    match args.command {
        WorkerCommand::Ls { queue, output } => {
            let workers = inspect::workers(&pool, queue.as_ref().map(QueueName::as_str)).await?;
            output.list(workers, worker_table)
        }
        WorkerCommand::Scale { worker, concurrency } => {
            operate::set_concurrency(&pool, worker, concurrency).await?;
            tracing::info!(worker, concurrency, "the worker will change its concurrency");
            Ok(())
        }
    }
}
