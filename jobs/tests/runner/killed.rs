//! `kill -9` at the wrong moment of each verb that the other tests do not kill anything over.

use std::{fs, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use uncloud::queue::{self, NewJob};
use uncloud_testkit::{
    process::Process,
    runner::{Action, QUEUE, Stage, new_job, queue_name, trace_file},
    wait::wait_until,
};
use uncloud_wire::JobId;

const AT_ONCE: Action = Action::Sleep { millis: 0 };
/// More than one transaction of the commands that change many jobs takes.
const MANY: usize = 1100;

/// All of them at once, so that none runs before the last is there.
fn many_jobs(stage: &Stage, action: &Action, count: usize, priority: i16) -> Vec<JobId> {
    let queue = queue_name();
    let jobs: Vec<NewJob<'_>> =
        (0..count).map(|_| new_job(action, &queue, |job| job.policy.priority = priority)).collect();
    stage.transaction(async |tx| {
        let mut ids = Vec::with_capacity(count);
        for job in &jobs {
            ids.push(queue::enqueue(tx, job).await.expect("enqueued"));
        }
        ids
    })
}

/// Kills a command while it waits for the lock on this job's row, which somebody else has.
fn kill_before(stage: &Stage, job: JobId, args: &[&str]) {
    let waits = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    stage.runtime.block_on(async {
        let mut tx = uncloud::request_context::begin(&stage.pool).await.expect("PostgreSQL");
        let lock = sqlx::query("select from job where job_id = $1 for update").bind(job);
        lock.execute(&mut *tx).await.expect("locked");
        let mut command = Process::start("uncloud", &mut stage.uncloud(args));
        while sqlx::query(waits).fetch_optional(&stage.pool).await.expect("looked").is_none() {
            assert!(!command.has_ended(), "it did not wait: {}", command.stderr());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        command.kill();
        tx.rollback().await.expect("unlocked");
    });
}

fn in_state(stage: &Stage, name: &str) -> i64 {
    let sql = "select count(*) from job where state = $1";
    stage.runtime.block_on(sqlx::query_scalar(sql).bind(name).fetch_one(&stage.pool)).expect("counted")
}

#[test]
fn job_purge_killed_halfway_is_completed_by_next_purge() {
    let stage = Stage::start();
    stage.run_uncloud(&["queue", "pause", QUEUE]);
    let jobs = many_jobs(&stage, &AT_ONCE, MANY, 5);
    kill_before(&stage, jobs[MANY - 1], &["job", "purge", QUEUE]);
    wait_until("the part that it had done stands", || in_state(&stage, "revoked") == 1000);
    assert_eq!(in_state(&stage, "queued"), 100, "and the rest waits as before");
    stage.run_uncloud(&["job", "purge", QUEUE]);
    stage.run_uncloud(&["queue", "resume", QUEUE]);
    let (_server, _worker) = (stage.server(), stage.worker());
    let after = stage.enqueue(&AT_ONCE);
    stage.wait_for(after, "succeeded");
    assert_eq!(in_state(&stage, "revoked"), i64::try_from(MANY).expect("few"));
    assert!(jobs.iter().all(|job| stage.starts(*job).is_empty()), "what was revoked does not run");
}

#[test]
fn bulk_job_retry_killed_halfway_and_repeated_runs_no_job_twice() {
    let stage = Stage::start();
    stage.run_uncloud(&["queue", "pause", QUEUE]);
    let jobs = many_jobs(&stage, &AT_ONCE, MANY, 5);
    stage.execute("update job set state = 'failed', error = 'no', attempt = 3, failures = 3, dispatched_at = now(), finished_at = now()");
    kill_before(&stage, jobs[MANY - 1], &["job", "retry", "--all"]);
    wait_until("the part that it had done stands", || in_state(&stage, "queued") == 1000);
    stage.run_uncloud(&["job", "retry", "--all"]);
    stage.run_uncloud(&["queue", "resume", QUEUE]);
    let (_server, _worker) = (stage.server(), stage.worker_with(100));
    wait_until("all have run", || in_state(&stage, "succeeded") == i64::try_from(MANY).expect("few"));
    assert!(jobs.iter().all(|job| stage.starts(*job).len() == 1));
}

#[test]
fn queue_after_killed_drain_stays_paused() {
    let stage = Stage::start();
    let (_server, _worker) = (stage.server(), stage.worker());
    let running = stage.enqueue(&Action::Sleep { millis: 6000 });
    stage.wait_for_start(running);
    let mut drain = Process::start("drain", &mut stage.uncloud(&["queue", "drain", QUEUE, "--timeout", "20"]));
    drain.wait_for_line("waiting for jobs");
    drain.kill();
    let waiting = stage.enqueue(&AT_ONCE);
    let said = stage.run_uncloud(&["queue", "drain", QUEUE, "--timeout", "20"]);
    assert!(said.contains("drained"), "{said}");
    assert_eq!(stage.job(running).state, "succeeded");
    assert!(stage.starts(waiting).is_empty());
    stage.run_uncloud(&["queue", "resume", QUEUE]);
    stage.wait_for(waiting, "succeeded");
}

#[test]
fn job_watch_with_killed_worker_and_server_follows_job_to_its_end() {
    let stage = Stage::start();
    let (server, worker) = (stage.server(), stage.worker());
    let job = stage.enqueue(&Action::Sleep { millis: 5000 });
    let mut watch = Process::start("watch", &mut stage.uncloud(&["job", "watch", &job.to_string()]));
    watch.wait_for_line("1 of 2 asleep");
    worker.kill();
    stage.kill_server(server);
    let (_server, _worker) = (stage.server(), stage.worker());
    watch.wait_for_line("succeeded");
    assert!(watch.wait().success());
    assert_eq!(stage.starts(job).len(), 2);
}

#[test]
fn urgent_job_after_killed_server_and_worker_runs_before_waiting_jobs() {
    let stage = Stage::start();
    let (server, worker) = (stage.server(), stage.worker_with(1));
    let slow = Action::Sleep { millis: 50 };
    // More than a queue with one worker is given at once.
    let low = many_jobs(&stage, &slow, 100, 1);
    stage.wait_for_start(low[0]);
    stage.kill_server(server);
    worker.kill();
    let high = stage.enqueue_with(&slow, |job| job.policy.priority = 9);
    let waited: Vec<JobId> = low.iter().copied().filter(|job| stage.job(*job).state == "queued").collect();
    assert!(!waited.is_empty(), "all were on their way");
    let (_server, _worker) = (stage.server(), stage.worker_with(1));
    for job in low.iter().chain([&high]) {
        stage.wait_for(*job, "succeeded");
    }
    // Not by the fence: those of jobs that are sent together are in no order.
    let began = |job: JobId| {
        let trace = fs::metadata(trace_file(&stage.addresses.folder, job)).expect("it ran");
        trace.created().expect("the file system knows it")
    };
    for job in waited {
        assert!(began(high) < began(job), "job {job} ran before the urgent one, {high}");
    }
}

#[test]
fn job_time_limits_after_worker_takeover_still_apply() {
    let stage = Stage::start();
    let (_server, worker) = (stage.server(), stage.worker());
    let wound_up = stage.enqueue_with(&Action::WindUp, |job| job.policy.soft_limit = Some(Duration::from_secs(5)));
    let ended = stage.enqueue_with(&Action::Child, |job| {
        job.policy.hard_limit = Some(Duration::from_secs(8));
        job.policy.max_failures = 1;
    });
    let child = || {
        let progress = stage.job(ended).progress?;
        Some(Pid::from_raw(progress["done"].as_i64()?.try_into().expect("a pid")))
    };
    wait_until("the child process is known", || child().is_some());
    let first = child();
    worker.kill();
    // Whatever starts workers ends what a dead one left; systemd does, by its control group.
    kill(first.expect("known"), Signal::SIGKILL).expect("it ran");
    let _worker = stage.worker();
    wait_until("the next worker's child process is known", || child() != first);
    let second = child().expect("known");
    stage.wait_for(wound_up, "succeeded");
    stage.wait_for(ended, "failed").assert_error("hard limit of 8s");
    wait_until("the child process has ended", || kill(second, None).is_err());
    assert_eq!((stage.starts(wound_up).len(), stage.starts(ended).len()), (2, 2));
}

#[test]
fn delayed_jobs_after_killed_server_and_worker_keep_their_delay() {
    const DAY: Duration = Duration::from_hours(24);
    let stage = Stage::start();
    let (server, worker) = (stage.server(), stage.worker());
    let snoozed = stage.enqueue(&Action::SnoozeFirst { millis: 6000 });
    let retried = stage.enqueue_with(&Action::FailFirst { times: 1 }, |job| {
        job.policy.backoff_base = DAY;
        job.policy.backoff_max = DAY;
    });
    let waits = |job: &JobId| stage.job(*job).attempt == 1 && stage.job(*job).state == "queued";
    wait_until("both wait", || [snoozed, retried].iter().all(waits));
    stage.kill_server(server);
    worker.kill();
    let (_server, _worker) = (stage.server(), stage.worker());
    let job = stage.wait_for(snoozed, "succeeded");
    assert_eq!((job.attempt, job.failures), (2, 0), "a snooze does not count");
    let waited = "select (extract(epoch from job.dispatched_at - ended_at) * 1000)::bigint
                  from job join job_attempt using (job_id) where outcome = 'snoozed'";
    assert!(stage.number(waited) >= 6000, "it was left alone for as long as it wanted: {} ms", stage.number(waited));
    assert!(waits(&retried) && stage.job(retried).failures == 1, "what has failed is not forgotten");
    stage.run_uncloud(&["job", "retry", &retried.to_string()]);
    let job = stage.wait_for(retried, "succeeded");
    assert_eq!((job.attempt, job.failures, stage.starts(retried).len()), (2, 1, 2));
}
