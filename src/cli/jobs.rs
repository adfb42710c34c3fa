//! `uncloud jobs`: what became of jobs, and what is to become of them.

use std::{
    io::{IsTerminal as _, Write as _},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::{
    config::DatabaseArgs,
    output::{Output, Table},
};
use crate::{
    http::Window,
    queue::{
        self, JobState, Step, Wake,
        inspect::{self, JobDetail, JobFilter},
        operate,
    },
};
use uncloud_wire::{JobId, QueueName};

/// Options of `jobs`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  uncloud jobs ls --state failed                    the dead letters
  uncloud jobs show 42                              its history, why it is stuck and what to do
  uncloud jobs retry --all --queue vpn-1.example.ch --error 'port 51820'
  uncloud jobs watch 42                             its progress, until it has ended")]
pub(super) struct JobsArgs {
    #[command(subcommand)]
    command: JobsCommand,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Debug, Subcommand)]
enum JobsCommand {
    /// List jobs, the newest first.
    Ls {
        #[command(flatten)]
        filter: FilterArgs,
        /// Those in this state.
        #[arg(long, value_name = "STATE")]
        state: Option<JobState>,
        /// At most so many.
        #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
        #[command(flatten)]
        output: Output,
    },
    /// Show a job with its history, and why it does not get on.
    Show {
        /// The job.
        #[arg(value_name = "ID")]
        job: JobId,
        #[command(flatten)]
        output: Output,
    },
    /// Follow a job until it has ended; the exit code says how.
    Watch {
        /// The job.
        #[arg(value_name = "ID")]
        job: JobId,
    },
    /// Run a job again that failed or was revoked, or at once what waits for its time; or all that failed and match.
    Retry {
        /// The job.
        #[arg(value_name = "ID", required_unless_present = "all")]
        job: Option<JobId>,
        /// All that failed and match the filters.
        #[arg(long, conflicts_with = "job")]
        all: bool,
        #[command(flatten)]
        filter: FilterArgs,
    },
    /// Revoke a job, also a running one.
    Revoke {
        /// The job.
        #[arg(value_name = "ID")]
        job: JobId,
    },
    /// Revoke all jobs of a queue that wait.
    Purge {
        /// The queue.
        #[arg(value_name = "QUEUE")]
        queue: QueueName,
    },
}

#[derive(Debug, Args)]
struct FilterArgs {
    /// Those of this queue.
    #[arg(long, value_name = "QUEUE")]
    queue: Option<QueueName>,
    /// Those of this kind.
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Those whose last error has this in it.
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,
    /// Those that were asked for at least so many seconds ago.
    #[arg(long, value_name = "SECONDS")]
    min_age: Option<i32>,
}

impl FilterArgs {
    fn filter(self, state: Option<JobState>) -> JobFilter {
        let queue = self.queue.map(String::from);
        JobFilter { state, queue, kind: self.kind, min_age_seconds: self.min_age, error: self.error }
    }
}

pub(super) async fn run(args: JobsArgs) -> anyhow::Result<()> {
    let pool = args.database.connect().await?;
    let wake: Arc<Wake> = Arc::default();
    match args.command {
        JobsCommand::Ls { filter, state, limit, output } => list(&pool, &filter.filter(state), limit, &output).await,
        JobsCommand::Show { job, output } => show(&pool, job, &output).await,
        JobsCommand::Watch { job } => watch(&pool, &wake, job).await,
        JobsCommand::Retry { job: Some(job), .. } => {
            let state = operate::retry(&pool, job).await?;
            tracing::info!(job, state = state.as_str(), "told to run again");
            Ok(())
        }
        JobsCommand::Retry { filter, .. } => {
            let jobs = operate::retry_all(&pool, &filter.filter(None)).await?;
            tracing::info!(jobs, "told to run again");
            Ok(())
        }
        JobsCommand::Revoke { job } => {
            let state = operate::revoke(&pool, &wake, job).await?;
            let asked = if state.is_final() { "revoked" } else { "its worker is told to end it" };
            tracing::info!(job, "{asked}");
            Ok(())
        }
        JobsCommand::Purge { queue } => {
            let jobs = operate::purge(&pool, &wake, &queue).await?;
            tracing::info!(jobs, %queue, "revoked");
            Ok(())
        }
    }
}

pub(super) fn time(time: DateTime<Utc>) -> Value {
    time.to_rfc3339_opts(SecondsFormat::Secs, true).into()
}

async fn list(pool: &PgPool, filter: &JobFilter, limit: i64, output: &Output) -> anyhow::Result<()> {
    let mut table = Table::new(&["id", "state", "kind", "queue", "attempt", "created_at", "finished_at", "error"]);
    for job in inspect::jobs(pool, filter, Window::newest(limit)).await? {
        table.row([
            job.job_id.into(),
            job.state.as_str().into(),
            job.kind.into(),
            job.queue.into(),
            job.attempt.into(),
            time(job.created_at),
            job.finished_at.map_or(Value::Null, time),
            job.error.into(),
        ]);
    }
    table.print(output)
}

async fn find(pool: &PgPool, job: JobId) -> anyhow::Result<JobDetail> {
    inspect::job(pool, job).await?.with_context(|| format!("there is no job {job}"))
}

/// What a job is, line by line.
async fn show(pool: &PgPool, job: JobId, output: &Output) -> anyhow::Result<()> {
    let job = find(pool, job).await?;
    let steps = queue::history(&job);
    let mut facts = Table::new(&["field", "value"]);
    let line = &job.line;
    let progress = line.progress.as_ref();
    let progress = progress.map(|step| format!("{} of {} {}", step.done, step.total, step.message));
    let parents: Vec<String> =
        job.parents.iter().map(|parent| format!("{} ({})", parent.job_id, parent.state.as_str())).collect();
    for (field, value) in [
        ("id", line.job_id.into()),
        ("state", line.state.as_str().into()),
        ("hint", job.hint.into()),
        ("kind", line.kind.clone().into()),
        ("queue", line.queue.clone().into()),
        ("payload", job.payload),
        ("priority", line.priority.into()),
        ("progress", progress.into()),
        ("error", line.error.clone().into()),
        ("result", job.result.unwrap_or_default()),
        ("failures", format!("{} of {}", job.failures, job.max_failures).into()),
        ("attempt", line.attempt.into()),
        ("worker", job.worker.into()),
        ("created_at", time(line.created_at)),
        ("run_at", time(line.run_at)),
        ("dispatched_at", job.dispatched_at.map_or(Value::Null, time)),
        ("finished_at", line.finished_at.map_or(Value::Null, time)),
        ("duration_ms", job.duration_ms.into()),
        ("waits_for", (!parents.is_empty()).then(|| parents.join(", ")).into()),
        ("superseded_by", job.superseded_by.into()),
        ("unique_key", job.unique_key.into()),
        ("serial_key", job.serial_key.into()),
        ("request_id", job.request_id.into()),
    ] {
        if value != Value::Null || output.is_json() {
            facts.row([field.into(), value]);
        }
    }
    for step in steps {
        let value = if output.is_json() {
            let (at, what, attempt) = (time(step.at), step.what, step.attempt);
            json!({ "at": at, "what": what, "attempt": attempt, "worker": step.worker, "error": step.error })
        } else {
            told(&step).into()
        };
        facts.row(["history".into(), value]);
    }
    facts.print(output)
}

/// As in `2026-11-25T03:17:00Z failed, attempt 2, worker1@vpn-1: port 51820 is taken`.
fn told(step: &Step) -> String {
    let at = step.at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let attempt = step.attempt.map_or_else(String::new, |attempt| format!(", attempt {attempt}"));
    let worker = step.worker.as_ref().map_or_else(String::new, |worker| format!(", {worker}"));
    let error = step.error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
    format!("{at} {}{attempt}{worker}{error}", step.what)
}

/// Draws a bar on a terminal, and writes a line for each change elsewhere.
async fn watch(pool: &PgPool, wake: &Arc<Wake>, job: JobId) -> anyhow::Result<()> {
    let listener = tokio::spawn(queue::listen(pool.clone(), Arc::clone(wake)));
    let mut last = String::new();
    let view = loop {
        let view = queue::wait_until_finished(pool, wake, job, None, Duration::from_millis(500)).await?;
        let view = view.with_context(|| format!("there is no job {job}"))?;
        let line = bar(view.state, view.progress.as_ref());
        if line != last {
            let terminal = std::io::stderr().is_terminal();
            let (begin, end) = if terminal { ("\r\x1b[K", "") } else { ("", "\n") };
            eprint!("{begin}job {job} {line}{end}");
            std::io::stderr().flush()?;
            last = line;
        }
        if view.state.is_final() {
            break view;
        }
    };
    listener.abort();
    if std::io::stderr().is_terminal() {
        eprintln!();
    }
    if view.state != JobState::Succeeded {
        bail!("job {job} is {}: {}", view.state.as_str(), view.error.unwrap_or_default());
    }
    Ok(())
}

/// As in `running [#####.....] 50 of 100 bills`.
fn bar(state: JobState, progress: Option<&Value>) -> String {
    const WIDTH: u64 = 30;
    let number = |name: &str| progress.and_then(|progress| progress[name].as_u64());
    let (Some(done), Some(total)) = (number("done"), number("total")) else { return state.as_str().to_owned() };
    let filled = (done.min(total) * WIDTH).checked_div(total).unwrap_or(WIDTH);
    let drawn: String = (0..WIDTH).map(|step| if step < filled { '#' } else { '.' }).collect();
    let message = progress.and_then(|progress| progress["message"].as_str()).unwrap_or_default();
    format!("{} [{drawn}] {done} of {total} {message}", state.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_a_bar() {
        assert_eq!(bar(JobState::Queued, None), "queued");
        let half = json!({ "done": 50, "total": 100, "message": "bills" });
        let expected = "running [###############...............] 50 of 100 bills";
        assert_eq!(bar(JobState::Running, Some(&half)), expected);
        let nothing = json!({ "done": 0, "total": 0, "message": "" });
        assert!(bar(JobState::Running, Some(&nothing)).contains("[##############################] 0 of 0"));
    }
}
