//! A server that is newer than its worker: jobs that the worker does not understand fail, and say what to do.

use redis::Commands as _;
use sqlx::{Connection as _, PgConnection};
use uncloud_testkit::{fixtures::HOST, provider::Provider, wait::wait_until};

/// A job on its way, as a server of another version would have sent it.
fn sent(provider: &Provider, kind: &str, payload: &str) -> i64 {
    let (job, fence): (i64, i64) = provider.runtime.block_on(async {
        let mut connection = PgConnection::connect(&provider.database_url()).await.expect("PostgreSQL");
        let row = "insert into job (queue, kind, payload, state, attempt, dispatched_at, last_seen_at)
                   values ($1, $2, '{}', 'dispatched', 1, now(), now()) returning job_id, fence";
        sqlx::query_as(row).bind(HOST).bind(kind).fetch_one(&mut connection).await.expect("a job")
    });
    let client = redis::Client::open(provider.redis_url()).expect("a URL");
    let (job_text, fence) = (job.to_string(), fence.to_string());
    let fields = [("job", job_text.as_str()), ("fence", &fence), ("kind", kind), ("payload", payload)];
    let key = format!("uncloud:{{{HOST}}}:jobs");
    let _: String = client.get_connection().expect("Redis").xadd(key, "*", &fields).expect("added");
    job
}

#[test]
fn job_with_unknown_kind_or_newer_payload_fails_with_clear_error() {
    let provider = Provider::start(&[]);
    let state_dir = tempfile::tempdir().expect("folder");
    let _worker = provider.dry_worker(state_dir.path());
    let admin = provider.api("admin");
    for (kind, payload, hint) in [
        ("vpn_fly", "{}", "does not know jobs of kind vpn_fly; update it, then run the job again"),
        ("vpn_apply", r#"{"version": 99}"#, "has version 99, but this worker supports up to 1; update the worker"),
        ("vpn_apply", "\u{fffd}", "check that worker and server have the same version"),
    ] {
        let path = format!("/v1/admin/job/{}", sent(&provider, kind, payload));
        wait_until("it has failed", || admin.get(&path).expect(200)["job"]["state"] == "failed");
        let job = admin.get(&path).expect(200);
        assert!(job["job"]["error"].as_str().is_some_and(|error| error.contains(hint)), "{hint:?} in {job}");
    }
    admin.job_succeeds(&admin.create_pool());
}
