//! The audit log: no change without its entry.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::app::{HOST, PASSWORD, TestApp, database, new_key};

/// One successful call of every operation that changes something, in an order in which each finds what it needs.
/// The entries between them are not of the API.
enum Step {
    Call(&'static str, Method, &'static str, &'static str, Value),
    Sql(&'static str),
}

fn story() -> Vec<Step> {
    use Step::{Call, Sql};
    let (post, patch, delete) = (Method::POST, Method::PATCH, Method::DELETE);
    let pool = |network: &str, host: &str| json!({ "network": network, "subnetwork_size": 48, "vpn_hostname": host });
    let schedule = json!({ "name": "more-cleanup", "kind": "job_cleanup", "every_seconds": 3600 });
    let key = || new_key().to_string();
    vec![
        Call("admin_queue_update", patch.clone(), "/v1/admin/queue/vpn-1.example.ch", "admin", json!({ "paused": true })),
        Call("admin_vpnpool_create", post.clone(), "/v1/admin/vpnpool", "admin", pool("2001:db8::/40", HOST)),
        Call("vpn_create", post.clone(), "/v1/net/vpn", "alice", json!({ "network_size": 48, "wireguard_public_key": key() })),
        Call("vpn_update", patch.clone(), "/v1/net/vpn/1", "alice", json!({ "wireguard_public_key": key() })),
        Call("admin_vpnpool_update", patch.clone(), "/v1/admin/vpnpool/1", "admin", json!({ "listen_port": 51821 })),
        Call("admin_vpnpool_rotate_key", post.clone(), "/v1/admin/vpnpool/1/key", "admin", json!({})),
        Call("vpn_delete", delete.clone(), "/v1/net/vpn/1", "alice", Value::Null),
        Call("admin_vpnpool_create", post.clone(), "/v1/admin/vpnpool", "admin", pool("2001:db9::/40", "vpn-2.example.ch")),
        Call("admin_vpnpool_delete", delete.clone(), "/v1/admin/vpnpool/2", "admin", Value::Null),
        Call("admin_user_update", patch.clone(), "/v1/admin/user/2", "admin", json!({ "vpn_quota": 9 })),
        Call("token_create", post.clone(), "/v1/token", "alice", json!({ "name": "backup", "scopes": ["read"] })),
        Call("password_update", Method::PUT, "/v1/password", "bob", json!({ "old_password": PASSWORD, "new_password": PASSWORD })),
        Call("token_delete", delete.clone(), "/v1/token/1", "alice", Value::Null),
        Call("token_create", post.clone(), "/v1/token", "alice", json!({ "name": "stolen", "scopes": ["read"] })),
        Call("admin_token_delete", delete.clone(), "/v1/admin/user/2/token/2", "admin", Value::Null),
        Call("admin_schedule_create", post.clone(), "/v1/admin/schedule", "admin", schedule),
        Call("admin_schedule_update", patch.clone(), "/v1/admin/schedule/4", "admin", json!({ "every_seconds": 7200 })),
        Call("admin_schedule_run", post.clone(), "/v1/admin/schedule/4/run", "admin", Value::Null),
        Call("admin_schedule_delete", delete, "/v1/admin/schedule/4", "admin", Value::Null),
        Call("admin_job_revoke", post.clone(), "/v1/admin/job/1/revoke", "admin", Value::Null),
        Call("admin_job_retry", post.clone(), "/v1/admin/job/1/retry", "admin", Value::Null),
        Call("admin_queue_purge", post.clone(), "/v1/admin/queue/vpn-1.example.ch/purge", "admin", Value::Null),
        Sql("update job set state = 'failed' where job_id = 1"),
        Call("admin_job_retry_all", post, "/v1/admin/job/retry", "admin", json!({})),
        Sql("insert into worker (queue, instance, name, version, concurrency, active, kinds, started_at, succeeded, failed,
                 leases_lost, rss_bytes, last_seen_at)
             values ('x.example.ch', 'i', 'x', '1', 4, '[]', '{}', now(), 0, 0, 0, 0, now())"),
        Call("admin_worker_update", patch, "/v1/admin/worker/1", "admin", json!({ "concurrency": 2 })),
    ]
}

/// The same for what is sold: order 1 is that of the network before.
fn shopping() -> Vec<Step> {
    use Step::Call;
    let (post, patch, put) = (Method::POST, Method::PATCH, Method::PUT);
    let address = json!({ "name": "Alice Example", "company": "Example GmbH", "street": "Hauptstraße 1",
        "postal_code": "10115", "city": "Berlin", "country": "DE", "vat_number": "DE136695976" });
    let seller = json!({ "name": "ungleich glarus ag", "street": "Bahnhofstrasse 1", "postal_code": "8783", "city": "Linthal",
        "country": "CH", "time_zone": "Europe/Zurich", "oss_eu": true });
    let product = |title: &str| json!({ "title": title, "prices": [{ "currency": "CHF", "one_time": "5.00" }] });
    let mut new_product = product("Backup");
    new_product["name"] = "backup".into();
    let vm = |cores: u32| {
        json!({ "product": "ipv6-vm", "parameters": { "cores": cores, "memory_gb": 2 },
        "recurring_period": "P30D", "currency": "CHF" })
    };
    let smaller = json!({ "parameters": { "cores": 1, "memory_gb": 2 } });
    let mut for_alice = vm(2);
    for_alice["username"] = "alice".into();
    let now = json!({ "service_change": "now" });
    vec![
        Call("billing_address_update", put.clone(), "/v1/billing_address", "alice", address),
        Call(
            "admin_billing_address_verify",
            post.clone(),
            "/v1/admin/user/2/billing_address/verification",
            "admin",
            json!({ "vat_number": "DE136695976", "evidence": "looked up" }),
        ),
        Call("admin_seller_update", put.clone(), "/v1/admin/seller", "admin", seller),
        Call(
            "admin_recurring_period_create",
            post.clone(),
            "/v1/admin/recurring_period",
            "admin",
            json!({ "recurring_period": "P7D" }),
        ),
        Call("admin_product_create", post.clone(), "/v1/admin/product", "admin", new_product),
        Call("admin_product_update", put, "/v1/admin/product/7", "admin", product("Backups")),
        Call("order_create", post.clone(), "/v1/order", "alice", vm(2)),
        Call("order_replace", post.clone(), "/v1/order/2/replace", "alice", smaller.clone()),
        Call("order_update", patch.clone(), "/v1/order/3", "alice", now.clone()),
        Call("order_cancel", post.clone(), "/v1/order/2/cancel", "alice", json!({})),
        Call("order_undo", post.clone(), "/v1/order/2/undo", "alice", Value::Null),
        Call("admin_order_create", post.clone(), "/v1/admin/order", "admin", for_alice),
        Call("admin_order_delivered", post.clone(), "/v1/admin/order/4/delivered", "admin", Value::Null),
        Call("admin_order_replace", post.clone(), "/v1/admin/order/4/replace", "admin", smaller),
        Call("admin_order_update", patch, "/v1/admin/order/5", "admin", now.clone()),
        Call("admin_order_undo", post.clone(), "/v1/admin/order/5/undo", "admin", Value::Null),
        Call("admin_order_cancel", post.clone(), "/v1/admin/order/4/cancel", "admin", now),
        Call("admin_order_terminated", post, "/v1/admin/order/4/terminated", "admin", Value::Null),
    ]
}

/// And for what is billed of it.
fn billing() -> Vec<Step> {
    use Step::Call;
    let line = json!({ "description": "Work", "net": "10.00", "currency": "CHF", "reason": "ticket 1" });
    let (post, delete) = (Method::POST, Method::DELETE);
    vec![
        Call("admin_bill_item_create", post.clone(), "/v1/admin/user/2/bill_item", "admin", line.clone()),
        Call("admin_bill_item_delete", delete, "/v1/admin/user/2/bill_item/1", "admin", Value::Null),
        Call("admin_bill_item_create", post.clone(), "/v1/admin/user/2/bill_item", "admin", line),
        Call("admin_bill_create", post.clone(), "/v1/admin/user/2/bill", "admin", json!({})),
        Call("admin_bill_run_create", post.clone(), "/v1/admin/bill_run", "admin", json!({})),
        Step::Sql(
            "insert into bill_run (as_of, seller_id, seller, customers) select now(), max(seller_id), '{}', 1 from seller",
        ),
        Call("admin_bill_run_abort", post.clone(), "/v1/admin/bill_run/2/abort", "admin", Value::Null),
        Step::Sql(
            "insert into seller (name, street, postal_code, city, country, vat_number, time_zone, oss_eu)
             values ('Provider AG', 'Weg 1', '8000', 'Zurich', 'CH', 'CHE116281710MWST', 'Europe/Zurich', true)",
        ),
        Step::Sql(
            "insert into billing_address (user_id, name, street, postal_code, city, country)
             values (1, 'Admin', 'Weg 2', '8000', 'Zurich', 'CH')",
        ),
        Step::Sql(
            "insert into bill_item (user_id, currency, description, net_cents, service_at, reason, created_by)
             values (1, 'CHF', 'Work', 1000, '2026-01-01', 'agreed', 1)",
        ),
        Call("admin_bill_create", post.clone(), "/v1/admin/user/1/bill", "admin", json!({})),
        Step::Sql("update vat_rate set rate_ppm = rate_ppm + 1 where territory = 'CH'"),
        Call("admin_rate_correction_create", post, "/v1/admin/rate_correction", "admin", Value::Null),
    ]
}

/// Operations with POST that only ask.
const QUESTIONS: [&str; 2] = ["order_quote", "order_replace_quote"];

/// Of what an edit is about, if it is there and has one.
async fn etag(app: &TestApp, method: &Method, path: &str, user: &str) -> Option<String> {
    let read = if *method == Method::POST { None } else { Some(app.get(path, user).await) };
    read.map(|read| read.header("etag").to_owned()).filter(|etag| !etag.is_empty())
}

#[tokio::test]
async fn audit_after_each_write_operation_has_an_entry() {
    let app = TestApp::start().await;
    let mut called = BTreeSet::new();
    for step in story().into_iter().chain(shopping()).chain(billing()) {
        let (id, method, path, user, body) = match step {
            Step::Sql(sql) => {
                sqlx::query(sql).execute(&app.pool).await.expect(sql);
                continue;
            }
            Step::Call(id, method, path, user, body) => (id, method, path, user, body),
        };
        let body = (!body.is_null()).then_some(body);
        let response = match etag(&app, &method, path, user).await {
            None => app.request(method, path, Some(user), body).await,
            Some(etag) => {
                let wrong = ("if-match", "\"x\"");
                let refused = app.with_header(method.clone(), path, Some(user), wrong, body.clone()).await;
                assert_eq!(
                    refused.expect(412)["code"],
                    "precondition_failed",
                    "{id}: call http::unless_changed under the row's lock"
                );
                app.with_header(method, path, Some(user), ("if-match", &etag), body).await
            }
        };
        assert!(response.status.is_success(), "{id}: {}", response.text);
        let entries: Vec<(Option<String>, Option<String>)> = sqlx::query_as(
            "select username, operation_id from audit left join users using (user_id) where request_id = $1",
        )
        .bind(response.header("x-request-id"))
        .fetch_all(&app.pool)
        .await
        .expect("entries");
        let expected = (Some(user.to_owned()), Some(id.to_owned()));
        assert!(!entries.is_empty() && entries.iter().all(|entry| *entry == expected), "{id}: {entries:?}");
        called.insert(id.to_owned());
    }
    let document = app.request(Method::GET, "/openapi.json", None, None).await.json();
    let operations =
        document["paths"].as_object().expect("paths").values().flat_map(|item| item.as_object().expect("an item"));
    let changing: BTreeSet<_> = operations
        .filter(|(method, _)| *method != "get")
        .map(|(_, operation)| operation["operationId"].as_str().expect("an id").to_owned())
        .filter(|id| !QUESTIONS.contains(&id.as_str()))
        .collect();
    assert_eq!(called, changing, "whoever adds an operation adds a call of it to the story above");
}

/// Tables whose changes are nobody's decision. Whoever adds a table calls `audit_table` for it in a migration, or adds it
/// here with the reason.
const NOT_AUDITED: [(&str, &str); 19] = [
    ("_sqlx_migrations", "of the program itself"),
    ("audit", "the log"),
    ("bill", "final, and a document itself"),
    ("bill_number", "part of a bill"),
    ("bill_charge", "part of a bill"),
    ("bill_record", "part of a bill"),
    ("bill_run_part", "how far machines are"),
    ("bill_run_problem", "what machines found"),
    ("bill_vat", "part of a bill"),
    ("idempotency", "requests, not objects"),
    ("job_attempt", "what workers did"),
    ("job_parent", "part of a job, which machines make"),
    ("job_requester", "part of a job, which machines make"),
    ("order_cursor", "how far machines are"),
    ("order_part", "part of an order, and final"),
    ("schedule_tick", "what machines did"),
    ("vpn_free_prefix", "follows from the networks"),
    ("vpn_network_traffic", "what hosts report"),
    ("vpn_pool_departure", "follows from the pool's host"),
];

async fn names(pool: &PgPool, sql: &'static str) -> BTreeSet<String> {
    sqlx::query_scalar::<_, String>(sql).fetch_all(pool).await.expect(sql).into_iter().collect()
}

#[tokio::test]
async fn audit_of_tables_covers_all_but_listed_exceptions() {
    let pool = database().await;
    let tables = names(
        &pool,
        "select relname::text from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace",
    )
    .await;
    let triggers = names(&pool, "select tgrelid::regclass::text from pg_trigger where tgname = 'audit'").await;
    for table in &tables {
        let excused = NOT_AUDITED.iter().any(|(name, _)| name == table);
        assert!(triggers.contains(table) != excused, "{table} is audited, or in the list with a reason");
    }
}

#[tokio::test]
async fn audit_trigger_on_audited_tables_covers_columns_and_masks_secrets() {
    let pool = database().await;
    let forgotten = names(
        &pool,
        "select (tgrelid::regclass || '.' || attname)::text from pg_trigger join pg_attribute on attrelid = tgrelid
         where tgname = 'audit' and attnum > 0 and not attisdropped and attgenerated = ''
             and tgrelid::regclass::text not in ('job', 'worker')
             and attnum <> all(tgattr) and position(convert_to(attname, 'UTF8') in tgargs) = 0",
    )
    .await;
    assert!(forgotten.is_empty(), "a migration that adds columns calls audit_table again: {forgotten:?}");
    let secrets = names(
        &pool,
        "select (tgrelid::regclass || '.' || attname)::text from pg_trigger join pg_attribute on attrelid = tgrelid
         where tgname = 'audit' and attname ~ 'password|private|secret|hash|token$' and attname !~ '_id$'
             and attname <> all(audit_secrets())",
    )
    .await;
    assert!(secrets.is_empty(), "audit_secrets() names them: {secrets:?}");
}

#[tokio::test]
async fn audit_list_with_filters_returns_matching_entries_without_secrets() {
    let app = TestApp::start().await;
    let private = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=";
    let body = json!({ "network": "2001:db8::/40", "subnetwork_size": 48, "vpn_hostname": HOST, "wireguard_private_key": private });
    let created = app.post("/v1/admin/vpnpool", "admin", body).await;
    created.expect(201);
    app.request(Method::PATCH, "/v1/admin/vpnpool/1", Some("admin"), Some(json!({ "listen_port": 51821 })))
        .await
        .expect(200);
    let find =
        async |query: &str| app.get(&format!("/v1/admin/audit?{query}"), "admin").await.expect(200)["items"].clone();
    let entries = find("kind=vpn_pool&object_id=1&username=admin").await;
    assert_eq!(entries.as_array().map(Vec::len), Some(2), "{entries}");
    let (edited, made) = (&entries[0], &entries[1]);
    assert_eq!((&edited["action"], &edited["operation_id"]), (&json!("update"), &json!("admin_vpnpool_update")));
    assert_eq!(
        (&edited["before"], &edited["after"]),
        (&json!({ "listen_port": 51820 }), &json!({ "listen_port": 51821 }))
    );
    assert_eq!(made["request_id"], created.header("x-request-id"));
    assert_eq!(made["after"]["public_key"], "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=");
    assert_eq!(made["after"]["private_key"], "[secret]");
    assert_eq!(find(&format!("request_id={}", created.header("x-request-id"))).await.as_array().map(Vec::len), Some(1));
    assert_eq!(find("username=alice").await, json!([]));
    assert_eq!(find("kind=vpn_pool&to=2020-01-01T00:00:00Z").await, json!([]));
    assert_eq!(find("kind=vpn_pool&from=2020-01-01T00:00:00Z&limit=1").await[0]["id"], edited["id"]);
    let all: Vec<String> = sqlx::query_scalar("select audit::text from audit").fetch_all(&app.pool).await.expect("all");
    assert!(all.iter().any(|entry| entry.contains("password_hash")), "the users' passwords were set");
    assert!(all.iter().all(|entry| !entry.contains("$argon2")), "but nothing shows them");
}

#[tokio::test]
async fn audit_during_job_runs_omits_routine_machine_updates() {
    let app = TestApp::start().await;
    let defaults: i64 = sqlx::query_scalar("select max(audit_id) from audit")
        .fetch_one(&app.pool)
        .await
        .expect("entries of the defaults");
    app.obedient_worker();
    app.handbook_pool().await;
    let network = app.network("alice", new_key()).await;
    assert_eq!(app.finished(&network).await["state"], "succeeded");
    let entries: Vec<(String, String, String)> =
        sqlx::query_as("select kind, action, object_id from audit where audit_id > $1")
            .bind(defaults)
            .fetch_all(&app.pool)
            .await
            .expect("entries");
    let entry = |kind: &str| (kind.to_owned(), "create".to_owned(), "1".to_owned());
    assert_eq!(entries, [entry("vpn_pool"), entry("order"), entry("vpn_network")]);
    // What the provider itself decides has nobody's name.
    let deleted = app.delete("/v1/net/vpn/1", "alice").await.expect(202);
    assert_eq!(app.finished(&deleted).await["state"], "succeeded");
    let by: Vec<(String, Option<i64>)> =
        sqlx::query_as("select action, user_id from audit where kind = 'vpn_network' order by audit_id")
            .fetch_all(&app.pool)
            .await
            .expect("entries");
    assert_eq!(by, [("create".into(), Some(2)), ("update".into(), Some(2)), ("delete".into(), None)]);
}

#[tokio::test]
async fn audit_page_does_not_step_over_entries_that_are_committed_later() {
    let app = TestApp::start().await;
    let path = "/v1/admin/audit?kind=user&sort=id:asc&limit=100";
    let seen = async |cursor: &str| app.get(&format!("{path}{cursor}"), "admin").await.expect(200)["items"].clone();
    let quota = async |tx: &mut sqlx::PgConnection, user: &str| {
        let update = "update users set vpn_quota = vpn_quota + 1 where username = $1";
        sqlx::query(update).bind(user).execute(tx).await.expect("updated");
    };
    let before = seen("").await.as_array().map_or(0, Vec::len);
    let (mut late, mut early) = (app.pool.begin().await.expect("begun"), app.pool.begin().await.expect("begun"));
    quota(&mut late, "alice").await;
    quota(&mut early, "bob").await;
    early.commit().await.expect("committed");
    assert_eq!(seen("").await.as_array().map_or(0, Vec::len), before, "one before it is still to come");
    quota(&mut late, "admin").await;
    late.commit().await.expect("committed");
    assert_eq!(seen("").await.as_array().map_or(0, Vec::len), before + 3);
    let mut undone = app.pool.begin().await.expect("begun");
    quota(&mut undone, "alice").await;
    undone.rollback().await.expect("undone");
    quota(&mut *app.pool.acquire().await.expect("a connection"), "bob").await;
    assert_eq!(seen("").await.as_array().map_or(0, Vec::len), before + 4, "nothing more is to come");
}
