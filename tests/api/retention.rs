//! Finished jobs are deleted in time and leave nothing in Redis.

use std::time::Duration;

use redis::AsyncCommands as _;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use uncloud::queue;
use uncloud_wire::Kind;

use crate::app::{HOST, TestApp, database};

async fn execute(pool: &PgPool, sql: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))
        .execute(pool)
        .await
        .unwrap_or_else(|error| panic!("{error}: {sql}"));
}

async fn count(pool: &PgPool, sql: &str) -> i64 {
    let row = sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned())).fetch_one(pool).await;
    row.unwrap_or_else(|error| panic!("{error}: {sql}"))
}

/// Jobs that ended so long ago, with a requester, an attempt and a child each.
fn ended(jobs: u32, state: &str, secs_ago: u32) -> String {
    format!(
        "with ended as (
             insert into job (queue, kind, payload, state, attempt, dispatched_at, last_seen_at, finished_at, keep_seconds)
             select 'old.example.ch', 'vpn_status', '{{}}', '{state}', 1, now(), now(), now() - interval '{secs_ago} s', 60
             from generate_series(1, {jobs}) returning job_id),
         asked as (insert into job_requester (job_id, user_id) select job_id, 1 from ended)
         insert into job_attempt (job_id, attempt, outcome) select job_id, 1, 'retry' from ended"
    )
}

impl TestApp {
    /// Runs the clean-up, and waits until all of it is done.
    async fn clean_up(&self) {
        self.cli(&["schedule", "run", "job-cleanup"]).await.expect("asked");
        for _ in 0..1500 {
            let undone = "select count(*) from job where kind = 'job_cleanup' and state <> 'succeeded'";
            if count(&self.pool, undone).await == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the clean-up does not end");
    }
}

#[tokio::test]
async fn job_cleanup_of_old_jobs_deletes_in_batches_with_dependents() {
    let app = TestApp::start().await;
    execute(&app.pool, &ended(2500, "succeeded", 61)).await;
    execute(&app.pool, &ended(10, "succeeded", 30)).await; // not yet
    execute(&app.pool, &ended(10, "failed", 10_000)).await; // for people, a quarter of a year
    execute(
        &app.pool,
        "insert into worker (queue, instance, name, version, concurrency, active, kinds, started_at, succeeded, failed,
             leases_lost, rss_bytes, last_seen_at)
         select 'old.example.ch', n::text, 'w', '1', 1, '[]', '{}', now(), 0, 0, 0, 0, now() - n * interval '20 hours'
         from generate_series(1, 3) as n",
    )
    .await;
    app.clean_up().await;
    let old = "from job where queue = 'old.example.ch'";
    assert_eq!(count(&app.pool, &format!("select count(*) {old}")).await, 20);
    assert_eq!(count(&app.pool, "select count(*) from job_attempt").await, 20);
    assert_eq!(count(&app.pool, "select count(*) from job_requester").await, 20);
    assert_eq!(count(&app.pool, "select count(*) from worker").await, 1);
    let batches = "select count(*) from job where kind = 'job_cleanup' and (result->>'jobs')::integer <= 1000";
    assert_eq!(count(&app.pool, batches).await, 3, "2500 in batches of 1000");
    let forgotten = "select sum((result->>'jobs')::integer) from job where kind = 'job_cleanup'";
    assert_eq!(count(&app.pool, forgotten).await, 2500);
}

#[tokio::test]
async fn job_cleanup_of_jobs_still_needed_keeps_them_until_released() {
    let app = TestApp::start().await;
    let path = format!("/v1/admin/queue/{HOST}");
    app.request(Method::PATCH, &path, Some("admin"), Some(json!({ "paused": true }))).await.expect(200);
    let pool = app.handbook_pool().await; // its job waits: it is the child
    let child = pool["job"]["id"].as_i64().expect("a job");
    execute(&app.pool, &ended(3, "failed", 10_000_000)).await;
    let parents: Vec<i64> = sqlx::query_scalar("select job_id from job where queue = 'old.example.ch' order by job_id")
        .fetch_all(&app.pool)
        .await
        .expect("jobs");
    let [parent, heir, lost] = parents[..] else { panic!("three: {parents:?}") };
    execute(&app.pool, &format!("insert into job_parent values ({child}, {parent}, true, true)")).await;
    // The second one's older twin is kept for longer than it.
    execute(
        &app.pool,
        &format!(
            "insert into job (queue, kind, payload, state, superseded_by, finished_at)
                  values ('{HOST}', 'vpn_status', '{{}}', 'superseded', {heir}, now())"
        ),
    )
    .await;
    app.clean_up().await;
    let left = async || {
        let left = sqlx::query_scalar("select job_id from job where queue = 'old.example.ch' order by job_id");
        left.fetch_all(&app.pool).await.expect("jobs")
    };
    let kept: Vec<i64> = left().await;
    assert_eq!(kept, [parent, heir], "{lost} is needed by nobody");
    execute(&app.pool, &format!("delete from job where superseded_by = {heir}")).await;
    app.cli(&["jobs", "revoke", &child.to_string()]).await.expect("revoked");
    app.clean_up().await;
    assert_eq!(left().await, Vec::<i64>::new());
    // A pool whose last job is forgotten is still a pool.
    execute(&app.pool, "update job set finished_at = finished_at - interval '1 year' where finished_at is not null")
        .await;
    app.clean_up().await;
    let pool = app.get(&format!("/v1/admin/vpnpool/{}", pool["id"]), "admin").await.expect(200);
    assert!(pool.get("job").is_none(), "{pool}");
}

#[tokio::test]
async fn job_cleanup_among_many_kept_jobs_uses_an_index() {
    let pool = database().await;
    execute(&pool, &ended(20_000, "succeeded", 1)).await;
    execute(&pool, &ended(100, "succeeded", 100)).await;
    execute(&pool, "analyze job; analyze job_parent").await;
    let explain = "explain select job_id from job
        where keep_until < now() at time zone 'UTC'
            and not exists (select from job gave_way where gave_way.superseded_by = job.job_id)
            and not exists (
                select from job_parent join job child using (job_id)
                where parent_id = job.job_id and child.state in ('queued', 'dispatched', 'running'))
        order by keep_until limit 1000 for update of job skip locked";
    let plan: Vec<String> = sqlx::query_scalar(explain).fetch_all(&pool).await.expect("a plan");
    let plan = plan.join("\n");
    assert!(plan.contains("Index Scan using job_keep_until") && !plan.contains("Seq Scan on job\n"), "{plan}");
}

/// The whole way: rows, relay, Redis, a worker, events, rows.
#[tokio::test]
async fn job_run_of_twenty_thousand_leaves_nothing_in_redis() {
    const JOBS: usize = 20_000;
    let app = TestApp::start().await;
    app.worker(HOST, |_| Ok(json!({ "peers": [] })));
    let queue = HOST.parse().expect("a queue");
    let run = async |jobs: usize| {
        let mut tx = app.pool.begin().await.expect("a transaction");
        let payloads: Vec<Value> = (0..jobs).map(|_| json!({ "pool_id": 1 })).collect();
        let policy = queue::Policy::of(Kind::VpnStatus);
        queue::enqueue_all(&mut tx, &queue, "vpn_status", &policy, &payloads).await.expect("enqueued");
        tx.commit().await.expect("committed");
        queue::wake_relays(&app.pool).await.expect("woken");
        let undone = "select count(*) from job where queue = 'vpn-1.example.ch' and state <> 'succeeded'";
        let started = std::time::Instant::now();
        while count(&app.pool, undone).await > 0 {
            assert!(started.elapsed() < Duration::from_mins(10), "{} left", count(&app.pool, undone).await);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let mut redis = app.redis_connection().await;
    // What is in Redis when nothing is under way: keys, entries of jobs and events, bytes without those of connections,
    // whose buffers grow with what is in them for a moment.
    let mut rest = async || {
        loop {
            let entries: usize = redis.xlen(format!("uncloud:{{{HOST}}}:events")).await.expect("a length");
            if entries == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let jobs: usize = redis.xlen(format!("uncloud:{{{HOST}}}:jobs")).await.expect("a length");
        let keys: usize = redis::cmd("DBSIZE").query_async(&mut redis).await.expect("a number");
        let info: String = redis::cmd("INFO").arg("memory").query_async(&mut redis).await.expect("text");
        let used = info.lines().find_map(|line| line.strip_prefix("used_memory_dataset:")).expect("a line");
        (jobs, keys, used.trim().parse::<u64>().expect("a number"))
    };
    run(1000).await; // connections, scripts and streams are there
    let before = rest().await;
    run(JOBS).await;
    let after = rest().await;
    assert_eq!((after.0, after.1), (0, before.1), "jobs left, keys");
    let grown = after.2.saturating_sub(before.2);
    println!("Redis used {} bytes before and {} after {JOBS} jobs", before.2, after.2);
    // Less than what a hundred jobs take.
    assert!(grown < 100_000, "Redis has grown by {grown} bytes");
}
