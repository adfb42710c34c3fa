//! The database refuses what the code forgot: each by raw SQL, each by the constraint that is named for it.

use sqlx::PgPool;

use crate::app::database;

const POOL: &str = "insert into vpn_pool (network, subnetwork_size, vpn_hostname, listen_port, private_key,
    private_key_key_id, public_key, generation) values";
const NETWORK: &str = "insert into vpn_network (user_id, pool_id, pool_network, subnetwork_size, network, public_key,
    generation, order_id) values";
const ORDER: &str =
    "insert into orders (user_id, description, currency, one_time_micros, recurring_micros, billing_mode,
    commitment_periods, time_zone, starts_at, ordered_at, deliver_at)
    values (1, 'VPN network', 'CHF', 0, 0, 'advance', 0, 'UTC', now(), now(), now())";

/// A database with pool 1 (2001:db8::/40, networks of /48) and in it network 1 (2001:db8:1::/48) of user 1.
async fn with_network() -> PgPool {
    let pool = database().await;
    execute(&pool, &format!("{POOL} ('2001:db8::/40', 48, 'vpn-1.example.ch', 51820, '', 'k', {}, 1)", key(1)))
        .await
        .expect("a pool");
    for _ in 0..2 {
        execute(&pool, ORDER).await.expect("an order");
    }
    execute(&pool, &format!("{NETWORK} (1, 1, '2001:db8::/40', 48, '2001:db8:1::/48', {}, 1, 1)", key(2)))
        .await
        .expect("a network");
    pool
}

fn key(byte: u8) -> String {
    format!("decode(repeat('{byte:02x}', 32), 'hex')")
}

pub async fn execute(pool: &PgPool, sql: &str) -> sqlx::Result<()> {
    sqlx::query(sqlx::AssertSqlSafe(sql.to_owned())).execute(pool).await.map(drop)
}

#[track_caller]
pub fn assert_refused(result: sqlx::Result<()>, constraint: &str, sql: &str) {
    let error = result.expect_err(sql);
    let named = error.as_database_error().and_then(sqlx::error::DatabaseError::constraint);
    assert_eq!(named, Some(constraint), "{sql}: {error}");
}

#[tokio::test]
async fn vpn_pool_row_with_invalid_values_is_refused() {
    let pool = with_network().await;
    let row = |network: &str, size: u8, host: &str, port: u32, key: &str| {
        format!("{POOL} ('{network}', {size}, '{host}', {port}, '', 'k', {key}, 1)")
    };
    let k = key(9);
    for (constraint, sql) in [
        ("vpn_pool_network_overlap", row("2001:db8::/40", 48, "vpn-2.example.ch", 1, &k)),
        ("vpn_pool_network_overlap", row("2001:db8:80::/41", 48, "vpn-2.example.ch", 1, &k)),
        ("vpn_pool_network_overlap", row("2001:db8::/32", 48, "vpn-2.example.ch", 1, &k)),
        ("vpn_pool_host_port_key", row("2001:db9::/40", 48, "vpn-1.example.ch", 51820, &k)),
        ("vpn_pool_subnetwork_size", row("2001:db9::/40", 40, "vpn-2.example.ch", 1, &k)),
        ("vpn_pool_subnetwork_size", row("10.0.0.0/24", 33, "vpn-2.example.ch", 1, &k)),
        ("vpn_pool_vpn_hostname_form", row("2001:db9::/40", 48, "billing", 1, &k)),
        ("vpn_pool_vpn_hostname_form", row("2001:db9::/40", 48, "VPN.example.ch", 1, &k)),
        ("vpn_pool_listen_port", row("2001:db9::/40", 48, "vpn-2.example.ch", 65536, &k)),
        ("vpn_pool_public_key_length", row("2001:db9::/40", 48, "vpn-2.example.ch", 1, "'\\x00'")),
        ("vpn_pool_used", "update vpn_pool set used = used - 1".to_owned()),
        ("vpn_pool_used", "update vpn_pool set used = 1".to_owned()),
        ("vpn_pool_generation", "update vpn_pool set applied_generation = 2".to_owned()),
        ("vpn_network_pool_fkey", "delete from vpn_pool".to_owned()),
        ("vpn_network_pool_fkey", "update vpn_pool set network = '2001:db8::/41'".to_owned()),
    ] {
        assert_refused(execute(&pool, &sql).await, constraint, &sql);
    }
    let host_bits = row("2001:db9::1/40", 48, "vpn-2.example.ch", 1, &k);
    assert!(execute(&pool, &host_bits).await.is_err(), "cidr takes no host bits");
}

#[tokio::test]
async fn vpn_network_row_with_invalid_values_is_refused() {
    let pool = with_network().await;
    let row = |pool_network: &str, size: u8, network: &str, key: &str| {
        format!("{NETWORK} (1, 1, '{pool_network}', {size}, '{network}', {key}, 1, 2)")
    };
    let of_order =
        |order: &str| format!("{NETWORK} (1, 1, '2001:db8::/40', 48, '2001:db8:2::/48', {}, 1, {order})", key(9));
    let (k, p) = (key(9), "2001:db8::/40");
    for (constraint, sql) in [
        ("vpn_network_network_overlap", row(p, 48, "2001:db8:1::/48", &k)),
        ("vpn_network_public_key_key", row(p, 48, "2001:db8:2::/48", &key(2))),
        ("vpn_network_inside_pool", row(p, 48, "2001:db9:2::/48", &k)),
        ("vpn_network_inside_pool", row(p, 40, "2001:db8::/40", &k)),
        ("vpn_network_pool_fkey", row("2001:db9::/40", 48, "2001:db9:2::/48", &k)),
        ("vpn_network_pool_fkey", row(p, 49, "2001:db8:2::/49", &k)),
        ("vpn_network_size", row(p, 48, "2001:db8:2::/49", &k)),
        ("vpn_network_not_the_servers", row(p, 48, "2001:db8::/48", &k)),
        ("vpn_network_public_key_length", row(p, 48, "2001:db8:2::/48", "'\\x00'")),
        ("vpn_network_order_key", of_order("1")),
        ("vpn_network_order_fkey", of_order("99")),
    ] {
        assert_refused(execute(&pool, &sql).await, constraint, &sql);
    }
    execute(&pool, "update vpn_network set deleting = true").await.expect("deleting");
    execute(&pool, &row(p, 48, "2001:db8:2::/48", &key(2)))
        .await
        .expect("the key may come back while its network goes");
    assert_refused(
        execute(&pool, &row(p, 48, "2001:db8:1::/48", &k)).await,
        "vpn_network_network_overlap",
        "the prefix may not",
    );
}

#[tokio::test]
async fn job_row_with_invalid_values_is_refused() {
    let pool = database().await;
    let waiting = "insert into job (queue, kind, payload, unique_key) values ('a.ch', 'vpn_apply', '{}', 'k')";
    execute(&pool, waiting).await.expect("a job");
    for (constraint, sql) in [
        ("job_one_waiting", waiting),
        ("job_queue_form", "insert into job (queue, kind, payload) values ('a}b', 'vpn_apply', '{}')"),
        ("job_state", "update job set state = 'lost'"),
        ("job_dispatched", "update job set state = 'dispatched'"),
        ("job_finished", "update job set state = 'succeeded'"),
        ("job_superseded", "update job set state = 'superseded', finished_at = now()"),
        ("job_counters", "update job set failures = 1"),
        ("job_delivery_positive", "update job set delivery = 0"),
        ("job_superseded_by_fkey", "update job set state = 'superseded', finished_at = now(), superseded_by = 99"),
    ] {
        assert_refused(execute(&pool, sql).await, constraint, sql);
    }
    let under_way = "update job set state = 'dispatched', attempt = 1, dispatched_at = now(), last_seen_at = now()
        where state = 'queued'";
    execute(&pool, under_way).await.expect("one under way");
    execute(&pool, waiting).await.expect("one waiting beside it");
    assert_refused(execute(&pool, under_way).await, "job_one_in_flight", under_way);
}

#[tokio::test]
async fn schedule_row_with_invalid_values_is_refused() {
    let pool = database().await;
    let row = |name: &str, timing: &str| {
        format!(
            "insert into schedule (name, kind, cron, time_zone, every_seconds, next_run_at) values ('{name}', 'x', {timing}, now())"
        )
    };
    execute(&pool, &row("beat", "null, null, 60")).await.expect("a schedule");
    let job = "insert into job (queue, kind, payload) values ('a.ch', 'vpn_apply', '{}')";
    execute(&pool, job).await.expect("a job");
    let tick = "insert into schedule_tick (schedule_id, due_at, job_id)
        select schedule_id, '2026-01-01T00:00:00Z', 1 from schedule where name = 'beat'";
    execute(&pool, tick).await.expect("a tick");
    for (constraint, sql) in [
        ("schedule_tick_key", tick.to_owned()),
        ("schedule_name_key", row("beat", "null, null, 60")),
        ("schedule_name_form", row("Beat", "null, null, 60")),
        ("schedule_name_form", row("", "null, null, 60")),
        ("schedule_timing", row("x", "null, null, null")),
        ("schedule_timing", row("x", "'* * * * *', 'UTC', 60")),
        ("schedule_timing", row("x", "'* * * * *', null, null")),
        ("schedule_every_seconds", row("x", "null, null, 0")),
        ("schedule_paused", "update schedule set paused_at = now()".to_owned()),
        ("schedule_paused", "update schedule set next_run_at = null".to_owned()),
        ("schedule_forward", "update schedule set last_due_at = next_run_at".to_owned()),
        ("schedule_terms", "update schedule set priority = 10".to_owned()),
        ("schedule_terms", "update schedule set max_failures = 0".to_owned()),
        ("schedule_payload", "update schedule set payload = '[]'".to_owned()),
        ("schedule_last_job_fkey", "update schedule set last_job_id = 99".to_owned()),
        ("schedule_tick_job_fkey", "update schedule_tick set job_id = 99".to_owned()),
    ] {
        assert_refused(execute(&pool, &sql).await, constraint, &sql);
    }
    execute(&pool, "delete from job").await.expect("a job may be forgotten");
    execute(&pool, tick).await.expect_err("its tick went with it, and needs a job");
}

#[tokio::test]
async fn user_row_with_invalid_values_is_refused() {
    let pool = database().await;
    for (constraint, sql) in [
        ("users_username_key", "insert into users (username) values ('alice')"),
        ("users_username_form", "insert into users (username) values ('Alice')"),
        ("users_username_form", "insert into users (username) values ('a)(uid=*')"),
        ("users_password_hash_form", "insert into users (username, password_hash) values ('carol', 'plain')"),
    ] {
        assert_refused(execute(&pool, sql).await, constraint, sql);
    }
}

#[tokio::test]
async fn vpn_pool_indexes_exclude_columns_changed_by_networks() {
    let pool = database().await;
    // PostgreSQL updates a row in place as long as no index has one of the changed columns, be it in a condition.
    let indexed: Vec<String> = sqlx::query_scalar(
        "select distinct attname::text from pg_index
         join pg_depend on classid = 'pg_class'::regclass and objid = indexrelid and refobjid = indrelid
         join pg_attribute on attrelid = indrelid and attnum = refobjsubid
         where indrelid = 'vpn_pool'::regclass",
    )
    .fetch_all(&pool)
    .await
    .expect("columns");
    assert!(indexed.contains(&"subnetwork_size".to_owned()) && indexed.contains(&"deleting".to_owned()), "{indexed:?}");
    for changes in ["used", "next_index", "generation", "applied_generation"] {
        assert!(!indexed.contains(&changes.to_owned()), "vpn_pool.{changes} changes with each network: {indexed:?}");
    }
}
