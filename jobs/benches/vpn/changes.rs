//! One change in pools of three sizes: the cost of a pool's full state as the pool grows.

use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use uncloud_testkit::{
    fixtures::{HOST, new_key},
    instance::RunningInstance,
};

use super::pool;
use crate::{
    cost::{forget_peak, peak_mb},
    report::{Report, percentile},
};

const SIZES: [u32; 3] = [256, 4096, 65536];
const REPEATS: usize = 5;
/// Maximum duration of a change; after that, the row reports that it did not finish.
const GIVE_UP: Duration = Duration::from_secs(40);

/// Fills a /28 with this many /48s of the staff user, by SQL: requests would take minutes and are not what is measured.
fn fill(up: &RunningInstance, pool_id: i64, first_hextet: &str, count: u32) -> i64 {
    // Each is provisioned for a separate order.
    let insert = "with placed as (
            insert into orders (user_id, description, currency, one_time_micros, recurring_micros, billing_mode, commitment_periods,
                time_zone, starts_at, ordered_at, deliver_at, delivered_at)
            select user_id, 'VPN network', 'CHF', 0, 0, 'advance', 0, 'UTC', now(), now(), now(), now()
            from users, generate_series(1, $3) where username = 'admin'
            returning order_id),
        numbered as (select order_id, row_number() over (order by order_id) as i from placed)
        insert into vpn_network (user_id, pool_id, pool_network, subnetwork_size, network, public_key, generation, order_id)
        select (select user_id from users where username = 'admin'), pool_id, network, subnetwork_size,
            format('%s:%s:%s::/48', $2, to_hex(i >> 16), to_hex(i & 65535))::cidr, set_bit(sha256((pool_id || '/' || i)::bytea), 255, 0),
            generation, order_id
        from vpn_pool, numbered where pool_id = $1";
    let count = i32::try_from(count).expect("small");
    up.runtime.block_on(async {
        let url = up.instance().database_url.expect("it runs");
        let mut db = PgConnection::connect(url.expose()).await.expect("PostgreSQL");
        sqlx::query(insert).bind(pool_id).bind(first_hextet).bind(count).execute(&mut db).await.expect("inserted");
        let update = "update vpn_pool set used = $2, next_index = $2 + 1, generation = next_generation(generation)
            where pool_id = $1";
        sqlx::query(update).bind(pool_id).bind(count).execute(&mut db).await.expect("updated");
        sqlx::query("analyze vpn_network").execute(&mut db).await.expect("analyzed");
        let first = "select min(network_id) from vpn_network where pool_id = $1";
        sqlx::query_scalar(first).bind(pool_id).fetch_one(&mut db).await.expect("a network")
    })
}

/// Replaces a network's key; returns the time from the request until the host has confirmed.
fn change(up: &RunningInstance, network_id: i64) -> Option<f64> {
    let staff = up.admin();
    let body = json!({ "wireguard_public_key": new_key().to_string() });
    let started = Instant::now();
    let changed = staff.patch(&format!("/v1/net/vpn/{network_id}"), &body).expect(200);
    let job = changed["job"]["id"].clone();
    while started.elapsed() < GIVE_UP {
        let state = staff.get(&format!("/v1/job/{job}?wait=5")).expect(200)["state"].clone();
        if state == "succeeded" {
            return Some(started.elapsed().as_secs_f64() * 1000.0);
        }
    }
    eprintln!("   {}", staff.get(&format!("/v1/job/{job}")).text);
    None
}

/// Returns the size in bytes of the last dispatched job, according to the server's log.
fn payload_bytes(up: &RunningInstance) -> f64 {
    let log = up.process.stderr();
    let line = log.lines().rev().find(|line| line.contains("job dispatched")).expect("dispatched");
    let bytes = line.split("bytes=").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("bytes");
    bytes.trim_matches(|letter: char| !letter.is_ascii_digit()).parse().expect("a number")
}

pub(crate) fn measure(up: &RunningInstance, report: &mut Report) {
    let worker = up.child(&format!("worker {HOST}"));
    for (n, size) in SIZES.into_iter().enumerate() {
        let hextet = format!("2a1{n}");
        let id = pool(up, HOST, &format!("{hextet}::/28"), 52000 + u16::try_from(n).expect("small"));
        let network = fill(up, id, &hextet, size);
        forget_peak(worker);
        let what = |what: &str| format!("pool of {size} networks: {what}");
        let name = |what: &str| format!("pool_{size}_{what}");
        let Some(first) = change(up, network) else {
            report.leave_out(&name("change_ms"), &what("one change"), "it did not finish in 40 s");
            continue;
        };
        report.add(&name("filled_ms"), &what("all peers at once"), first, "ms", "", "");
        let times: Vec<f64> = (0..REPEATS).map_while(|_| change(up, network)).collect();
        let note = format!("median of {}, until the host has confirmed", times.len());
        report.add(&name("change_ms"), &what("one change"), percentile(&times, 50), "ms", "", &note);
        report.add(&name("payload_kb"), &what("payload"), payload_bytes(up) / 1000.0, "KB", "", "");
        report.add(&name("worker_peak_mb"), &what("the worker's peak memory"), peak_mb(worker), "MB", "", "VmHWM");
    }
}
