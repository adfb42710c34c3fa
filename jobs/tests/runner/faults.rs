//! Faults with default settings: no job is lost, no job kills a worker, and staff are told what to do.

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use nix::sys::signal::{Signal, kill};
use redis::{Commands as _, streams::StreamPendingReply};
use uncloud_testkit::{
    process::Process,
    runner::{Action, QUEUE, Stage, queue_name},
    wait::{wait_until, wait_within},
};

/// The time within which a job has to run again after its worker, server or Redis was killed.
pub(crate) const AGAIN: Duration = Duration::from_secs(10);

#[test]
fn worker_with_unreadable_queue_entries_reports_them_and_continues() {
    let stage = Stage::start();
    let _server = stage.server();
    // Its own job knows; of the other entry nobody can tell whose it was.
    let damaged = stage.enqueue(&Action::Nothing);
    stage.wait_for(damaged, "dispatched");
    let mut redis = stage.redis.connect();
    let key = queue_name().jobs_key();
    let fence = stage.number("select fence from job").to_string();
    let _: () = redis.del(&key).expect("deleted");
    let _: String = redis.xadd(&key, "*", &[("nonsense", "\u{fffd}")]).expect("added");
    let _: String = redis.xadd(&key, "*", &[("job", damaged.to_string()), ("fence", fence)]).expect("added");
    let mut worker = stage.worker();
    stage.wait_for(damaged, "failed").assert_error("check that worker and server have the same version");
    worker.wait_for_line("has no readable field `job`");
    let next = stage.enqueue(&Action::Nothing);
    stage.wait_for(next, "succeeded");
    stage.wait_until_redis_is_empty();
    assert!(worker.terminate().success());
}

#[test]
fn job_with_ten_megabyte_payload_succeeds() {
    let stage = Stage::start();
    let (_server, _worker) = (stage.server(), stage.worker());
    let job = stage.enqueue(&Action::Big { bytes: 10_000_000 });
    let size = stage.wait_for(job, "succeeded").result.expect("its size")["size"].as_u64().expect("a number");
    assert!(size > 10_000_000, "{size}");
    stage.wait_until_redis_is_empty();
}

#[test]
fn job_with_panicking_handler_fails_without_stopping_the_worker() {
    let stage = Stage::start();
    let (_server, mut worker) = (stage.server(), stage.worker());
    let neighbour = stage.enqueue(&Action::Sleep { millis: 1000 });
    stage.wait_for_start(neighbour);
    let job = stage.enqueue(&Action::Panic);
    let failed = stage.wait_for(job, "failed");
    failed.assert_error("the handler panicked: as asked by \"panic\"");
    assert_eq!(failed.failures, 3);
    stage.wait_for(neighbour, "succeeded");
    assert_eq!(stage.starts(neighbour).len(), 1);
    assert!(worker.terminate().success());
}

/// Starts a worker again as soon as it has died, as systemd does, until `done`.
fn supervise(stage: &Stage, mut worker: Process, mut done: impl FnMut() -> bool) -> usize {
    let mut deaths = 0;
    wait_until("it is over", || {
        if worker.has_ended() {
            worker = stage.worker();
            deaths += 1;
        }
        done()
    });
    deaths
}

#[test]
fn job_killing_its_worker_three_times_fails_while_others_succeed() {
    let stage = Stage::start();
    let _server = stage.server();
    let neighbours = [600; 3].map(|millis| stage.enqueue(&Action::Sleep { millis }));
    let job = stage.enqueue(&Action::Abort);
    for job in neighbours.iter().chain([&job]) {
        stage.wait_for(*job, "dispatched");
    }
    let ended = || neighbours.iter().chain([&job]).all(|job| stage.job(*job).is_final());
    let deaths = supervise(&stage, stage.worker(), ended);
    stage
        .wait_for(job, "failed")
        .assert_error("its worker died 3 times while it ran; look at the worker's log, then run it again");
    assert_eq!((deaths, stage.starts(job).len()), (3, 3));
    for job in neighbours {
        assert_eq!(stage.job(job).state, "succeeded", "it ran beside the one that kills");
    }
}

#[test]
fn job_longer_than_lease_blocking_every_thread_runs_once() {
    let stage = Stage::start();
    let (_server, _worker, _other) = (stage.server(), stage.worker(), stage.worker());
    let threads = thread::available_parallelism().map_or(2, usize::from).min(4);
    let mut jobs = vec![stage.enqueue(&Action::Sleep { millis: 8000 })];
    jobs.extend((0..2 * threads.min(3)).map(|_| stage.enqueue(&Action::Block { millis: 8000 })));
    for job in jobs {
        assert_eq!(stage.wait_for(job, "succeeded").attempt, 1);
        assert_eq!(stage.starts(job).len(), 1, "nobody took it over");
    }
}

#[test]
fn job_delivered_while_handlers_block_every_thread_runs_once() {
    let stage = Stage::start();
    let threads = thread::available_parallelism().map_or(2, usize::from);
    let (_server, _worker) = (stage.server(), stage.worker_with(threads + 1));
    let blocking: Vec<_> = (0..threads).map(|_| stage.enqueue(&Action::Block { millis: 9000 })).collect();
    for job in &blocking {
        stage.wait_for_start(*job);
    }
    let delivered = stage.enqueue(&Action::Sleep { millis: 0 });
    let (mut redis, jobs_key) = (stage.redis.connect(), queue_name().jobs_key());
    wait_until("Redis has delivered it", || {
        let pending: StreamPendingReply = redis.xpending(&jobs_key, "workers").expect("a summary");
        pending.count() == threads + 1
    });
    // It takes over what nobody renews.
    let _other = stage.worker();
    for job in blocking.into_iter().chain([delivered]) {
        assert_eq!(stage.wait_for(job, "succeeded").attempt, 1);
        assert_eq!(stage.starts(job).len(), 1, "nobody took it over");
    }
}

#[test]
fn redis_flush_with_running_and_waiting_job_runs_each_once() {
    let stage = Stage::start();
    let (_server, _worker) = (stage.server(), stage.worker_with(1));
    let running = stage.enqueue(&Action::Sleep { millis: 9000 });
    stage.wait_for_start(running);
    let waiting = stage.enqueue(&Action::Sleep { millis: 0 });
    let mut redis = stage.redis.connect();
    // The row says so before Redis has it.
    let stream = format!("uncloud:{{{QUEUE}}}:jobs");
    wait_until("both are in Redis", || redis.xlen::<_, usize>(&stream).expect("a length") == 2);
    redis::cmd("FLUSHALL").exec(&mut redis).expect("emptied");
    stage.wait_for(running, "succeeded");
    stage.wait_for(waiting, "succeeded");
    assert_eq!((stage.starts(running).len(), stage.starts(waiting).len()), (1, 1));
    let lost = stage.number("select count(*) from job_attempt where outcome = 'lost'");
    assert_eq!((stage.job(running).failures, lost), (0, 1), "a lost job does not count as a failure");
}

#[test]
fn redis_flush_with_stale_last_seen_time_runs_job_once() {
    let stage = Stage::start();
    let (_server, _worker) = (stage.server(), stage.worker_with(1));
    let running = stage.enqueue(&Action::Sleep { millis: 16_000 });
    stage.wait_for_start(running);
    let unheard =
        "select count(*) from job where state = 'running' and last_seen_at < now() - interval '4900 milliseconds'";
    wait_until("the row is old", || stage.number(unheard) == 1);
    redis::cmd("FLUSHALL").exec(&mut stage.redis.connect()).expect("emptied");
    assert_eq!((stage.wait_for(running, "succeeded").attempt, stage.starts(running).len()), (1, 1));
}

#[test]
fn job_lost_by_redis_in_busy_queue_is_sent_again() {
    let stage = Stage::start();
    let server = stage.server();
    let lost = stage.enqueue(&Action::Sleep { millis: 0 });
    stage.wait_for(lost, "dispatched");
    server.signal(Signal::SIGSTOP); // so that there is no moment without an event from here on
    let events = format!("uncloud:{{{QUEUE}}}:events");
    let report = |redis: &mut redis::Connection| {
        let fields = [("job", "999999"), ("fence", "1"), ("outcome", "running"), ("body", "")];
        let _: String = redis.xadd(&events, "*", &fields).expect("added");
    };
    let mut redis = stage.redis.connect();
    report(&mut redis);
    redis::cmd("XTRIM").arg(format!("uncloud:{{{QUEUE}}}:jobs")).arg("MAXLEN").arg(0).exec(&mut redis).expect("lost");
    let (busy, stop) = mpsc::channel::<()>();
    let mut other = stage.redis.connect();
    thread::scope(|scope| {
        scope.spawn(move || {
            while stop.recv_timeout(Duration::from_millis(1)) == Err(RecvTimeoutError::Timeout) {
                report(&mut other);
            }
        });
        server.signal(Signal::SIGCONT);
        let _worker = stage.worker();
        wait_within(AGAIN, "it comes again", || stage.job(lost).state == "succeeded");
        drop(busy);
    });
}

#[test]
fn redis_outage_longer_than_lease_loses_no_job_and_runs_each_once() {
    let mut stage = Stage::start();
    let (_server, mut worker) = (stage.server(), stage.worker());
    let running = stage.enqueue(&Action::Sleep { millis: 16_000 });
    let ends_meanwhile = stage.enqueue(&Action::Sleep { millis: 3000 });
    stage.wait_for_start(running);
    stage.wait_for_start(ends_meanwhile);
    stage.redis.stop();
    let accepted: Vec<i64> = (0..20).map(|_| stage.enqueue(&Action::Sleep { millis: 0 })).collect();
    // Longer than a lease and all that the sweep waits for: a minute would show nothing more.
    thread::sleep(Duration::from_secs(8));
    stage.redis.resume();
    let back = Instant::now();
    for job in &accepted {
        stage.wait_for(*job, "succeeded");
    }
    assert!(back.elapsed() < AGAIN, "{:?}", back.elapsed());
    for job in accepted.into_iter().chain([running, ends_meanwhile]) {
        stage.wait_for(job, "succeeded");
        assert_eq!(stage.starts(job).len(), 1, "job {job}");
    }
    stage.wait_until_redis_is_empty();
    assert!(worker.terminate().success());
}

#[test]
fn redis_freeze_longer_than_lease_runs_each_job_once() {
    let stage = Stage::start();
    let (_server, _worker) = (stage.server(), stage.worker());
    let job = stage.enqueue(&Action::Sleep { millis: 12_000 });
    stage.wait_for_start(job);
    let _other = stage.worker();
    let redis = stage.redis.pid();
    kill(redis, Signal::SIGSTOP).expect("it runs");
    let accepted = stage.enqueue(&Action::Sleep { millis: 0 });
    thread::sleep(Duration::from_secs(7)); // longer than a lease
    kill(redis, Signal::SIGCONT).expect("it stands");
    for job in [accepted, job] {
        stage.wait_for(job, "succeeded");
        assert_eq!(stage.starts(job).len(), 1, "job {job}");
    }
}

#[test]
fn dispatch_with_two_servers_sends_each_job_once() {
    let stage = Stage::start();
    let _servers = [stage.server(), stage.server()];
    let _workers = [stage.worker(), stage.worker()];
    let jobs: Vec<i64> = (0..300).map(|_| stage.enqueue(&Action::Sleep { millis: 1 })).collect();
    for job in jobs {
        assert_eq!(stage.wait_for(job, "succeeded").attempt, 1);
        assert_eq!(stage.starts(job).len(), 1);
    }
}

#[test]
fn job_claimed_but_not_sent_by_killed_server_is_sent_again() {
    let stage = Stage::start();
    let _worker = stage.worker();
    let job = stage.enqueue(&Action::Sleep { millis: 0 });
    // Committed, and never pushed.
    stage.execute("update job set state = 'dispatched', attempt = 1, dispatched_at = now(), last_seen_at = now()");
    let _server = stage.server();
    wait_within(AGAIN, "it is sent again", || stage.job(job).state == "succeeded");
    let done = stage.job(job);
    assert_eq!((done.attempt, done.failures, stage.starts(job).len()), (2, 0, 1));
    let shown = stage.run_uncloud(&["job", "show", &job.to_string()]);
    assert!(shown.contains("Redis lost it"), "{shown}");
}

#[test]
fn job_after_killed_worker_server_or_redis_recovers_in_ten_seconds() {
    let mut stage = Stage::start();
    let (server, worker) = (stage.server(), stage.worker());
    let action = Action::Sleep { millis: 1000 };

    // The worker, in the middle of its job.
    let job = stage.enqueue(&action);
    stage.wait_for_start(job);
    worker.kill();
    let _worker = stage.worker();
    wait_within(AGAIN, "it runs again", || stage.starts(job).len() == 2);
    stage.wait_for(job, "succeeded");

    // The server, while the job that it has sent runs.
    let job = stage.enqueue(&action);
    stage.wait_for_start(job);
    stage.kill_server(server);
    let mut redis = stage.redis.connect();
    let stream = format!("uncloud:{{{QUEUE}}}:jobs");
    wait_until("it ends", || redis.xlen::<_, usize>(&stream).expect("a length") == 0);
    assert_ne!(stage.job(job).state, "succeeded", "no server has heard of its end");
    let _server = stage.server();
    wait_within(AGAIN, "its end is heard of", || stage.job(job).state == "succeeded");
    assert_eq!(stage.starts(job).len(), 1);

    // Redis, with a job that no worker has read: the one slot is taken.
    let busy: Vec<i64> = (0..4).map(|_| stage.enqueue(&action)).collect();
    for job in &busy {
        stage.wait_for_start(*job);
    }
    let job = stage.enqueue(&Action::Sleep { millis: 0 });
    wait_until("it is in Redis", || redis.xlen::<_, usize>(&stream).expect("a length") == busy.len() + 1);
    drop(redis);
    stage.redis.stop();
    stage.redis.resume();
    wait_within(AGAIN, "it is sent again", || stage.job(job).state == "succeeded");
    for job in busy.into_iter().chain([job]) {
        stage.wait_for(job, "succeeded");
        assert_eq!(stage.starts(job).len(), 1);
    }
}
