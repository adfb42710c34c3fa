//! Jobs of the queue `billing`: the schedule's run, and the end of what an order delivers.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use uncloud_testkit::{
    billing::{BillingDatabase, BillingTemplate, BillingWorkers, Ledger, start_worker, wait_for_bill_run},
    fixtures::new_key,
    process::Process,
    provider::Provider,
    random::Random,
    wait::wait_until,
};

/// Two in each of a run's parts.
const CUSTOMERS: usize = 64;
/// Jobs that share a run.
const SHARES: i64 = 8;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

/// Sessions that wait for a customer who is locked.
fn waiting(database: &BillingDatabase) -> i64 {
    let sql = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    database.rows::<(i64,)>(sql)[0].0
}

/// The times of all runs but the template's, in order.
fn run_times(database: &BillingDatabase) -> Vec<String> {
    let sql = r#"select to_char(as_of at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') from bill_run
                 where as_of > '2025-01-01' order by run_id"#;
    database.rows::<(String,)>(sql).into_iter().map(|(as_of,)| as_of).collect()
}

/// Runs by schedule and by hand, all held up by locked customers; then a worker dies, and the locks go.
fn disturbed_run(database: &BillingDatabase) -> (i64, Process) {
    let mut workers = BillingWorkers::start(database, 2);
    let locks = database.runtime.block_on(async {
        let mut tx = uncloud::request_context::begin(&database.pool).await.expect("a transaction");
        sqlx::query("select from users where user_id > 16 for no key update").execute(&mut *tx).await.expect("locked");
        tx
    });
    let asked = json(&database.run_uncloud(&["schedule", "run", "bill-run", "--output", "json"]));
    let job = asked["last_job"]["id"].as_i64().expect("a job");
    wait_until("every share waits for a customer", || waiting(database) == SHARES);
    let with_progress = "select job_id from job where kind = 'bill_part' and progress is not null limit 1";
    wait_until("progress is seen", || !database.rows::<(i64,)>(with_progress).is_empty());
    let part = database.rows::<(i64,)>(with_progress)[0].0.to_string();
    let shown = database.run_uncloud(&["job", "show", &part]);
    assert!(shown.contains("customers of the run"), "{shown}");
    let mut manual = Process::start("uncloud bill run", &mut database.uncloud(&["bill", "run"]));
    wait_until("the run by hand waits too", || waiting(database) == SHARES + 2);
    workers.replace(0, Process::kill);
    database.runtime.block_on(locks.rollback()).expect("unlocked");
    wait_for_bill_run(&mut manual);
    let ended = "select job_id from job where kind in ('bill_run', 'bill_part', 'bill_end') and state <> 'succeeded'";
    wait_until("all jobs have succeeded", || database.rows::<(i64,)>(ended).is_empty());
    (job, manual)
}

#[test]
fn scheduled_bill_run_with_manual_run_and_killed_worker_bills_the_same() {
    let mut template = BillingTemplate::create(&mut Random::new(5), CUSTOMERS);
    let (times, ledger) = template.copy(|database| {
        let (job, manual) = disturbed_run(database);
        let result = "select result from job where job_id = $1 or kind = 'bill_end' order by job_id";
        let results: Vec<Value> = database
            .runtime
            .block_on(sqlx::query_scalar(result).bind(job).fetch_all(&database.pool))
            .expect("results");
        let [plan, end] = &results[..] else { panic!("one plan and one end: {results:?}") };
        assert!(plan["customers"].as_i64().is_some_and(|customers| customers > 50), "{plan}");
        let said = manual.stderr();
        let unknown = database.rows::<(i64,)>("select user_id from users where user_id % 40 in (1, 3) order by 1");
        assert_eq!(end["problems"], unknown.len(), "{end}");
        assert!(said.contains("customer 1: has no billing address"), "{said}");
        let due = "select distinct user_id from order_cursor where due_at <= (select min(as_of) from bill_run where as_of > '2025-01-01') order by 1";
        assert_eq!(database.rows::<(i64,)>(due), unknown, "all others are billed");
        database.assert_sound();
        (run_times(database), Ledger::of(database))
    });
    let undisturbed = template.copy(|database| {
        for as_of in &times {
            wait_for_bill_run(&mut database.start_bill_run(as_of));
        }
        Ledger::of(database)
    });
    ledger.assert_equal(&undisturbed);
}

/// An order of alice for a network, which began so long ago that its period ends in ten seconds.
fn order_about_to_end(provider: &Provider) -> Value {
    let starts_at: String = provider.runtime.block_on(async {
        let mut connection = PgConnection::connect(&provider.database_url()).await.expect("PostgreSQL");
        let sql =
            r#"select to_char((now() - interval '29 days 23:59:50') at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"#;
        sqlx::query_scalar(sql).fetch_one(&mut connection).await.expect("a time")
    });
    let order = json!({
        "username": "alice", "product": "vpn-network", "recurring_period": "P30D", "currency": "CHF", "starts_at": starts_at,
        "parameters": { "network_size": 48, "wireguard_public_key": new_key() },
    });
    provider.api("admin").post("/v1/admin/order", &order).expect(201)
}

#[test]
fn service_of_cancelled_order_at_period_end_is_terminated_by_worker() {
    let provider = Provider::start(&["alice"]);
    let (admin, alice) = (provider.api("admin"), provider.api("alice"));
    admin.create_pool();
    let order = order_about_to_end(&provider);
    let path = format!("/v1/order/{}", order["id"]);
    let cancelled = alice.post(&format!("{path}/cancel"), &json!({})).expect(200);
    assert_eq!(cancelled["service"].get("terminated_at"), None, "{cancelled}");
    let network = format!("/v1/net/vpn/{}", cancelled["service"]["vpn_network"]);
    let before = alice.get(&network).expect(200);
    let folder = tempfile::tempdir().expect("folder");
    let _clerk = start_worker("clerk", &provider.database_url(), &provider.redis_url(), folder.path());
    let mut ended = Value::Null;
    wait_until("it is terminated", || {
        ended = alice.get(&path).expect(200);
        ended["service"].get("terminated_at").is_some()
    });
    assert!(ended["service"]["terminated_at"].as_str() >= cancelled["service"]["terminate_at"].as_str(), "{ended}");
    assert_eq!(ended["status"], "ended");
    let after = alice.get(&network).expect(200);
    assert_eq!((&before["status"], &after["status"]), (&json!("pending"), &json!("deleting")));
    provider.runtime.block_on(async {
        let mut connection = PgConnection::connect(&provider.database_url()).await.expect("PostgreSQL");
        let job = "select state, worker, attempt from job where kind = 'order_service'";
        let mut last: (String, Option<String>, i32) = Default::default();
        while last.0 != "succeeded" {
            tokio::time::sleep(Duration::from_millis(20)).await;
            last = sqlx::query_as(job).fetch_one(&mut connection).await.expect("one job");
        }
        assert_eq!((last.1.as_deref(), last.2), (Some("clerk"), 1));
    });
}
