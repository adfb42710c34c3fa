//! Applies workers' events to the jobs' rows.

use std::{collections::HashSet, time::Duration};

use ring::rand::SystemRandom;
use serde_json::Value;
use sqlx::PgConnection;
use uncloud_wire::{
    JobId, QueueName,
    stream::{Outcome, clean},
};

use super::event::{Ended, Event, Succeeded};
use crate::{
    metrics::JobAttempt,
    queue::{
        Runner, db,
        job::{JobState, backoff, jitter},
        kinds::Settled,
    },
    request_context,
};

/// Applies events in one transaction; returns the jobs that became final. Each statement checks queue, fence, delivery
/// and state: a host can only report on its own jobs, a worker only on jobs that no other worker has taken over, and of
/// several results the first one counts.
pub(super) async fn apply(runner: &Runner, queue: &QueueName, events: Vec<Event>) -> sqlx::Result<Vec<JobId>> {
    let (mut reported, mut over) = (HashSet::new(), HashSet::new());
    let (mut running, mut succeeded, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for event in events {
        if event.outcome != Outcome::Running {
            over.insert((event.job_id, event.fence));
        }
        match event.outcome {
            // A worker that took the job over after its end has dropped it.
            Outcome::Running if over.contains(&(event.job_id, event.fence)) => {}
            Outcome::Running => running.push(event),
            _ if !reported.insert((event.job_id, event.fence, event.delivery)) => {} // repeated: the first counts
            Outcome::Succeeded => match result_of(&event) {
                Ok(result) => succeeded.push((event, result)),
                Err(error) => others.push(Event { outcome: Outcome::Failed, body: error, ..event }),
            },
            Outcome::Retry | Outcome::Snooze | Outcome::Failed | Outcome::Revoked => others.push(event),
        }
    }
    let mut tx = request_context::begin(&runner.pool).await?;
    let mut ended = Ended::default();
    mark_running(&mut tx, queue, &running).await?;
    mark_succeeded(runner, &mut tx, queue, succeeded, &mut ended).await?;
    let random = SystemRandom::new();
    for event in others {
        mark_ended(&mut tx, queue, &event, &random, &mut ended).await?;
    }
    db::release_children(&mut tx, &ended.finished).await?;
    tx.commit().await?;
    runner.metrics.note_attempts(ended.attempts);
    Ok(ended.finished)
}

/// Reads the result of a job. PostgreSQL's jsonb can't hold the character NUL.
fn result_of(event: &Event) -> Result<Value, String> {
    if event.body.contains("\\u0000") {
        return Err("its worker reported a result that contains a NUL character".to_owned());
    }
    serde_json::from_str(&event.body)
        .map_err(|error| format!("its worker reported a result that is not valid JSON: {error}"))
}

async fn mark_running(tx: &mut PgConnection, queue: &QueueName, events: &[Event]) -> sqlx::Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let jobs: Vec<i64> = events.iter().map(|event| event.job_id).collect();
    let fences: Vec<i64> = events.iter().map(|event| event.fence).collect();
    let workers: Vec<String> = events.iter().map(|event| event.worker.clone()).collect();
    let deliveries: Vec<i32> = events.iter().map(|event| event.delivery).collect();
    sqlx::query!(
        "update job set state = 'running', worker = event.worker, last_seen_at = clock_timestamp(), delivery = event.delivery,
             running_at = coalesce(running_at, clock_timestamp())
         from (select distinct on (job_id, fence) job_id, fence, worker, delivery
               from unnest($1::bigint[], $2::bigint[], $3::text[], $5::integer[]) as event (job_id, fence, worker, delivery)
               order by job_id, fence, delivery desc) as event
         where job.job_id = event.job_id and job.fence = event.fence and queue = $4 and job.delivery <= event.delivery
             and state in ('dispatched', 'running')",
        &jobs,
        &fences,
        &workers,
        queue.as_str(),
        &deliveries,
    )
    .execute(tx)
    .await
    .map(drop)
}

async fn mark_succeeded(
    runner: &Runner,
    tx: &mut PgConnection,
    queue: &QueueName,
    events: Vec<(Event, Value)>,
    ended: &mut Ended,
) -> sqlx::Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = events.iter().map(|(event, _)| event.job_id).collect();
    let fences: Vec<i64> = events.iter().map(|(event, _)| event.fence).collect();
    let workers: Vec<String> = events.iter().map(|(event, _)| event.worker.clone()).collect();
    let took: Vec<Option<i32>> = events.iter().map(|(event, _)| event.duration_ms).collect();
    let deliveries: Vec<i32> = events.iter().map(|(event, _)| event.delivery).collect();
    let results: Vec<Value> = events.into_iter().map(|(_, result)| result).collect();
    let rows = sqlx::query!(
        r#"update job set state = 'succeeded', worker = event.worker, result = event.result, error = null,
               duration_ms = event.duration_ms, finished_at = clock_timestamp()
           from unnest($1::bigint[], $2::bigint[], $3::text[], $4::jsonb[], $6::integer[], $7::integer[])
               as event (job_id, fence, worker, result, duration_ms, delivery)
           where job.job_id = event.job_id and job.fence = event.fence and queue = $5 and job.delivery <= event.delivery
               and state in ('dispatched', 'running')
           returning job.job_id, kind, payload, job.result as "result!", job.duration_ms,
               extract(epoch from finished_at - run_at)::float8 as "since_due!""#,
        &ids,
        &fences,
        &workers,
        &results,
        queue.as_str(),
        &took as &[Option<i32>],
        &deliveries,
    )
    .fetch_all(&mut *tx)
    .await?;
    for row in rows {
        let (waited, ran) = times(row.since_due, row.duration_ms);
        let (kind, payload, result) = (row.kind, row.payload, row.result);
        let job = Succeeded { job_id: row.job_id, queue: queue.as_str().to_owned(), kind, payload, result };
        let outcome = match runner.kinds.settle(tx, &job).await? {
            Settled::Done => {
                tracing::info!(job = job.job_id, kind = job.kind, %queue, "job succeeded");
                "succeeded"
            }
            Settled::Unreadable(error) => {
                tracing::error!(job = job.job_id, kind = job.kind, %queue, error, "job's result can't be used");
                sqlx::query!("update job set state = 'failed', error = $2 where job_id = $1", job.job_id, error)
                    .execute(&mut *tx)
                    .await?;
                "failed"
            }
        };
        ended.finished.push(job.job_id);
        ended.attempts.push(JobAttempt { kind: job.kind, queue: job.queue, outcome, waited, ran });
    }
    Ok(())
}

/// Returns how long a job waited before it started, and how long it ran, if it started at all.
fn times(secs_since_due: f64, duration_ms: Option<i32>) -> (Option<Duration>, Option<Duration>) {
    let Some(ran) = duration_ms.and_then(|millis| millis.try_into().ok()).map(Duration::from_millis) else {
        return (None, None);
    };
    let since_due = Duration::try_from_secs_f64(secs_since_due).unwrap_or_default();
    (Some(since_due.saturating_sub(ran)), Some(ran))
}

/// Records the end of an attempt. One event at a time, because a duplicate may supersede a retried job. These events
/// are few.
pub(in crate::queue) async fn mark_ended(
    tx: &mut PgConnection,
    queue: &QueueName,
    event: &Event,
    random: &SystemRandom,
    ended: &mut Ended,
) -> sqlx::Result<()> {
    let error = clean(&event.body);
    let counts = matches!(event.outcome, Outcome::Retry | Outcome::Failed);
    let row = sqlx::query!(
        "update job set failures = failures + $6::boolean::integer, worker = nullif($4, ''), error = $5, duration_ms = $7
         where job_id = $1 and fence = $2 and queue = $3 and delivery <= $8 and state in ('dispatched', 'running')
         returning kind, failures, max_failures, backoff_base_ms, backoff_max_ms,
             extract(epoch from clock_timestamp() - run_at)::float8 as \"since_due!\"",
        event.job_id,
        event.fence,
        queue.as_str(),
        event.worker,
        error,
        counts,
        event.duration_ms,
        event.delivery,
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return Ok(()) };
    let (job, kind, failures) = (event.job_id, &row.kind, row.failures);
    let state = match event.outcome {
        Outcome::Snooze => {
            db::close_attempt(tx, job, "snoozed", Some(&error)).await?;
            tracing::info!(job, kind, %queue, reason = error, again_in = ?event.after, "job snoozed");
            db::requeue(tx, job, event.after, None).await?
        }
        Outcome::Retry if failures < row.max_failures => {
            db::close_attempt(tx, job, "retry", Some(&error)).await?;
            let millis = |millis: i32| Duration::from_millis(millis.try_into().unwrap_or_default());
            let after = backoff(millis(row.backoff_base_ms), millis(row.backoff_max_ms), failures, jitter(random));
            tracing::warn!(job, kind, %queue, error, failures, retry_in = ?after, "job failed; it will be retried");
            db::requeue(tx, job, after, None).await?
        }
        Outcome::Revoked => {
            db::close_attempt(tx, job, "revoked", None).await?;
            db::revoke(tx, &[job], &error).await?;
            tracing::warn!(job, kind, %queue, "job revoked");
            JobState::Revoked
        }
        Outcome::Retry | Outcome::Failed | Outcome::Running | Outcome::Succeeded => {
            db::close_attempt(tx, job, "failed", Some(&error)).await?;
            sqlx::query!("update job set state = 'failed', finished_at = clock_timestamp() where job_id = $1", job)
                .execute(tx)
                .await?;
            tracing::error!(job, kind, %queue, error, failures, "job failed permanently");
            JobState::Failed
        }
    };
    if state.is_final() {
        ended.finished.push(job);
    }
    let (waited, ran) = times(row.since_due, event.duration_ms);
    let outcome = match event.outcome {
        Outcome::Snooze => "snoozed",
        Outcome::Revoked => "revoked",
        _ if state == JobState::Failed => "failed",
        _ => "retry",
    };
    ended.attempts.push(JobAttempt { kind: row.kind, queue: queue.as_str().to_owned(), outcome, waited, ran });
    Ok(())
}
