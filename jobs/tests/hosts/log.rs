//! One id from a request to the host's log.

use std::process::Command;

use serde_json::{Value, json};
use uncloud_testkit::{
    command::clear_env, fixtures::HOST, process::Process, programs, provider::Provider, wait::wait_until,
};

#[test]
fn worker_log_of_finished_job_contains_request_and_job_id() {
    let provider = Provider::start(&[]);
    let state_dir = tempfile::tempdir().expect("state folder");
    let mut command = Command::new(programs::uncloud_worker());
    command.args(["--queue", HOST, "--dry-run", "nothing, this is a test", "--log-format", "json", "--state-dir"]);
    clear_env(command.arg(state_dir.path())).env("REDIS_URL", provider.redis_url());
    let worker = Process::start("uncloud-worker", &mut command);
    let staff = provider.api("admin");
    let pool = staff.create_pool();
    staff.job_succeeds(&pool);
    let job = staff.get(&format!("/v1/admin/job/{}", pool["job"]["id"])).expect(200);
    let request = job["request_id"].as_str().expect("the request's id");
    // Written after the event that made the job succeeded.
    wait_until("the worker says what it did", || {
        let said = worker.stderr();
        let mut lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.any(|line| {
            line["message"] == "job done"
                && line["span"]
                    == json!({ "id": pool["job"]["id"], "kind": "vpn_apply", "request": request, "name": "job" })
        })
    });
    // And the history ends with the worker that did it.
    let last = job["history"].as_array().and_then(|steps| steps.last()).expect("a history");
    let worker_name = job["worker"].as_str().expect("a name");
    assert_eq!((&last["event"], last["worker"].as_str()), (&json!("succeeded"), Some(worker_name)), "{job}");
}
