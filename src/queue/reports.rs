//! Applies workers' reports: their state, and their jobs' progress. A lost report is replaced by the next one.

use std::collections::HashMap;

use chrono::Datelike as _;
use redis::streams::StreamId;
use serde_json::Value;
use sqlx::types::Json;
use uncloud_wire::{
    JobId, QueueName,
    stream::{ActiveJob, Progress, WorkerReport, clean},
};

use super::Runner;

pub(super) async fn apply(runner: &Runner, queue: &QueueName, entries: &[StreamId]) -> sqlx::Result<()> {
    let mut workers: HashMap<String, WorkerReport> = HashMap::new();
    let mut progress: HashMap<(JobId, i64, i32), Progress> = HashMap::new();
    for entry in entries {
        if let Some(report) = entry.get::<String>("worker").and_then(|text| checked(&text)) {
            workers.insert(report.instance.clone(), report);
        } else if let Some(news) = entry.get::<String>("progress").and_then(|text| serde_json::from_str(&text).ok()) {
            if let (Some(job), Some(fence)) = (entry.get("job"), entry.get("fence")) {
                progress.insert((job, fence, entry.get("delivery").unwrap_or(1)), news);
            }
        } else {
            tracing::error!(%queue, entry = entry.id, "a worker's report can't be read and is dropped; check that worker and server have the same version");
        }
    }
    for report in workers.into_values() {
        note_worker(runner, queue, report).await?;
    }
    for ((job_id, fence, delivery), news) in progress {
        let news = Progress { message: clean(&news.message), ..news };
        sqlx::query!(
            "update job set progress = $4, last_seen_at = clock_timestamp()
             where job_id = $1 and fence = $2 and queue = $3 and delivery <= $5 and state in ('dispatched', 'running')",
            job_id,
            fence,
            queue.as_str(),
            serde_json::to_value(&news).unwrap_or_default(),
            delivery,
        )
        .execute(&runner.pool)
        .await?;
    }
    Ok(())
}

/// Reads a report, unless it exceeds the limits. A host may write anything: no report may stop the server from reading
/// those of other hosts.
fn checked(text: &str) -> Option<WorkerReport> {
    const MAX_NAME: usize = 300;
    let mut report: WorkerReport = serde_json::from_str(text).ok()?;
    let short = |text: &str| text.len() <= MAX_NAME && !text.contains('\0');
    let fits = (1..=1024).contains(&report.concurrency)
        && report.active.len() <= 1024
        && report.kinds.len() <= 100
        && (1970..=9999).contains(&report.started_at.year())
        && [&report.instance, &report.name, &report.version].into_iter().all(|text| short(text))
        && report.kinds.iter().chain(report.active.iter().map(|job| &job.kind)).all(|text| short(text));
    report.name = clean(&report.name);
    fits.then_some(report)
}

async fn note_worker(runner: &Runner, queue: &QueueName, report: WorkerReport) -> sqlx::Result<()> {
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let news = sqlx::query_scalar!(
        r#"with before as (select concurrency from worker where queue = $1 and instance = $2),
           noted as (
               insert into worker (queue, instance, name, version, concurrency, active, kinds, started_at, succeeded,
                   failed, leases_lost, rss_bytes, stopped, last_seen_at)
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, clock_timestamp())
               on conflict on constraint worker_queue_instance_key do update set
                   name = excluded.name, version = excluded.version, concurrency = excluded.concurrency,
                   active = excluded.active, kinds = excluded.kinds, started_at = excluded.started_at,
                   succeeded = excluded.succeeded, failed = excluded.failed, leases_lost = excluded.leases_lost,
                   rss_bytes = excluded.rss_bytes, stopped = excluded.stopped, last_seen_at = excluded.last_seen_at
               returning concurrency)
           select noted.concurrency is distinct from before.concurrency as "news!" from noted left join before on true"#,
        queue.as_str(),
        report.instance,
        report.name,
        report.version,
        i32::from(report.concurrency),
        Json(report.active) as Json<Vec<ActiveJob>>,
        &report.kinds,
        report.started_at,
        count(report.succeeded),
        count(report.failed),
        count(report.leases_lost),
        count(report.rss_bytes),
        report.stopped,
    )
    .fetch_one(&runner.pool)
    .await?;
    if news {
        runner.wake.queued(); // there is capacity for more of its jobs
    }
    Ok(())
}

/// Reads the stored progress of a job, for its representations.
pub(super) fn parse_progress(progress: Option<Value>) -> Option<Progress> {
    serde_json::from_value(progress?).ok()
}
