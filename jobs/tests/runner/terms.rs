//! A job's terms: how often it is tried, how long it may take, and how its handler ends it.

use std::time::Duration;

use nix::{sys::signal::kill, unistd::Pid};
use uncloud_testkit::{
    runner::{Action, Stage},
    wait::wait_until,
};

#[test]
fn job_with_retry_snooze_or_failure_outcome_ends_accordingly() {
    let stage = Stage::start();
    let (_server, _worker) = (stage.server(), stage.worker());
    let retried = stage.enqueue(&Action::FailFirst { times: 2 });
    let given_up = stage.enqueue(&Action::FailFirst { times: 9 });
    let snoozed = stage.enqueue(&Action::SnoozeFirst { millis: 700 });
    let failed = stage.enqueue(&Action::Fail { error: "will never work".into() });
    let job = stage.wait_for(retried, "succeeded");
    assert_eq!((job.attempt, job.failures, job.error), (3, 2, None));
    let job = stage.wait_for(given_up, "failed");
    assert_eq!((job.attempt, job.failures), (3, 3), "after as many failures as it may have");
    job.assert_error("not yet");
    let job = stage.wait_for(snoozed, "succeeded");
    assert_eq!((job.attempt, job.failures), (2, 0), "a snooze does not count");
    let waited = "select (extract(epoch from job.dispatched_at - ended_at) * 1000)::bigint
                  from job join job_attempt using (job_id) where outcome = 'snoozed'";
    assert!(stage.number(waited) >= 700, "it was left alone for as long as it wanted: {} ms", stage.number(waited));
    let job = stage.wait_for(failed, "failed");
    assert_eq!((job.attempt, job.failures), (1, 1));
    job.assert_error("will never work");
    let history = stage.run_uncloud(&["job", "show", &given_up.to_string()]);
    assert!(history.contains("attempt 1") && history.contains("attempt 3") && history.contains("not yet"), "{history}");
}

#[test]
fn job_past_soft_limit_is_notified_and_past_hard_limit_is_ended() {
    let stage = Stage::start();
    let (_server, _worker) = (stage.server(), stage.worker());
    let wound_up = stage.enqueue_with(&Action::WindUp, |job| job.policy.soft_limit = Some(Duration::from_millis(300)));
    let ended = stage.enqueue_with(&Action::Child, |job| {
        job.policy.hard_limit = Some(Duration::from_secs(1));
        job.policy.max_failures = 1;
    });
    wait_until("the child process is known", || stage.job(ended).progress.is_some());
    let pid = stage.job(ended).progress.expect("known")["done"].as_i64().expect("a number");
    stage.wait_for(wound_up, "succeeded");
    stage.wait_for(ended, "failed").assert_error("hard limit of 1s");
    wait_until("the child process has ended", || kill(Pid::from_raw(pid.try_into().expect("a pid")), None).is_err());
}
