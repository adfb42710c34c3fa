//! Workers that are stopped, thought dead and wake up again.

use nix::sys::signal::Signal;
use uncloud_testkit::{
    runner::{Action, Stage},
    wait::{wait_until, wait_within},
};

use crate::faults::AGAIN;

#[test]
fn worker_frozen_past_its_lease_is_replaced_and_resumes_without_harm() {
    let stage = Stage::start();
    let (_server, frozen) = (stage.server(), stage.worker());
    let job = stage.enqueue(&Action::Sleep { millis: 1000 });
    stage.wait_for_start(job);
    frozen.signal(Signal::SIGSTOP);
    let worker = stage.worker();
    wait_within(AGAIN, "another worker takes it over", || stage.starts(job).len() == 2);
    let done = stage.wait_for(job, "succeeded");
    assert_eq!(done.worker.as_deref(), Some(format!("worker-{}", worker.pid()).as_str()));
    frozen.signal(Signal::SIGCONT);
    let next: Vec<i64> = (0..20).map(|_| stage.enqueue(&Action::Sleep { millis: 100 })).collect();
    for job in &next {
        assert_eq!(stage.wait_for(*job, "succeeded").attempt, 1);
        assert_eq!(stage.starts(*job).len(), 1);
    }
    wait_until("it works again", || next.iter().any(|job| stage.starts(*job) == [frozen.pid().as_raw()]));
    let after = stage.job(job);
    assert_eq!((after.state, after.worker, after.attempt), (done.state, done.worker, 1), "the first result counts");
    stage.wait_until_redis_is_empty();
}

#[test]
fn report_from_frozen_worker_after_takeover_is_ignored() {
    let stage = Stage::start();
    let (_server, frozen) = (stage.server(), stage.worker());
    let enqueue = |action: &Action| stage.enqueue_with(action, |job| job.serial_key = Some("mailbox"));
    let job = enqueue(&Action::FailLate { millis: 4000 });
    let next = enqueue(&Action::Sleep { millis: 0 });
    stage.wait_for_start(job);
    frozen.signal(Signal::SIGSTOP);
    let _worker = stage.worker();
    wait_within(AGAIN, "another worker takes it over", || stage.starts(job).len() == 2);
    frozen.signal(Signal::SIGCONT);
    stage.wait_until_redis_is_empty(); // it has reported, and with that deleted the entry that the other one has
    let running = stage.job(job);
    assert_eq!((running.state.as_str(), running.attempt, running.failures), ("running", 1, 0), "the other one has it");
    assert!(stage.starts(next).is_empty(), "and nobody else may begin");
    let done = stage.wait_for(job, "succeeded");
    assert_eq!((done.attempt, done.failures), (1, 0));
    stage.wait_for(next, "succeeded");
    assert_eq!((stage.starts(job).len(), stage.starts(next).len()), (2, 1));
    stage.wait_until_redis_is_empty();
}
