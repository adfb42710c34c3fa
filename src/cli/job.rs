//! The command `uncloud job`, which lists, follows, retries and revokes jobs.

use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::Value;
use uncloud_wire::{JobId, QueueName, program::number};

use super::{
    config::DatabaseArgs,
    output::{Output, Table, time},
    watch::{not_found, watch},
};
use crate::{
    database::Database,
    http::PageQuery,
    queue::{
        JobState, Notifier, Step, history,
        inspect::{self, JobDetail, JobFilter, JobLine},
        operate,
    },
};

/// Options of `job`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  uncloud job ls --state failed                     # the dead letters
  uncloud job show 42                               # its history, and a hint if it is stuck
  uncloud job retry --all --queue vpn-1.example.ch --error 'port 51820'
  uncloud job watch 42                              # its progress, until it has ended")]
pub(super) struct JobArgs {
    #[command(subcommand)]
    command: JobCommand,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Debug, Subcommand)]
enum JobCommand {
    /// List jobs, the newest first.
    #[command(after_help = "Example:\n  uncloud job ls --state failed --queue vpn-1.example.ch --output json")]
    Ls {
        #[command(flatten)]
        filter: FilterArgs,
        /// Only jobs in this state.
        #[arg(long, value_name = "STATE")]
        state: Option<JobState>,
        /// Largest number of jobs to list.
        #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
        #[command(flatten)]
        output: Output,
    },
    /// Show a job with its history, and the reason why it is stuck.
    #[command(after_help = "Example:\n  uncloud job show 42")]
    Show {
        /// Number of the job.
        #[arg(value_parser = number, value_name = "ID")]
        job: JobId,
        #[command(flatten)]
        output: Output,
    },
    /// Follow a job until it has ended. The exit code is 0 if it succeeded.
    #[command(after_help = "Example:\n  uncloud job watch 42 && echo succeeded")]
    Watch {
        /// Number of the job.
        #[arg(value_parser = number, value_name = "ID")]
        job: JobId,
    },
    /// Run a job again that failed or was revoked, or a waiting one at once; with --all, every failed job that matches.
    #[command(after_help = "\
Examples:
  uncloud job retry 42
  uncloud job retry --all --queue vpn-1.example.ch --error 'port 51820'")]
    Retry {
        /// Number of the job.
        #[arg(value_parser = number, value_name = "ID", required_unless_present = "all")]
        job: Option<JobId>,
        /// Retry all failed jobs that match the filters.
        #[arg(long, conflicts_with = "job")]
        all: bool,
        #[command(flatten)]
        filter: FilterArgs,
    },
    /// Revoke a job, also a running one.
    #[command(after_help = "Example:\n  uncloud job revoke 42")]
    Revoke {
        /// Number of the job.
        #[arg(value_parser = number, value_name = "ID")]
        job: JobId,
    },
    /// Revoke all waiting jobs of a queue.
    #[command(after_help = "Example:\n  uncloud job purge vpn-1.example.ch")]
    Purge {
        /// Name of the queue.
        #[arg(value_name = "QUEUE")]
        queue: QueueName,
    },
}

#[derive(Debug, Args)]
struct FilterArgs {
    /// Only jobs of this queue.
    #[arg(short = 'Q', long, value_name = "QUEUE")]
    queue: Option<QueueName>,
    /// Only jobs of this kind.
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Only jobs whose last error contains this text, ignoring case.
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,
    /// Only jobs that were requested at least this long ago.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(i32).range(0..))]
    min_age: Option<i32>,
}

impl FilterArgs {
    fn filter(self, state: Option<JobState>) -> JobFilter {
        let queue = self.queue.map(String::from);
        JobFilter { state, queue, kind: self.kind, min_age_seconds: self.min_age, error: self.error }
    }
}

pub(super) async fn run(args: JobArgs) -> anyhow::Result<()> {
    let pool = Database::from(args.database.connect().await?);
    let wake: Arc<Notifier> = Arc::default();
    match args.command {
        JobCommand::Ls { filter, state, limit, output } => {
            output.list(inspect::jobs(&pool, &filter.filter(state), PageQuery::newest(limit)).await?, list_table)
        }
        JobCommand::Show { job, output } => output.object(find(&pool, job).await?, show_table),
        JobCommand::Watch { job } => watch(&pool, &wake, job).await,
        JobCommand::Retry { job: Some(job), .. } => {
            let state = operate::retry(&pool, job).await?;
            tracing::info!(job, state = state.as_str(), "the job will run again");
            Ok(())
        }
        JobCommand::Retry { filter, .. } => {
            let jobs = operate::retry_all(&pool, &filter.filter(None)).await?;
            tracing::info!(jobs, "the jobs will run again");
            Ok(())
        }
        JobCommand::Revoke { job } => {
            let state = operate::revoke(&pool, &wake, job).await?;
            tracing::info!(
                job,
                "{}",
                if state.is_final() { "revoked" } else { "the worker was notified to end the job" }
            );
            Ok(())
        }
        JobCommand::Purge { queue } => {
            let jobs = operate::purge(&pool, &wake, &queue).await?;
            tracing::info!(jobs, %queue, "revoked");
            Ok(())
        }
    }
}

async fn find(pool: &Database, job: JobId) -> anyhow::Result<JobDetail> {
    inspect::job(pool, job).await?.ok_or_else(|| not_found(job))
}

fn list_table(jobs: &[JobLine]) -> Table {
    let mut table = Table::new(&["id", "state", "kind", "queue", "attempt", "created_at", "finished_at", "error"]);
    for job in jobs {
        table.row([
            job.job_id.into(),
            job.state.as_str().into(),
            job.kind.clone().into(),
            job.queue.clone().into(),
            job.attempt.into(),
            time(job.created_at),
            job.finished_at.map_or(Value::Null, time),
            job.error.clone().into(),
        ]);
    }
    table
}

/// Formats a job as a table of facts.
fn show_table(job: &JobDetail) -> Table {
    let line = &job.line;
    let progress = line.progress.as_ref();
    let progress = progress.map(|step| format!("{} of {} {}", step.done, step.total, step.message));
    let parents: Vec<String> =
        job.parents.iter().map(|parent| format!("{} ({})", parent.job_id, parent.state.as_str())).collect();
    let mut table = Table::facts([
        ("id", line.job_id.into()),
        ("state", line.state.as_str().into()),
        ("hint", job.hint.clone().into()),
        ("kind", line.kind.clone().into()),
        ("queue", line.queue.clone().into()),
        ("payload", job.payload.clone()),
        ("priority", line.priority.into()),
        ("progress", progress.into()),
        ("error", line.error.clone().into()),
        ("result", job.result.clone().unwrap_or_default()),
        ("failures", format!("{} of {}", job.failures, job.max_failures).into()),
        ("attempt", line.attempt.into()),
        ("worker", job.worker.clone().into()),
        ("created_at", time(line.created_at)),
        ("run_at", time(line.run_at)),
        ("dispatched_at", job.dispatched_at.map_or(Value::Null, time)),
        ("finished_at", line.finished_at.map_or(Value::Null, time)),
        ("duration_ms", job.duration_ms.into()),
        ("waits_for", (!parents.is_empty()).then(|| parents.join(", ")).into()),
        ("superseded_by", job.superseded_by.into()),
        ("unique_key", job.unique_key.clone().into()),
        ("serial_key", job.serial_key.clone().into()),
        ("request_id", job.request_id.clone().into()),
    ]);
    for step in history(job) {
        table.row(["history".into(), step_line(&step).into()]);
    }
    table
}

/// Formats a step, as in `2026-11-25T03:17:00.000Z failed, attempt 2, worker1@vpn-1: port 51820 is taken`.
fn step_line(step: &Step) -> String {
    let at = step.at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    let attempt = step.attempt.map_or_else(String::new, |attempt| format!(", attempt {attempt}"));
    let worker = step.worker.as_ref().map_or_else(String::new, |worker| format!(", {worker}"));
    let error = step.error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
    format!("{at} {}{attempt}{worker}{error}", step.event)
}
