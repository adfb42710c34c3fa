//! Rate at which networks are accepted from many concurrent clients, with everything behind it at work.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::json;
use uncloud_testkit::{
    fixtures::{HOST, PASSWORD, new_key},
    instance::RunningInstance,
    provider::ApiClient,
};

use super::pool;
use crate::report::{Report, percentile};

const CLIENTS: usize = 32;
/// Half of the users are staff, half customers with a quota; each has the same number of clients.
const USERS: usize = 8;
const LASTS: Duration = Duration::from_secs(10);
/// Maximum wait until the host has all networks.
const GIVE_UP: Duration = Duration::from_mins(1);

/// Creates the users with a raised quota and logs each in once: a first login costs a tenth of a second.
fn users(up: &RunningInstance) -> Vec<ApiClient> {
    for n in 0..USERS {
        let options: &[&str] = if n % 2 == 0 { &["--staff"] } else { &[] };
        up.add_user(&format!("bench{n}"), PASSWORD, options);
    }
    let staff = up.admin();
    for user in staff.get("/v1/admin/user?limit=100").expect(200)["items"].as_array().expect("a list") {
        let path = format!("/v1/admin/user/{}", user["id"]);
        staff.patch(&path, &json!({ "vpn_quota": 1_000_000 })).expect(200);
    }
    let users: Vec<ApiClient> =
        (0..USERS).map(|n| ApiClient::new(&up.runtime, &up.address, &format!("bench{n}"), PASSWORD)).collect();
    for user in &users {
        user.get("/v1/net/vpn").expect(200);
    }
    users
}

/// Runs a client as a task without a thread, so that measuring costs as little as possible.
async fn client(base: String, user: String, end: Instant, times: Arc<Mutex<Vec<f64>>>) -> Option<i64> {
    let client = reqwest::Client::new();
    let mut last = None;
    while Instant::now() < end {
        let body = json!({ "network_size": 48, "wireguard_public_key": new_key().to_string() });
        let sent = Instant::now();
        let request = client.post(format!("{base}/v1/net/vpn")).basic_auth(&user, Some(PASSWORD)).json(&body);
        let response = request.send().await.expect("a response");
        assert_eq!(response.status().as_u16(), 201);
        let network: serde_json::Value = response.json().await.expect("JSON");
        times.lock().expect("no panic").push(sent.elapsed().as_secs_f64() * 1000.0);
        last = network["job"]["id"].as_i64();
    }
    last
}

pub(crate) fn measure(up: &RunningInstance, report: &mut Report) {
    let users = users(up);
    let id = pool(up, HOST, "2a0b::/32", 51900); // room for 65,535
    let path = format!("/v1/admin/vpnpool/{id}");
    let times: Arc<Mutex<Vec<f64>>> = Arc::default();
    let started = Instant::now();
    let end = started + LASTS;
    let base = format!("http://{}", up.address);
    let clients = (0..CLIENTS).map(|n| client(base.clone(), format!("bench{}", n % users.len()), end, times.clone()));
    let last: Vec<Option<i64>> = up.runtime.block_on(async {
        let tasks: Vec<_> = clients.map(|client| tokio::spawn(client)).collect();
        let mut last = Vec::new();
        for task in tasks {
            last.push(task.await.expect("no panic"));
        }
        last
    });
    let took = started.elapsed();
    let times = times.lock().expect("no panic").clone();
    let behind = Instant::now();
    let newest = last.into_iter().flatten().max().expect("jobs");
    let staff = up.admin();
    while staff.get(&format!("/v1/job/{newest}?wait=30")).expect(200)["state"] != "succeeded" {
        assert!(behind.elapsed() < GIVE_UP, "the host does not catch up: {}", staff.get(&path).text);
    }
    let count = f64::from(u32::try_from(times.len()).unwrap_or(u32::MAX));
    let note = format!("{} networks of one pool, 8 users, durable", times.len());
    report.add("creations_per_s", "creations, 32 clients", count / took.as_secs_f64(), "1/s", ">= 500/s", &note);
    report.add("creation_p50_ms", "one of these, p50", percentile(&times, 50), "ms", "", "");
    report.add("creation_p99_ms", "one of these, p99", percentile(&times, 99), "ms", "", "");
    let behind = behind.elapsed().as_secs_f64();
    report.add("creation_caught_up_s", "from the last response until the host has all", behind, "s", "", "");
}
