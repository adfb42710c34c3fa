//! Changes that wait for a customer's lock, or come at the same time as others: each takes effect at a time after what it
//! waited for.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use uncloud::{billing::run, orders, parties::rates};

use crate::{
    app::TestApp,
    books::{ALICE, address, assert_sound, at, bill_all, books, count, customers, net_of, place, sql, terms},
    locks::until_somebody_waits,
    shop::{shop, vm},
};

#[tokio::test]
async fn billing_address_update_that_waited_follows_what_it_waited_for() {
    let app = TestApp::start_with_books().await;
    address(&app.pool, ALICE, "CH", false).await;
    let mut other = app.pool.begin().await.expect("a transaction");
    sqlx::query("select from users where user_id = 2 for update").execute(&mut *other).await.expect("locked");
    let moved =
        json!({ "name": "Alice", "street": "Weg 1", "postal_code": "10115", "city": "Berlin", "country": "DE" });
    let set = app.put("/v1/billing_address", "alice", moved);
    let first = async {
        until_somebody_waits(&app.pool).await;
        for statement in [
            "update billing_address set replaced_at = clock_timestamp() where user_id = 2 and replaced_at is null",
            "insert into billing_address (user_id, name, street, postal_code, city, country, created_at)
             values (2, 'Alice', 'Weg 2', '8000', 'Zurich', 'CH', clock_timestamp())",
        ] {
            sqlx::query(statement).execute(&mut *other).await.expect("another version");
        }
        other.commit().await.expect("committed");
    };
    tokio::join!(set, first).0.expect(200);
    let versions = "select bool_and(created_at >= before) from (
        select created_at, lag(replaced_at) over (order by address_id) as before from billing_address where user_id = 2) version";
    let versions: Option<bool> = sqlx::query_scalar(versions).fetch_one(&app.pool).await.expect("versions");
    assert_eq!(versions, Some(true), "each begins after the one before it has ended");
}

#[tokio::test]
async fn order_replacement_that_waited_is_billed_at_once() {
    let app = shop().await;
    let seller = json!({ "name": "Provider AG", "street": "Weg 1", "postal_code": "8000", "city": "Zurich",
        "country": "CH", "time_zone": "Europe/Zurich", "bill_at_order": true });
    app.put("/v1/admin/seller", "admin", seller).await.expect(200);
    app.post("/v1/order", "alice", vm(2)).await.expect(201);
    assert_eq!(count(&app.pool, "bill_number").await, 1);
    let mut other = app.pool.begin().await.expect("a transaction");
    sqlx::query("select from users where user_id = 2 for update").execute(&mut *other).await.expect("locked");
    let change = json!({ "product": "vm", "parameters": { "cores": 5, "ram": 4 } });
    let replaced = app.post("/v1/order/1/replace", "alice", change);
    let wait = async {
        until_somebody_waits(&app.pool).await;
        tokio::time::sleep(Duration::from_millis(1100)).await; // past the second in which the request began
        other.commit().await.expect("committed");
    };
    let replaced = tokio::join!(replaced, wait).0.expect(201);
    let charged = count(&app.pool, &format!("bill_charge where order_id = {}", replaced["new"]["id"])).await;
    assert_eq!((charged, count(&app.pool, "bill_number").await), (1, 2), "{replaced}");
}

#[tokio::test]
async fn order_undo_during_bill_run_is_serialized_with_it() {
    let pool = books().await;
    let mut vms = Vec::new();
    for user in customers(&pool, 20).await {
        vms.push(place(&pool, &terms(user, "10.00"), "2024-01-01").await);
    }
    bill_all(&pool, "2024-01-01").await;
    for vm in &vms {
        crate::books::cancel(&pool, vm, "2024-01-16").await;
    }
    let undo = |order_id: i64, user_id: i64| {
        let pool = pool.clone();
        async move {
            let mut tx = pool.begin().await.expect("a transaction");
            orders::undo(&mut tx, at("2024-01-30"), order_id, user_id).await.expect("undone");
            tx.commit().await.expect("committed");
        }
    };
    let undone = join_all(vms.iter().map(|vm| undo(vm.order_id, vm.user_id)));
    let (run, _) = tokio::join!(run::complete(&pool, at("2024-02-10"), 2, |_| {}), undone);
    run.expect("a run");
    bill_all(&pool, "2024-03-20").await;
    assert_sound(&pool).await;
    for vm in &vms {
        assert_eq!(net_of(&pool, vm.order_id).await, 3000, "order {}", vm.order_id);
    }
}

#[tokio::test]
async fn billing_address_update_during_bill_run_counts_from_its_time() {
    let app = TestApp::start_with_books().await;
    let all = customers(&app.pool, 20).await;
    sql(&app.pool, "alter table billing_address disable trigger billing_address_final").await;
    sql(&app.pool, "update billing_address set created_at = '2024-01-01'").await;
    let mut orders = Vec::new();
    for &user in &all {
        let mut arrears = terms(user, "30.00");
        arrears.billing_mode = uncloud::money::charge::BillingMode::Arrears;
        orders.push(place(&app.pool, &arrears, "2024-03-01").await);
    }
    let moves = join_all(all.iter().map(|user| address(&app.pool, *user, "DE", false)));
    let (run, _) = tokio::join!(run::complete(&app.pool, at("2024-04-05"), 2, |_| {}), moves);
    run.expect("a run");
    assert_sound(&app.pool).await;
    let territories = "select bool_and(territory = 'CH') from bill";
    let territories: bool = sqlx::query_scalar(territories).fetch_one(&app.pool).await.expect("bills");
    assert!(territories, "in March all were in Switzerland");
    for order in orders {
        assert_eq!(net_of(&app.pool, order.order_id).await, 3000);
    }
}

#[tokio::test]
async fn vat_rate_imports_at_once_leave_the_rates_of_one_of_them() {
    let pool = books().await;
    let header = "start_date,stop_date,territory_codes,currency_code,rate,rate_type,description";
    let file = |rate: &str| {
        format!("{header}\n2024-01-01,2025-01-01,CH,CHF,{rate},standard,a\n2025-01-01,,CH,CHF,{rate}1,standard,b\n")
    };
    for _ in 0..5 {
        let (one, other) = (file("0.08"), file("0.09"));
        let (one, other) = tokio::join!(rates::import(&pool, &one, "one"), rates::import(&pool, &other, "other"));
        one.expect("imported");
        other.expect("imported");
        let left: Vec<i32> =
            sqlx::query_scalar("select rate_ppm from vat_rate where territory = 'CH' order by starts_on")
                .fetch_all(&pool)
                .await
                .expect("rates");
        assert!(left == [80_000, 81_000] || left == [90_000, 91_000], "{left:?}");
    }
}
