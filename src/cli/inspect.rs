//! The command `uncloud inspect`, which shows the workers' activity in the terms of Celery's command.

use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::Value;
use sqlx::PgPool;
use tokio::time::Instant;
use uncloud_wire::{QueueName, program::Failure};

use super::{
    config::DatabaseArgs,
    output::{Output, Table, time},
};
use crate::{
    database::Database,
    http::PageQuery,
    queue::{
        JobState,
        inspect::{self, JobFilter, JobLine, QueueLine, WorkerLine},
        operate,
    },
};

/// Maximum number of jobs in a list.
const LIMIT: i64 = 1000;

/// Options of `inspect`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  uncloud inspect ping --queue vpn-1.example.ch     # do its workers reply?
  uncloud inspect stats                             # how many jobs wait, and for how long")]
pub(super) struct InspectArgs {
    /// The view to show.
    #[arg(value_enum, value_name = "VIEW")]
    view: View,
    /// Only this queue.
    #[arg(short = 'Q', long, value_name = "QUEUE")]
    queue: Option<QueueName>,
    /// Longest time to wait for replies to a ping.
    #[arg(long, default_value_t = 5, value_name = "SECONDS")]
    timeout: u64,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum View {
    /// Send a ping to all workers, and wait for their replies.
    Ping,
    /// Jobs that workers are running.
    Active,
    /// Jobs that are on their way to a worker.
    Reserved,
    /// Jobs that wait for their time, for other jobs or for a free worker.
    Scheduled,
    /// Kinds of jobs that the workers know.
    Registered,
    /// Queues, as `uncloud queue ls` lists them.
    Stats,
    /// Workers, as `uncloud worker ls` lists them.
    Report,
}

pub(super) async fn run(args: InspectArgs) -> anyhow::Result<()> {
    let pool = Database::from(args.database.connect().await?);
    let (queue, output) = (args.queue.as_ref().map(QueueName::as_str), &args.output);
    match args.view {
        View::Ping => ping(&pool, queue, Duration::from_secs(args.timeout), output).await,
        View::Active => output.rows(&active_table(&live(&pool, queue).await?)),
        View::Reserved => output.list(jobs(&pool, queue, JobState::Dispatched).await?, jobs_table),
        View::Scheduled => output.list(jobs(&pool, queue, JobState::Queued).await?, jobs_table),
        View::Registered => output.rows(&kinds_table(&live(&pool, queue).await?)),
        View::Stats => output.list(inspect::queues(&pool, queue).await?, queue_table),
        View::Report => output.list(inspect::workers(&pool, queue).await?, worker_table),
    }
}

async fn live(pool: &PgPool, queue: Option<&str>) -> sqlx::Result<Vec<WorkerLine>> {
    Ok(inspect::workers(pool, queue).await?.into_iter().filter(|worker| worker.alive).collect())
}

/// Sends a ping, then waits until all workers that were alive have responded.
async fn ping(pool: &PgPool, queue: Option<&str>, timeout: Duration, output: &Output) -> anyhow::Result<()> {
    let workers = live(pool, queue).await?;
    if workers.is_empty() {
        let name = queue.unwrap_or("NAME");
        return Err(
            Failure::not_found(format!("no worker is alive; start one: `uncloud-worker --queue {name}`")).into()
        );
    }
    let started = Instant::now();
    let mut queues: Vec<&str> = workers.iter().map(|worker| worker.queue.as_str()).collect();
    queues.dedup();
    for queue in queues {
        operate::ping(pool, &queue.parse()?).await?;
    }
    let mut replies: Vec<Option<Duration>> = vec![None; workers.len()];
    while replies.iter().any(Option::is_none) && started.elapsed() < timeout {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let now = inspect::workers(pool, queue).await?;
        for (worker, reply) in workers.iter().zip(&mut replies).filter(|(_, reply)| reply.is_none()) {
            let reported =
                now.iter().any(|new| new.worker_id == worker.worker_id && new.last_seen_at > worker.last_seen_at);
            *reply = reported.then(|| started.elapsed());
        }
    }
    output.rows(&ping_table(&workers, &replies))?;
    let missing = replies.iter().filter(|reply| reply.is_none()).count();
    let what = format!("{missing} of {} workers did not reply in {timeout:?}", workers.len());
    if missing > 0 { Err(Failure::no_response(what).into()) } else { Ok(()) }
}

fn ping_table(workers: &[WorkerLine], replies: &[Option<Duration>]) -> Table {
    let mut table = Table::new(&["worker", "name", "queue", "reply", "duration_ms"]);
    for (worker, reply) in workers.iter().zip(replies) {
        let after = reply.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
        table.row([
            worker.worker_id.into(),
            worker.name.clone().into(),
            worker.queue.clone().into(),
            if reply.is_some() { "pong" } else { "timeout" }.into(),
            after.into(),
        ]);
    }
    table
}

fn active_table(workers: &[WorkerLine]) -> Table {
    let mut table = Table::new(&["worker", "name", "queue", "job", "kind", "elapsed_seconds"]);
    for worker in workers {
        for job in &worker.active.0 {
            table.row([
                worker.worker_id.into(),
                worker.name.clone().into(),
                worker.queue.clone().into(),
                job.job.into(),
                job.kind.clone().into(),
                job.secs.into(),
            ]);
        }
    }
    table
}

async fn jobs(db: &Database, queue: Option<&str>, state: JobState) -> sqlx::Result<Vec<JobLine>> {
    let filter = JobFilter { state: Some(state), queue: queue.map(str::to_owned), ..JobFilter::default() };
    inspect::jobs(db, &filter, PageQuery::newest(LIMIT)).await
}

fn jobs_table(jobs: &[JobLine]) -> Table {
    let mut table = Table::new(&["job", "kind", "queue", "priority", "attempt", "run_at"]);
    for job in jobs {
        table.row([
            job.job_id.into(),
            job.kind.clone().into(),
            job.queue.clone().into(),
            job.priority.into(),
            job.attempt.into(),
            time(job.run_at),
        ]);
    }
    table
}

fn kinds_table(workers: &[WorkerLine]) -> Table {
    let mut table = Table::new(&["worker", "name", "queue", "kind"]);
    for worker in workers {
        for kind in &worker.kinds {
            let (name, queue) = (worker.name.clone(), worker.queue.clone());
            table.row([worker.worker_id.into(), name.into(), queue.into(), kind.clone().into()]);
        }
    }
    table
}

/// Formats queues as a table.
pub(super) fn queue_table(queues: &[QueueLine]) -> Table {
    let columns =
        ["queue", "paused", "queued", "available", "oldest_seconds", "in_flight", "workers", "slots", "limit"];
    let mut table = Table::new(&columns);
    for queue in queues {
        let limit = queue.rate_limit.map(|jobs| format!("{jobs} in {} s", queue.rate_period_seconds));
        let oldest = queue.oldest_available_seconds.map(|secs| (secs * 10.0).round() / 10.0);
        table.row([
            queue.queue.clone().into(),
            queue.paused_at.is_some().into(),
            queue.queued.into(),
            queue.available.into(),
            oldest.into(),
            queue.in_flight.into(),
            queue.workers.into(),
            queue.slots.into(),
            limit.into(),
        ]);
    }
    table
}

/// Formats workers as a table.
pub(super) fn worker_table(workers: &[WorkerLine]) -> Table {
    let columns = ["worker", "name", "queue", "alive", "version", "started_at", "last_seen_at", "concurrency"];
    let mut table = Table::new(&[&columns[..], &["succeeded", "failed", "leases_lost", "rss_mb"]].concat());
    for worker in workers {
        let rss = Value::from(worker.rss_bytes / 1024 / 1024);
        table.row([
            worker.worker_id.into(),
            worker.name.clone().into(),
            worker.queue.clone().into(),
            worker.alive.into(),
            worker.version.clone().into(),
            time(worker.started_at),
            time(worker.last_seen_at),
            worker.concurrency.into(),
            worker.succeeded.into(),
            worker.failed.into(),
            worker.leases_lost.into(),
            rss,
        ]);
    }
    table
}
