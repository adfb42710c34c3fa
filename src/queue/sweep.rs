//! Takes back jobs that Redis no longer has: it was emptied, or the relay died between commit and push.

use std::{collections::HashSet, time::Duration};

use redis::{
    AsyncCommands as _, RedisError,
    aio::ConnectionManager,
    streams::{StreamInfoConsumersReply, StreamRangeReply},
};
use tokio::sync::watch;

use super::{
    JobId, QueueName, Runner,
    backend::{GROUP, reconnecting},
    db,
};

const PERIOD: Duration = Duration::from_secs(2);
/// Longer than a worker's heartbeat, which keeps running jobs out of the sweep's sight.
const UNSEEN_SECS: f64 = 5.0;
/// Entries read at once; each may carry a large payload.
const PAGE: usize = 100;

/// A row that nobody has spoken of for a while.
struct Unseen {
    job_id: JobId,
    fence: i64,
    queue: String,
}

pub(super) async fn run(runner: Runner, mut stop: watch::Receiver<bool>) {
    let mut connection = None;
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(PERIOD) => {}
        }
        if let Err(error) = sweep(&runner, &mut connection).await {
            tracing::debug!(error = format!("{error:#}"), "sweep put off");
        }
    }
}

async fn sweep(runner: &Runner, connection: &mut Option<ConnectionManager>) -> anyhow::Result<()> {
    let mut unseen = sqlx::query_as!(
        Unseen,
        r#"select job_id, fence as "fence!", queue from job
         where state in ('dispatched', 'running') and seen_at < now() - make_interval(secs => $1)
         order by seen_at limit 10000"#,
        UNSEEN_SECS,
    )
    .fetch_all(&runner.pool)
    .await?;
    unseen.sort_by(|a, b| a.queue.cmp(&b.queue));
    let redis = match connection {
        Some(redis) => redis,
        empty => empty.insert(reconnecting(&runner.redis)?),
    };
    for jobs in unseen.chunk_by(|a, b| a.queue == b.queue) {
        let queue: QueueName = jobs[0].queue.parse()?;
        note_workers(runner, redis, &queue).await?;
        let known = known_jobs(redis, &queue).await?;
        // Asked after the jobs: a job that ended in between has left its event, committed or still here.
        let reports: usize = redis.xlen(queue.events_key()).await?;
        let (alive, lost): (Vec<&Unseen>, Vec<&Unseen>) =
            jobs.iter().partition(|job| known.contains(&(job.job_id, job.fence)));
        let alive: Vec<i64> = alive.into_iter().map(|job| job.job_id).collect();
        sqlx::query!("update job set seen_at = clock_timestamp() where job_id = any($1)", &alive)
            .execute(&runner.pool)
            .await?;
        if reports == 0 && !lost.is_empty() {
            take_back(runner, &queue, &lost).await?;
        }
    }
    Ok(())
}

/// Notes when a worker last asked for work. Workers ask every two seconds, so that is also whether one is there.
async fn note_workers(runner: &Runner, redis: &mut ConnectionManager, queue: &QueueName) -> anyhow::Result<()> {
    let consumers: Result<StreamInfoConsumersReply, RedisError> = redis.xinfo_consumers(queue.jobs_key(), GROUP).await;
    let idle_millis = match consumers {
        Ok(reply) => reply.consumers.iter().map(|consumer| consumer.idle).min(),
        Err(error) if error.code().is_none() => return Err(error.into()), // Redis did not answer
        Err(_) => None, // no stream or no group: no worker has ever asked
    };
    if let Some(idle) = idle_millis {
        let idle_secs = Duration::from_millis(u64::try_from(idle)?).as_secs_f64();
        sqlx::query!(
            "insert into worker_seen (queue, seen_at) values ($1, now() - make_interval(secs => $2))
             on conflict (queue) do update set seen_at = greatest(worker_seen.seen_at, excluded.seen_at)",
            queue.as_str(),
            idle_secs,
        )
        .execute(&runner.pool)
        .await?;
    }
    Ok(())
}

async fn known_jobs(redis: &mut ConnectionManager, queue: &QueueName) -> anyhow::Result<HashSet<(JobId, i64)>> {
    let mut known = HashSet::new();
    let mut from = "-".to_owned();
    loop {
        let page: StreamRangeReply = redis.xrange_count(queue.jobs_key(), &from, "+", PAGE).await?;
        known.extend(page.ids.iter().filter_map(|entry| Some((entry.get("job")?, entry.get("fence")?))));
        match page.ids.last() {
            Some(last) if page.ids.len() == PAGE => from = format!("({}", last.id),
            _ => return Ok(known),
        }
    }
}

async fn take_back(runner: &Runner, queue: &QueueName, lost: &[&Unseen]) -> anyhow::Result<()> {
    let mut tx = runner.pool.begin().await?;
    for job in lost {
        let row = sqlx::query!(
            "select unique_key from job
             where job_id = $1 and fence = $2 and state in ('dispatched', 'running')
                 and seen_at < now() - make_interval(secs => $3)
             for update skip locked",
            job.job_id,
            job.fence,
            UNSEEN_SECS,
        )
        .fetch_optional(&mut *tx)
        .await?;
        if let Some(row) = row {
            db::requeue(&mut tx, job.job_id, row.unique_key.as_deref(), Duration::ZERO, None).await?;
            tracing::warn!(job = job.job_id, %queue, "job was lost with Redis; it is queued again");
        }
    }
    tx.commit().await?;
    runner.wake.queued();
    Ok(())
}
