//! `uncloud inspect`: what the workers are at, in the words of Celery's command.

use std::time::Duration;

use anyhow::ensure;
use clap::{Args, ValueEnum};
use serde_json::Value;
use sqlx::PgPool;
use tokio::time::Instant;

use super::{
    config::DatabaseArgs,
    jobs::time,
    output::{Output, Table},
};
use crate::{
    http::Window,
    queue::{
        JobState,
        inspect::{self, JobFilter, JobLine, WorkerLine},
        operate,
    },
};
use uncloud_wire::QueueName;

/// Jobs in a list.
const LIMIT: i64 = 1000;

/// Options of `inspect`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  uncloud inspect ping --queue vpn-1.example.ch")]
pub(super) struct InspectArgs {
    /// What to look at.
    #[arg(value_enum, value_name = "WHAT")]
    what: What,
    /// Only this queue.
    #[arg(short = 'Q', long, value_name = "NAME")]
    queue: Option<QueueName>,
    /// Longest wait for the answers to a ping.
    #[arg(long, default_value_t = 5, value_name = "SECONDS")]
    timeout: u64,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    /// Ask all workers to answer, and wait for them.
    Ping,
    /// Jobs that workers hold.
    Active,
    /// Jobs that are on their way to a worker.
    Reserved,
    /// Jobs that wait: for their time, for others, or for room.
    Scheduled,
    /// Kinds of jobs that the workers know.
    Registered,
    /// Queues: how many wait, how long, and for how many workers.
    Stats,
    /// Workers: version, age, memory, and how their jobs went.
    Report,
}

pub(super) async fn run(args: InspectArgs) -> anyhow::Result<()> {
    let pool = args.database.connect().await?;
    let queue = args.queue.as_ref().map(QueueName::as_str);
    match args.what {
        What::Ping => return ping(&pool, queue, Duration::from_secs(args.timeout), &args.output).await,
        What::Active => active(&live(&pool, queue).await?),
        What::Reserved => jobs(&pool, queue, JobState::Dispatched).await?,
        What::Scheduled => jobs(&pool, queue, JobState::Queued).await?,
        What::Registered => registered(&live(&pool, queue).await?),
        What::Stats => stats(&pool, queue).await?,
        What::Report => report(inspect::workers(&pool, queue).await?),
    }
    .print(&args.output)
}

async fn live(pool: &PgPool, queue: Option<&str>) -> sqlx::Result<Vec<WorkerLine>> {
    Ok(inspect::workers(pool, queue).await?.into_iter().filter(|worker| worker.alive).collect())
}

/// Asks, then waits until all that were alive have reported since.
async fn ping(pool: &PgPool, queue: Option<&str>, timeout: Duration, output: &Output) -> anyhow::Result<()> {
    let asked = live(pool, queue).await?;
    ensure!(!asked.is_empty(), "no worker is there; start one: `uncloud-worker --queue NAME`");
    let started = Instant::now();
    let mut queues: Vec<&str> = asked.iter().map(|worker| worker.queue.as_str()).collect();
    queues.dedup();
    for queue in queues {
        operate::ping(pool, &queue.parse()?).await?;
    }
    let mut answered: Vec<Option<Duration>> = vec![None; asked.len()];
    while answered.iter().any(Option::is_none) && started.elapsed() < timeout {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let now = inspect::workers(pool, queue).await?;
        for (worker, answer) in asked.iter().zip(&mut answered).filter(|(_, answer)| answer.is_none()) {
            let reported =
                now.iter().any(|new| new.worker_id == worker.worker_id && new.last_seen_at > worker.last_seen_at);
            *answer = reported.then(|| started.elapsed());
        }
    }
    let mut table = Table::new(&["worker", "name", "queue", "answer", "after_ms"]);
    for (worker, answer) in asked.iter().zip(&answered) {
        let after = answer.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
        let said = if answer.is_some() { "pong" } else { "silence" };
        table.row([
            worker.worker_id.into(),
            worker.name.clone().into(),
            worker.queue.clone().into(),
            said.into(),
            after.into(),
        ]);
    }
    table.print(output)?;
    let silent = answered.iter().filter(|answer| answer.is_none()).count();
    ensure!(silent == 0, "{silent} of {} workers did not answer in {timeout:?}", asked.len());
    Ok(())
}

fn active(workers: &[WorkerLine]) -> Table {
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

async fn jobs(pool: &PgPool, queue: Option<&str>, state: JobState) -> sqlx::Result<Table> {
    let filter = JobFilter { state: Some(state), queue: queue.map(str::to_owned), ..JobFilter::default() };
    let mut table = Table::new(&["job", "kind", "queue", "priority", "attempt", "run_at"]);
    for JobLine { job_id, kind, queue, priority, attempt, run_at, .. } in
        inspect::jobs(pool, &filter, Window::newest(LIMIT)).await?
    {
        table.row([job_id.into(), kind.into(), queue.into(), priority.into(), attempt.into(), time(run_at)]);
    }
    Ok(table)
}

fn registered(workers: &[WorkerLine]) -> Table {
    let mut table = Table::new(&["worker", "name", "queue", "kind"]);
    for worker in workers {
        for kind in &worker.kinds {
            let (name, queue) = (worker.name.clone(), worker.queue.clone());
            table.row([worker.worker_id.into(), name.into(), queue.into(), kind.clone().into()]);
        }
    }
    table
}

async fn stats(pool: &PgPool, queue: Option<&str>) -> sqlx::Result<Table> {
    let mut table = Table::new(&[
        "queue",
        "paused",
        "queued",
        "available",
        "oldest_seconds",
        "in_flight",
        "workers",
        "slots",
        "limit",
    ]);
    for queue in inspect::queues(pool, queue).await? {
        let limit = queue.rate_limit.map(|jobs| format!("{jobs} in {} s", queue.rate_period_seconds));
        let oldest = queue.oldest_available_seconds.map(|secs| (secs * 10.0).round() / 10.0);
        table.row([
            queue.queue.into(),
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
    Ok(table)
}

fn report(workers: Vec<WorkerLine>) -> Table {
    let columns =
        ["worker", "name", "queue", "alive", "version", "started_at", "last_seen_at", "concurrency", "succeeded"];
    let mut table = Table::new(&[&columns[..], &["failed", "leases_lost", "rss_mb"]].concat());
    for worker in workers {
        let rss = Value::from(worker.rss_bytes / 1024 / 1024);
        table.row([
            worker.worker_id.into(),
            worker.name.into(),
            worker.queue.into(),
            worker.alive.into(),
            worker.version.into(),
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
