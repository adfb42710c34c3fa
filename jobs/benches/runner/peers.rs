//! The servers' own benchmark programs, with the same work.

use std::{io::Write as _, process::Command};

use uncloud_testkit::{
    command::succeed,
    runner::{QUEUE, Stage},
};

use crate::{pgbench::transactions_per_second, report::Report};

/// Measures LPUSH and RPOP, the minimum work of a queue in Redis. Returns RPOP's rate.
pub(crate) fn redis_benchmark(stage: &Stage, report: &mut Report) -> f64 {
    let socket = stage.addresses.redis_url.trim_start_matches("redis+unix://");
    let mut command = Command::new("redis-benchmark");
    let printed = succeed(command.args(["-s", socket, "-c", "50", "-n", "200000", "-t", "lpush,rpop", "--csv"]), "");
    let rate = |name: &str| {
        let line = printed.lines().find(|line| line.starts_with(&format!("\"{name}\""))).expect(name);
        line.split(',').nth(1).and_then(|text| text.trim_matches('"').parse::<f64>().ok()).expect("a rate")
    };
    for (name, key) in [("LPUSH", "redis_lpush_per_s"), ("RPOP", "redis_rpop_per_s")] {
        report.add(key, &format!("redis-benchmark {name} -c 50"), rate(name), "/s", "", "unix socket");
    }
    redis::cmd("DEL").arg("mylist").exec(&mut stage.redis.connect()).expect("deleted");
    rate("RPOP")
}

/// The SQL with which [`uncloud::queue::enqueue`] creates a job.
pub(crate) const ENQUEUE: &str = r#"with asked as (
    insert into job (queue, kind, payload, unique_key, serial_key, run_at, waits_for, parents, request_id,
        max_failures, backoff_base_ms, backoff_max_ms, soft_limit_ms, hard_limit_ms, priority, keep_seconds)
    values ('peer', 'nothing', '{"kind": "nothing"}', null, null, coalesce(null, now()), 0, 0, null, 8, 1000, 60000, null, 3600000, 5, 604800)
    on conflict (unique_key) where state = 'queued' and unique_key is not null
        do update set run_at = least(job.run_at, excluded.run_at), priority = greatest(job.priority, excluded.priority)
    returning job_id),
asker as (insert into job_requester (job_id, user_id) select job_id, null::bigint from asked where null::bigint is not null on conflict do nothing)
select job_id from asked"#;

/// The SQL of a job's whole life, one row at a time: the changes of claiming and settling, without any other step.
const LIFE: &str = "update job set state = 'dispatched', attempt = attempt + 1, progress = null,
    dispatched_at = clock_timestamp(), last_seen_at = clock_timestamp() where job_id = :job_id;
update job set state = 'succeeded', worker = 'peer', result = '[]', error = null, duration_ms = 1,
    finished_at = clock_timestamp() where job_id = :job_id;";

/// Returns the transactions per second of a script with this many clients.
fn pgbench(stage: &Stage, script: &str, clients: usize) -> f64 {
    let mut file = tempfile::NamedTempFile::new().expect("file");
    file.write_all(script.as_bytes()).expect("written");
    let path = file.path().display().to_string();
    transactions_per_second(&["-M", "prepared", "-f", &path], clients, 5, &stage.addresses.database_url)
}

/// Returns the rate of single rows, with which the runner's own rate is compared.
pub(crate) fn postgres(stage: &Stage, clients: usize, report: &mut Report) -> f64 {
    assert_ne!(QUEUE, "peer", "no worker runs these");
    let enqueue = pgbench(stage, &format!("{ENQUEUE};"), clients);
    let note = format!("{clients} clients, synchronous_commit = on");
    report.add("pgbench_enqueue_per_s", "pgbench, the SQL of enqueuing", enqueue, "/s", "", &note);
    let life = pgbench(stage, &format!("{ENQUEUE} \\gset\n{LIFE}"), clients);
    report.add("pgbench_life_per_s", "pgbench, the SQL of a job's life, row by row", life, "/s", "", &note);
    stage.execute("delete from job where queue = 'peer'");
    stage.execute("vacuum analyze job");
    enqueue
}
