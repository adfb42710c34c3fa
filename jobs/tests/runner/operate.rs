//! Operations of staff on jobs, queues and workers by `uncloud`, which survive the death of a server or worker.

use std::time::Duration;

use nix::{sys::signal::kill, unistd::Pid};
use serde_json::Value;
use uncloud_testkit::{
    command::output,
    runner::{Action, QUEUE, Stage},
    wait::{wait_until, wait_within},
};

const LONG: Action = Action::Sleep { millis: 60_000 };

fn json(text: &str) -> Value {
    // The table is on stdout, before whatever the log says.
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    values.next().expect("a response").unwrap_or_else(|error| panic!("{error} in {text}"))
}

/// The only live worker, as it last reported.
fn worker_id(stage: &Stage) -> String {
    let sql = "select worker_id from worker where not stopped and last_seen_at > now() - interval '15 seconds'";
    wait_until("the worker has reported", || !stage.rows::<(i64,)>(sql).is_empty());
    stage.number(sql).to_string()
}

#[test]
fn job_revoke_in_any_state_stops_the_job_and_its_child_process() {
    let stage = Stage::start();
    let _server = stage.server();
    let sent = stage.enqueue(&Action::Sleep { millis: 0 });
    stage.wait_for(sent, "dispatched");
    let scheduled =
        stage.enqueue_with(&Action::Nothing, |job| job.run_at = Some("2999-01-01T00:00:00Z".parse().expect("a time")));
    for job in [sent, scheduled] {
        stage.run_uncloud(&["job", "revoke", &job.to_string()]);
        stage.wait_for(job, "revoked").assert_error("revoked by staff");
    }
    stage.wait_until_redis_is_empty();

    let _worker = stage.worker();
    let running = stage.enqueue(&Action::Child);
    wait_until("the child process is known", || stage.job(running).progress.is_some());
    let pid = stage.job(running).progress.expect("known")["done"].as_i64().expect("a number");
    let child = Pid::from_raw(pid.try_into().expect("a pid"));
    kill(child, None).expect("it runs");
    stage.run_uncloud(&["job", "revoke", &running.to_string()]);
    stage.wait_for(running, "revoked").assert_error("while it ran");
    wait_until("the child process has ended", || kill(child, None).is_err());
    assert!(stage.starts(sent).is_empty(), "what was revoked does not run");
    let after = stage.enqueue(&Action::Nothing);
    stage.wait_for(after, "succeeded");
}

#[test]
fn job_revoke_with_killed_server_and_worker_still_takes_effect() {
    let stage = Stage::start();
    let (server, worker) = (stage.server(), stage.worker());
    let job = stage.enqueue(&LONG);
    stage.wait_for_start(job);
    stage.kill_server(server);
    stage.run_uncloud(&["job", "revoke", &job.to_string()]);
    worker.kill();
    let (_server, _worker) = (stage.server(), stage.worker());
    wait_within(Duration::from_secs(15), "it is revoked", || stage.job(job).state == "revoked");
    stage.wait_until_redis_is_empty();
}

#[test]
fn queue_drain_after_killed_server_finishes_running_jobs_only() {
    let stage = Stage::start();
    let (server, _worker) = (stage.server(), stage.worker());
    let running = stage.enqueue(&Action::Sleep { millis: 1500 });
    stage.wait_for_start(running);
    stage.run_uncloud(&["queue", "pause", QUEUE]);
    let waiting = stage.enqueue(&Action::Sleep { millis: 0 });
    stage.kill_server(server);
    let _server = stage.server();
    let said = stage.run_uncloud(&["queue", "drain", QUEUE, "--timeout", "20"]);
    assert!(said.contains("waiting for jobs") && said.contains("drained"), "{said}");
    assert_eq!(stage.job(running).state, "succeeded", "drained means finished");
    assert_eq!((stage.job(waiting).state.as_str(), stage.starts(waiting)), ("queued", vec![]));
    stage.run_uncloud(&["queue", "resume", QUEUE]);
    stage.wait_for(waiting, "succeeded");
}

#[test]
fn job_purge_with_running_job_revokes_waiting_jobs_only() {
    let stage = Stage::start();
    let (_server, _worker) = (stage.server(), stage.worker());
    let running = stage.enqueue(&Action::Sleep { millis: 1000 });
    stage.wait_for_start(running);
    stage.run_uncloud(&["queue", "pause", QUEUE]);
    let waiting = stage.enqueue(&Action::Sleep { millis: 0 });
    let parent = [waiting];
    let after =
        stage.enqueue_with(&Action::Sleep { millis: 0 }, |job| job.after = uncloud::queue::DependsOn::Success(&parent));
    stage.run_uncloud(&["job", "purge", QUEUE]);
    stage.run_uncloud(&["queue", "resume", QUEUE]);
    for job in [waiting, after] {
        stage.wait_for(job, "revoked").assert_error("with all waiting jobs");
        assert!(stage.starts(job).is_empty());
    }
    stage.wait_for(running, "succeeded");
}

#[test]
fn worker_scale_across_server_restart_raises_and_lowers_concurrency() {
    let stage = Stage::start();
    let (server, _worker) = (stage.server(), stage.worker_with(1));
    let jobs: Vec<i64> = (0..6).map(|_| stage.enqueue(&LONG)).collect();
    let begun = || jobs.iter().filter(|job| !stage.starts(**job).is_empty()).count();
    wait_until("one runs", || begun() == 1);
    let id = worker_id(&stage);
    stage.kill_server(server);
    stage.run_uncloud(&["worker", "scale", &id, "3"]);
    let _server = stage.server();
    wait_until("three run", || begun() == 3);
    let says = || stage.number("select concurrency::bigint from worker");
    wait_until("the worker says three, and no longer one", || says() == 3);
    stage.run_uncloud(&["worker", "scale", &id, "1"]);
    wait_until("the worker says one again", || says() == 1);
    // Whichever they are: jobs that were enqueued one after the other may be dispatched in another order.
    let running: Vec<i64> = jobs.iter().copied().filter(|job| !stage.starts(*job).is_empty()).collect();
    for job in &running[..2] {
        stage.run_uncloud(&["job", "revoke", &job.to_string()]);
        stage.wait_for(*job, "revoked");
    }
    stage.run_uncloud(&["job", "revoke", &running[2].to_string()]);
    wait_until("the next one runs", || begun() == 4);
    assert_eq!(begun(), 4, "one at a time again");
}

#[test]
fn job_retry_by_id_or_filter_requeues_matching_failed_jobs() {
    let stage = Stage::start();
    let (server, _worker) = (stage.server(), stage.worker());
    let fail = |error: &str| stage.enqueue(&Action::Fail { error: error.into() });
    let jobs = [fail("port 51820 is taken"), fail("port 51821 is taken"), fail("no such host")];
    for job in jobs {
        stage.wait_for(job, "failed");
    }
    let listed = json(&stage.run_uncloud(&["job", "ls", "--state", "failed", "--error", "PORT", "--output", "json"]));
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
    stage.kill_server(server);
    stage.run_uncloud(&["job", "retry", &jobs[2].to_string()]);
    stage.run_uncloud(&["job", "retry", "--all", "--kind", "fail", "--queue", QUEUE, "--error", "51820"]);
    stage.run_uncloud(&["job", "retry", "--all", "--kind", "another"]);
    assert_eq!(jobs.map(|job| stage.job(job).state), ["queued", "failed", "queued"]);
    let _server = stage.server();
    for job in [jobs[0], jobs[2]] {
        wait_until("it runs again", || stage.starts(job).len() == 2);
        assert_eq!(stage.wait_for(job, "failed").failures, 1, "as if for the first time");
    }
    assert_eq!(stage.starts(jobs[1]).len(), 1);
}

#[test]
fn inspect_before_and_after_worker_kill_shows_jobs_and_missing_reply() {
    let stage = Stage::start();
    let (_server, worker) = (stage.server(), stage.worker_with(1));
    worker_id(&stage);
    let running = stage.enqueue(&LONG);
    stage.wait_for_start(running);
    let reserved = stage.enqueue(&LONG);
    stage.wait_for(reserved, "dispatched");
    let scheduled = stage.enqueue_with(&LONG, |job| job.run_at = Some("2999-01-01T00:00:00Z".parse().expect("a time")));
    let ask = |what: &str| json(&stage.run_uncloud(&["inspect", what, "--output", "json"]));
    assert_eq!(ask("ping")[0]["reply"], "pong");
    wait_until("it is active", || ask("active").to_string().contains(&format!("{running}")));
    assert!(ask("reserved").to_string().contains(&reserved.to_string()), "{}", ask("reserved"));
    assert!(ask("scheduled").to_string().contains(&scheduled.to_string()), "{}", ask("scheduled"));
    assert!(ask("registered").to_string().contains("sleep"), "{}", ask("registered"));
    assert_eq!(ask("stats")[0]["name"], QUEUE);
    assert_eq!(ask("report").as_array().map(Vec::len), Some(1), "{}", ask("report"));
    let dead = format!("worker-{}", worker.pid());
    worker.kill();
    let next = stage.worker();
    wait_until("it has reported", || stage.number("select count(*) from worker where not stopped") == 2);
    let asked = output(&mut stage.uncloud(&["inspect", "ping", "--output", "json"]), "");
    assert!(String::from_utf8_lossy(&asked.stderr).contains("1 of 2 workers did not reply"), "{asked:?}");
    let responses = json(&String::from_utf8_lossy(&asked.stdout));
    let response = |name: &str| responses.as_array()?.iter().find(|line| line["name"] == name)?["reply"].as_str();
    assert_eq!(
        (response(&dead), response(&format!("worker-{}", next.pid()))),
        (Some("timeout"), Some("pong")),
        "{responses}"
    );
}

#[test]
fn job_watch_of_running_job_shows_its_progress() {
    let stage = Stage::start();
    let (_server, _worker) = (stage.server(), stage.worker());
    let job = stage.enqueue(&Action::Sleep { millis: 2500 });
    let said = stage.run_uncloud(&["job", "watch", &job.to_string()]);
    assert!(said.contains("1 of 2 asleep") && said.contains("succeeded"), "{said}");
    let shown = stage.run_uncloud(&["job", "show", &job.to_string()]);
    assert!(shown.contains("1 of 2 asleep"), "{shown}");
}
