//! The order in which jobs run: priority, time, keys, limits on a queue, jobs that wait for others.

use std::fs;

use chrono::{DateTime, TimeDelta, Utc};
use uncloud::queue::DependsOn;
use uncloud_testkit::{
    runner::{Action, QUEUE, Stage, trace_file},
    wait::wait_until,
};
use uncloud_wire::JobId;

const SHORT: Action = Action::Sleep { millis: 150 };

/// Returns the times at which the server sent these jobs, in order.
fn dispatched(stage: &Stage) -> Vec<(JobId, DateTime<Utc>)> {
    stage.rows("select job_id, dispatched_at from job where dispatched_at is not null order by fence")
}

/// Returns whether no two of these jobs ran at the same time: each lies between the end of the last and the next one.
fn one_after_the_other(stage: &Stage, jobs: &[JobId]) {
    let times = |job: JobId| {
        let meta = fs::metadata(trace_file(&stage.addresses.folder, job)).expect("it ran");
        (DateTime::<Utc>::from(meta.created().expect("known")), DateTime::<Utc>::from(meta.modified().expect("known")))
    };
    for pair in jobs.windows(2) {
        let ((_, end), (begin, _)) = (times(pair[0]), times(pair[1]));
        assert!(end <= begin, "job {} ended at {end}, job {} began at {begin}", pair[0], pair[1]);
    }
}

#[test]
fn urgent_job_with_many_jobs_waiting_runs_first() {
    let stage = Stage::start();
    stage.run_uncloud(&["queue", "pause", QUEUE]);
    let low: Vec<JobId> = (0..100).map(|_| stage.enqueue_with(&Action::Stamp, |job| job.policy.priority = 1)).collect();
    let high = stage.enqueue_with(&Action::Stamp, |job| job.policy.priority = 9);
    let (_server, _worker) = (stage.server(), stage.worker_with(1));
    stage.run_uncloud(&["queue", "resume", QUEUE]);
    for job in low.iter().chain([&high]) {
        stage.wait_for(*job, "succeeded");
    }
    let begun = stage.rows::<(JobId,)>("select job_id from job order by result::bigint");
    let order: Vec<JobId> = begun.into_iter().map(|(job,)| job).collect();
    assert_eq!(order[0], high);
    assert_eq!(order[1..], low, "and among equals the older one goes first");
}

#[test]
fn scheduled_job_after_server_restart_runs_at_its_time() {
    let stage = Stage::start();
    let (server, _worker) = (stage.server(), stage.worker());
    let now = stage.rows::<(DateTime<Utc>,)>("select now()")[0].0;
    let run_at = now + TimeDelta::milliseconds(2500);
    let job = stage.enqueue_with(&Action::Sleep { millis: 0 }, |job| job.run_at = Some(run_at));
    stage.kill_server(server);
    let _server = stage.server();
    stage.wait_for(job, "succeeded");
    let late = dispatched(&stage)[0].1 - run_at;
    assert!((TimeDelta::zero()..TimeDelta::seconds(2)).contains(&late), "late by {late}");
}

#[test]
fn rate_limit_with_two_workers_and_two_servers_is_kept() {
    let stage = Stage::start();
    stage.run_uncloud(&["queue", "limit", QUEUE, "10/2"]);
    let (first, _second) = (stage.server(), stage.server());
    let _workers = [stage.worker(), stage.worker()];
    let jobs: Vec<JobId> = (0..30).map(|_| stage.enqueue(&Action::Nothing)).collect();
    wait_until("ten are done", || stage.number("select count(*) from job where state = 'succeeded'") >= 10);
    first.kill(); // what it has spent is spent
    let _third = stage.server();
    for job in jobs {
        stage.wait_for(job, "succeeded");
    }
    let times: Vec<DateTime<Utc>> = dispatched(&stage).into_iter().map(|(_, time)| time).collect();
    // A statement takes its time: what is allowed at one moment happens a little later.
    let period = TimeDelta::milliseconds(2000 - 50);
    for window in times.windows(11) {
        assert!(window[10] - window[0] >= period, "eleven within {}", window[10] - window[0]);
    }
    assert!(times[29] - times[0] < TimeDelta::seconds(9), "no slower than it has to be");
}

#[test]
fn unique_key_jobs_with_killed_worker_are_merged_and_run_one_at_a_time() {
    let stage = Stage::start();
    let (_server, worker) = (stage.server(), stage.worker());
    let enqueue = || stage.enqueue_with(&Action::Sleep { millis: 1000 }, |job| job.unique_key = Some("pool-1"));
    let first = enqueue();
    stage.wait_for_start(first);
    let second = enqueue();
    assert_ne!(first, second, "the first one may have missed what the second one is for");
    assert_eq!(enqueue(), second, "what waits does it for both");
    worker.kill();
    assert_eq!(stage.job(second).state, "queued");
    let _worker = stage.worker();
    stage.wait_for(first, "succeeded");
    stage.wait_for(second, "succeeded");
    assert_eq!((stage.starts(first).len(), stage.starts(second).len()), (2, 1));
    one_after_the_other(&stage, &[first, second]);
}

#[test]
fn serial_key_jobs_with_failures_and_killed_worker_keep_their_order() {
    let stage = Stage::start();
    let (_server, worker) = (stage.server(), stage.worker());
    let enqueue = |action: &Action| stage.enqueue_with(action, |job| job.serial_key = Some("mailbox"));
    let jobs = [
        enqueue(&SHORT),
        enqueue(&Action::FailFirst { times: 2 }),
        enqueue(&Action::Sleep { millis: 1000 }),
        enqueue(&SHORT),
    ];
    stage.wait_for_start(jobs[2]);
    worker.kill();
    let _worker = stage.worker();
    for job in jobs {
        stage.wait_for(job, "succeeded");
    }
    one_after_the_other(&stage, &jobs);

    // Whatever is run again, and however often, comes behind what waits by then.
    let fail = Action::Fail { error: "no".into() };
    let (a, b) = (enqueue(&fail), enqueue(&fail));
    stage.wait_for(a, "failed");
    stage.wait_for(b, "failed");
    stage.run_uncloud(&["queue", "pause", QUEUE]);
    let waits_for = |job: JobId| stage.run_uncloud(&["job", "show", &job.to_string()]);
    stage.run_uncloud(&["job", "retry", &b.to_string()]);
    stage.run_uncloud(&["job", "retry", &a.to_string()]);
    assert!(waits_for(a).contains(&format!("waits for the end of job {b}")), "{}", waits_for(a));
    stage.run_uncloud(&["job", "revoke", &b.to_string()]);
    stage.run_uncloud(&["job", "retry", &b.to_string()]);
    assert!(waits_for(b).contains(&format!("waits for the end of job {a}")), "{}", waits_for(b));
    stage.run_uncloud(&["queue", "resume", QUEUE]);
    wait_until("both have run again", || stage.starts(a).len() == 2 && stage.starts(b).len() == 2);
    let order: Vec<JobId> = dispatched(&stage).into_iter().map(|(job, _)| job).collect();
    assert_eq!(order[order.len() - 2..], [a, b]);
}

#[test]
fn dependent_job_after_parents_end_receives_their_outcomes() {
    let stage = Stage::start();
    let (server, _worker) = (stage.server(), stage.worker());
    let good = stage.enqueue(&SHORT);
    let bad = stage.enqueue(&Action::Fail { error: "no such bill".into() });
    let parents = [good, bad];
    let strict = stage.enqueue_with(&Action::Nothing, |job| job.after = DependsOn::Success(&parents));
    let lenient = stage.enqueue_with(&Action::Nothing, |job| job.after = DependsOn::End(&parents));
    let needed = [strict];
    let grandchild = stage.enqueue_with(&Action::Nothing, |job| job.after = DependsOn::Success(&needed));
    stage.kill_server(server);
    let _server = stage.server();
    stage
        .wait_for(strict, "failed")
        .assert_error(&format!("job {bad}, which this one waits for, failed: no such bill"));
    stage.wait_for(grandchild, "failed").assert_error(&format!("job {strict}"));
    let seen = stage.wait_for(lenient, "succeeded").result.expect("what it saw");
    assert_eq!(seen, serde_json::json!([["succeeded", null], ["failed", "no such bill"]]));

    // The parent is mended and runs again: the child, told to run again meanwhile, waits for it.
    let sql = "update job set kind = 'sleep', payload = '{\"kind\": \"sleep\", \"millis\": 500}' where kind = 'fail'";
    stage.execute(sql);
    for job in [bad, strict, grandchild] {
        stage.run_uncloud(&["job", "retry", &job.to_string()]);
    }
    stage.wait_for(bad, "succeeded");
    stage.wait_for(strict, "succeeded");
    stage.wait_for(grandchild, "succeeded");
}
