//! Selects the jobs to dispatch next: by queue, then by priority, then by time; as many as the queue's workers can soon
//! start.

use std::{collections::HashMap, time::Duration};

use serde_json::Value;
use sqlx::PgConnection;
use uncloud_wire::{JobId, queue_name::SERVER};

use super::job::JobState;

/// The number of jobs claimed in one transaction. Small, because each job may carry a large payload.
const BATCH: i64 = 256;

/// A job that is about to be dispatched.
#[derive(Debug)]
pub struct Claimed {
    /// The job's id.
    pub job_id: JobId,
    /// The job's queue.
    pub queue: String,
    /// The kind of the job.
    pub kind: String,
    /// The job's payload.
    pub payload: Value,
    /// Identifies this dispatch.
    pub fence: i64,
    /// The jobs that it waited for, in the order of their ids.
    pub parents: Vec<Parent>,
    pub(super) soft_limit: Option<Duration>,
    pub(super) hard_limit: Option<Duration>,
    pub(super) request_id: Option<String>,
}

/// A job that another one waited for.
#[derive(Debug, Clone)]
pub struct Parent {
    /// The job's id.
    pub job_id: JobId,
    /// The final state.
    pub state: JobState,
    /// The error, if it failed.
    pub error: Option<String>,
    /// The result that it reported.
    pub result: Option<Value>,
    /// True if the waiting job requires its success.
    pub needed: bool,
}

impl Claimed {
    /// Returns the reason for which the job can't run, if a parent that it requires did not succeed.
    pub(super) fn missed_parent(&self) -> Option<String> {
        let missed = self.parents.iter().find(|parent| parent.needed && parent.state != JobState::Succeeded)?;
        let reason = missed.error.as_deref().map_or_else(String::new, |error| format!(": {error}"));
        Some(format!(
            "job {}, which this one waits for, {}{reason}; retry that job first, then this one",
            missed.job_id,
            match missed.state {
                JobState::Failed => "failed",
                JobState::Revoked => "was revoked",
                _ => "has not ended",
            },
        ))
    }
}

/// The jobs claimed in one transaction.
pub(super) struct Batch {
    pub jobs: Vec<Claimed>,
    /// True if more jobs may be available.
    pub full: bool,
    /// The time until a queue with a rate limit may start its next job.
    pub next_token: Option<Duration>,
}

/// A queue with waiting jobs, and the number of further jobs that may be dispatched.
struct OpenQueue {
    queue: String,
    capacity: i64,
    rate_limit: Option<i32>,
}

/// The jobs that a claim is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClaimScope {
    /// Workers' jobs, of all queues.
    Workers,
    /// The servers' own jobs, one at a time.
    Server,
}

/// Marks available jobs as dispatched and locks them for this transaction.
pub(super) async fn claim(tx: &mut PgConnection, scope: ClaimScope) -> sqlx::Result<Batch> {
    if scope == ClaimScope::Workers {
        sqlx::query!("select pg_advisory_xact_lock_shared(hashtextextended('job_claim', 0))").execute(&mut *tx).await?;
    }
    let mut open = open_queues(tx, scope).await?;
    let mut next_token = None;
    let limited: Vec<String> =
        open.iter().filter(|queue| queue.rate_limit.is_some()).map(|queue| queue.queue.clone()).collect();
    if !limited.is_empty() {
        let tokens = refill_buckets(tx, &limited).await?;
        for queue in open.iter_mut().filter(|queue| queue.rate_limit.is_some()) {
            let tokens = tokens.get(&queue.queue).copied().unwrap_or_default();
            queue.capacity = queue.capacity.min(tokens.whole);
            if tokens.whole == 0 {
                next_token = Some(next_token.map_or(tokens.next, |next: Duration| next.min(tokens.next)));
            }
        }
    }
    open.retain(|queue| queue.capacity > 0);
    // Each queue gets its share, so that a long backlog in one queue does not delay the others.
    let share = match scope {
        ClaimScope::Workers => (BATCH / i64::try_from(open.len()).unwrap_or(BATCH).max(1)).max(1),
        ClaimScope::Server => 1,
    };
    for queue in &mut open {
        queue.capacity = queue.capacity.min(share);
    }
    let mut jobs = if open.is_empty() { Vec::new() } else { dispatch(tx, &open).await? };
    if !limited.is_empty() {
        consume_tokens(tx, &limited, &jobs).await?;
    }
    if jobs.iter().any(|(_, parents)| *parents > 0) {
        add_parents(tx, &mut jobs).await?;
    }
    let claimed = |queue: &OpenQueue| jobs.iter().filter(|(job, _)| job.queue == queue.queue).count();
    let full = open.iter().any(|queue| i64::try_from(claimed(queue)).is_ok_and(|claimed| claimed >= share));
    Ok(Batch { jobs: jobs.into_iter().map(|(job, _)| job).collect(), full, next_token })
}

/// Waits until all claims in progress have committed: they hold a lock until then. The transaction that pauses a queue
/// waits for it, so that it sees all dispatched jobs.
pub(super) async fn wait_for_claims(tx: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('job_claim', 0))").execute(tx).await.map(drop)
}

/// Returns the queues with jobs that may be available. Few jobs are in flight at any time, so that priority and revocation
/// keep their effect: some for each of the workers' slots. Names are read from the index's end: at its start, entries
/// of deleted jobs pile up until they are vacuumed.
async fn open_queues(tx: &mut PgConnection, scope: ClaimScope) -> sqlx::Result<Vec<OpenQueue>> {
    sqlx::query_as!(
        OpenQueue,
        r#"with recursive waiting as ( -- from one name in the index to the next, however many jobs each has
               (select queue from job where state = 'queued' and waits_for = 0 order by queue desc limit 1)
               union all
               select (select next.queue from job next
                       where next.state = 'queued' and next.waits_for = 0 and next.queue < waiting.queue
                       order by next.queue desc limit 1)
               from waiting where waiting.queue is not null)
           select waiting.queue as "queue!", rate_limit as "rate_limit?",
                  greatest(64, 4 * coalesce((select sum(concurrency) from worker
                          where worker.queue = waiting.queue and not stopped and last_seen_at > now() - interval '15 seconds'), 0))
                      - (select count(*) from job
                         where job.queue = waiting.queue and state in ('dispatched', 'running')) as "capacity!"
           from waiting left join job_queue using (queue)
           where waiting.queue is not null and paused_at is null and (waiting.queue = $1) = $2"#,
        SERVER,
        scope == ClaimScope::Server,
    )
    .fetch_all(tx)
    .await
}

/// The tokens that a queue with a rate limit may consume.
#[derive(Clone, Copy, Default)]
struct Tokens {
    whole: i64,
    next: Duration,
}

/// Refills the buckets of these queues and keeps them locked. Buckets that another relay has locked are skipped.
async fn refill_buckets(tx: &mut PgConnection, queues: &[String]) -> sqlx::Result<HashMap<String, Tokens>> {
    // A bucket holds a tenth of a second's worth, and at least one. Its initial content is subtracted from its refill,
    // so that no more jobs than the limit start in any period, wherever that period starts.
    let buckets = sqlx::query!(
        r#"with turn as (
               select queue, greatest(1, rate_limit::float8 / rate_period_seconds / 10) as size
               from job_queue where queue = any($1) order by queue for update skip locked),
           rate as (
               select queue, size, (rate_limit - size + 1) / rate_period_seconds as each_sec from turn join job_queue using (queue))
           update job_queue set tokens_at = clock_timestamp(), tokens = least(
               size, tokens + extract(epoch from clock_timestamp() - tokens_at)::float8 * each_sec)
           from rate where job_queue.queue = rate.queue
           returning job_queue.queue, tokens, 1 / each_sec as "secs_each!""#,
        queues
    )
    .fetch_all(tx)
    .await?;
    let tokens = |tokens: f64, secs_each: f64| {
        #[expect(clippy::cast_possible_truncation, reason = "at most a second's worth")]
        let whole = tokens.floor() as i64;
        let next = Duration::try_from_secs_f64((1.0 - tokens.fract()) * secs_each).unwrap_or(Duration::MAX);
        Tokens { whole, next }
    };
    Ok(buckets.into_iter().map(|bucket| (bucket.queue, tokens(bucket.tokens, bucket.secs_each))).collect())
}

async fn consume_tokens(tx: &mut PgConnection, limited: &[String], jobs: &[(Claimed, i32)]) -> sqlx::Result<()> {
    for queue in limited {
        let spent = jobs.iter().filter(|(job, _)| job.queue == *queue).count();
        if spent > 0 {
            let spent = i32::try_from(spent).unwrap_or(i32::MAX);
            sqlx::query!("update job_queue set tokens = tokens - $2::integer where queue = $1", queue, spent)
                .execute(&mut *tx)
                .await?;
        }
    }
    Ok(())
}

/// Marks the next jobs as dispatched; returns them with the number of their parents.
async fn dispatch(tx: &mut PgConnection, open: &[OpenQueue]) -> sqlx::Result<Vec<(Claimed, i32)>> {
    let queues: Vec<String> = open.iter().map(|queue| queue.queue.clone()).collect();
    let rooms: Vec<i64> = open.iter().map(|queue| queue.capacity).collect();
    // One range of the index for each priority: jobs that are not available yet are never read. The levels come in order
    // because a lateral join keeps the order of its left side. The planner can't know how many jobs these are, and
    // would scan all jobs in history; it takes an array for a short one.
    let rows = sqlx::query!(
        r#"with due as (
               select pick.job_id from unnest($1::text[], $2::bigint[]) as open (queue, capacity), lateral (
                   select ready.job_id from generate_series(9, 0, -1) as level, lateral (
                       select job_id from job
                       where state = 'queued' and waits_for = 0 and job.queue = open.queue and priority = level::smallint
                           and run_at <= now()
                           and (unique_key is null or not exists (
                               select from job busy
                               where busy.unique_key = job.unique_key and busy.state in ('dispatched', 'running')))
                       order by run_at, job_id limit open.capacity for update skip locked) as ready
                   limit open.capacity) as pick)
           update job set state = 'dispatched', attempt = attempt + 1, delivery = 1, progress = null, running_at = null,
               dispatched_at = clock_timestamp(), last_seen_at = clock_timestamp()
           where job_id = any (array(select job_id from due))
           returning job.job_id, queue, kind, payload, fence as "fence!", priority, run_at, parents, soft_limit_ms,
               hard_limit_ms, request_id"#,
        &queues,
        &rooms,
    )
    .fetch_all(tx)
    .await?;
    let mut rows = rows;
    // RETURNING guarantees no order.
    rows.sort_by(|a, b| b.priority.cmp(&a.priority).then(a.run_at.cmp(&b.run_at)).then(a.job_id.cmp(&b.job_id)));
    let limit = |millis: Option<i32>| millis.and_then(|millis| millis.try_into().ok()).map(Duration::from_millis);
    let claimed = rows.into_iter().map(|row| {
        let job = Claimed {
            job_id: row.job_id,
            queue: row.queue,
            kind: row.kind,
            payload: row.payload,
            fence: row.fence,
            parents: Vec::new(),
            soft_limit: limit(row.soft_limit_ms),
            hard_limit: limit(row.hard_limit_ms),
            request_id: row.request_id,
        };
        (job, row.parents)
    });
    Ok(claimed.collect())
}

async fn add_parents(tx: &mut PgConnection, jobs: &mut [(Claimed, i32)]) -> sqlx::Result<()> {
    let children: Vec<JobId> = jobs.iter().filter(|(_, parents)| *parents > 0).map(|(job, _)| job.job_id).collect();
    let rows = sqlx::query!(
        r#"select job_parent.job_id as child, parent.job_id, parent.state as "state: JobState", parent.error,
                  parent.result, needed
           from job_parent join job asked on asked.job_id = parent_id
               join job parent on parent.job_id = coalesce(asked.superseded_by, asked.job_id)
           where job_parent.job_id = any($1) order by parent.job_id"#,
        &children
    )
    .fetch_all(tx)
    .await?;
    let mut by_child: HashMap<JobId, Vec<Parent>> = HashMap::new();
    for row in rows {
        by_child.entry(row.child).or_default().push(Parent {
            job_id: row.job_id,
            state: row.state,
            error: row.error,
            result: row.result,
            needed: row.needed,
        });
    }
    for (job, _) in jobs {
        job.parents = by_child.remove(&job.job_id).unwrap_or_default();
    }
    Ok(())
}
