//! Queues jobs again that Redis no longer has: it was emptied, or the relay died between commit and push.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::{Duration, Instant},
};

use redis::{AsyncCommands as _, RedisError, Script, aio::ConnectionManager, streams::StreamRangeReply};
use tokio::sync::watch;
use uncloud_wire::{JobId, QueueName, stream::reconnecting};

use super::{Runner, db};
use crate::{metrics::JobAttempt, request_context};

const PERIOD: Duration = Duration::from_secs(2);
/// The interval of checks while Redis does not respond.
const RETRY: Duration = Duration::from_millis(500);
/// The time that workers have to report their jobs, before jobs that Redis does not have count as lost.
const HEARING: Duration = Duration::from_secs(3);
/// The age from which a row is looked up in Redis. With [`PERIOD`] and [`HEARING`] a lost job is queued again within 10
/// seconds.
const LOOKED_FOR_SECS: f64 = 2.0;
/// Longer than a worker's heartbeat: a job that a worker reports is never considered lost.
const UNSEEN_SECS: f64 = 5.0;
/// The number of entries read at once; Redis does nothing else meanwhile.
const PAGE: usize = 500;

/// A dispatched job that no worker has reported for a while.
struct StaleDispatch {
    job_id: JobId,
    fence: i64,
    queue: String,
    /// True if no worker has reported it for longer than [`UNSEEN_SECS`].
    stale: bool,
}

/// The dispatches that Redis does not have, and since when.
type Missing = HashMap<(JobId, i64), Instant>;

pub(super) async fn run(runner: Runner, mut stop: watch::Receiver<bool>) {
    let mut connection = None;
    let mut missing = Missing::new();
    let mut wait = PERIOD;
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(wait) => {}
        }
        wait = match sweep(&runner, &mut connection, &mut missing).await {
            Ok(()) => PERIOD,
            Err(error) => {
                // Workers first get the time to report what they could not report meanwhile.
                missing.clear();
                put_off(&error, "lost jobs are not rescued");
                RETRY
            }
        }
    }
}

/// Logs an error of Redis. The relay already reports that Redis is unavailable; that it refuses a command is for staff
/// to fix.
pub(super) fn put_off(error: &anyhow::Error, what: &str) {
    let refused = error.downcast_ref::<RedisError>().is_some_and(|error| error.code() == Some("NOPERM"));
    let error = format!("{error:#}");
    if refused {
        tracing::error!(
            error,
            "{what}: Redis refuses a command of the server's user; set its rules as in docs/operations/redis.md"
        );
    } else {
        tracing::debug!(error, "{what} for now; retrying");
    }
}

async fn sweep(
    runner: &Runner,
    connection: &mut Option<ConnectionManager>,
    missing: &mut Missing,
) -> anyhow::Result<()> {
    let mut unseen = sqlx::query_as!(
        StaleDispatch,
        r#"select job_id, fence as "fence!", queue, last_seen_at < now() - make_interval(secs => $2) as "stale!" from job
         where state in ('dispatched', 'running') and last_seen_at < now() - make_interval(secs => $1)
         order by last_seen_at limit 10000"#,
        LOOKED_FOR_SECS,
        UNSEEN_SECS,
    )
    .fetch_all(&runner.pool)
    .await?;
    unseen.sort_by(|a, b| a.queue.cmp(&b.queue));
    let redis = match connection {
        Some(redis) => redis,
        empty => empty.insert(reconnecting(&runner.redis)?),
    };
    find_queues(runner, redis).await?;
    let mut still_missing = Missing::new();
    for jobs in unseen.chunk_by(|a, b| a.queue == b.queue) {
        let queue: QueueName = jobs[0].queue.parse()?;
        let known = listed(redis, &queue.jobs_key()).await?;
        // Read after the jobs: a job that ended in between has left its event, committed or still here.
        let reported = listed(redis, &queue.events_key()).await?;
        let (here, gone): (Vec<&StaleDispatch>, Vec<&StaleDispatch>) =
            jobs.iter().partition(|job| known.contains(&(job.job_id, job.fence)));
        let alive: Vec<i64> = here.into_iter().filter(|job| job.stale).map(|job| job.job_id).collect();
        sqlx::query!("update job set last_seen_at = clock_timestamp() where job_id = any($1)", &alive)
            .execute(&runner.pool)
            .await?;
        let mut lost = Vec::new();
        for job in gone.into_iter().filter(|job| !reported.contains(&(job.job_id, job.fence))) {
            let dispatch = (job.job_id, job.fence);
            let since = missing.get(&dispatch).copied().unwrap_or_else(Instant::now);
            still_missing.insert(dispatch, since);
            if since.elapsed() >= HEARING {
                lost.push(job);
            }
        }
        if !lost.is_empty() {
            take_back(runner, &queue, &lost).await?;
        }
    }
    *missing = still_missing;
    Ok(())
}

/// Returns a page of a stream's entries, without the payloads, which may be large: the last entry's id, then job and
/// fence of each.
const LIST: &str = r"
local found = {}
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[2], 'COUNT', ARGV[3])) do
    local job, fence = '', ''
    for i = 1, #entry[2], 2 do
        if entry[2][i] == 'job' then job = entry[2][i + 1] elseif entry[2][i] == 'fence' then fence = entry[2][i + 1] end
    end
    found[1] = entry[1]
    found[#found + 1] = job
    found[#found + 1] = fence
end
return found";

async fn listed(redis: &mut ConnectionManager, stream: &str) -> anyhow::Result<HashSet<(JobId, i64)>> {
    let script = Script::new(LIST);
    let mut known = HashSet::new();
    let mut from = "-".to_owned();
    // Entries that arrive meanwhile are left to the next pass; a host may write faster than this reads.
    let newest: StreamRangeReply = redis.xrevrange_count(stream, "+", "-", 1).await?;
    let Some(newest) = newest.ids.first() else { return Ok(known) };
    loop {
        let page: Vec<String> = script.key(stream).arg(&from).arg(&newest.id).arg(PAGE).invoke_async(redis).await?;
        let Some((last, entries)) = page.split_first() else { return Ok(known) };
        known.extend(entries.chunks(2).filter_map(|pair| Some((pair[0].parse().ok()?, pair.get(1)?.parse().ok()?))));
        from = format!("({last}");
    }
}

/// Finds the queues that have streams: their workers report, or an earlier process of this server has left events.
async fn find_queues(runner: &Runner, redis: &mut ConnectionManager) -> anyhow::Result<()> {
    let mut keys = redis.scan_match::<_, String>("uncloud:{*}:*").await?;
    let mut queues = BTreeSet::new();
    while let Some(key) = keys.next_item().await {
        queues.extend(QueueName::of_key(&key?));
    }
    runner.wake.expect_events_of(&queues);
    Ok(())
}

async fn take_back(runner: &Runner, queue: &QueueName, lost: &[&StaleDispatch]) -> anyhow::Result<()> {
    let mut tx = request_context::begin(&runner.pool).await?;
    let (mut finished, mut attempts) = (Vec::new(), Vec::new());
    for job in lost {
        let kind = sqlx::query_scalar!(
            "select kind from job
             where job_id = $1 and fence = $2 and state in ('dispatched', 'running')
                 and last_seen_at < now() - make_interval(secs => $3)
             for update skip locked",
            job.job_id,
            job.fence,
            UNSEEN_SECS,
        )
        .fetch_optional(&mut *tx)
        .await?;
        if let Some(kind) = kind {
            attempts.push(JobAttempt { kind, queue: queue.as_str().into(), outcome: "lost", waited: None, ran: None });
            db::close_attempt(&mut tx, job.job_id, "lost", Some("Redis lost it")).await?;
            if db::requeue(&mut tx, job.job_id, Duration::ZERO, None).await?.is_final() {
                finished.push(job.job_id);
            }
            tracing::warn!(job = job.job_id, %queue, "Redis lost the job; it is queued again");
        }
    }
    db::release_children(&mut tx, &finished).await?;
    tx.commit().await?;
    runner.metrics.note_attempts(attempts);
    if !finished.is_empty() {
        runner.finished(&finished).await?;
    }
    runner.wake.queued();
    Ok(())
}
