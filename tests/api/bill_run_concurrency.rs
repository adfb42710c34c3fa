//! Runs at the same time as other runs, and as changes of the orders that they bill.

use std::collections::HashSet;

use serde_json::json;
use sqlx::PgPool;
use uncloud::{
    billing::{jobs, run},
    money::Order,
    orders, queue,
    services::ServiceChange,
};
use uncloud_wire::{JobError, Kind, QueueName};

use crate::books::{
    ALICE, assert_sound, at, bill_all, books, busy_life, count, customers, ledger, net_of, place, sql, terms,
};

#[tokio::test]
async fn bill_run_with_concurrent_runs_and_workers_yields_same_bills() {
    let mut ledgers = Vec::new();
    for (runs, workers) in [(1, 1), (1, 5), (3, 2)] {
        let pool = books().await;
        let all = customers(&pool, 60).await;
        busy_life(&pool, &all).await;
        for as_of in ["2023-11-20", "2024-01-31"] {
            let work = || run::complete(&pool, at(as_of), workers, |_| {});
            let ended = futures_util::future::join_all((0..runs).map(|_| work())).await;
            let ended: HashSet<i64> = ended.into_iter().map(|run| run.expect("a run")).collect();
            let with_bills = count(&pool, &format!("bill_run where as_of = '{}' and customers > 0", at(as_of))).await;
            assert_eq!(with_bills, 1, "{ended:?} are one");
        }
        assert_sound(&pool).await;
        ledgers.push(ledger(&pool).await);
    }
    assert!(ledgers[0].len() >= 120, "{}", ledgers[0].len());
    assert_eq!(ledgers[0], ledgers[1]);
    assert_eq!(ledgers[0], ledgers[2]);
}

#[tokio::test]
async fn bill_runs_as_of_two_times_at_once_charge_the_same_as_one_run() {
    let pool = books().await;
    let all = customers(&pool, 40).await;
    busy_life(&pool, &all).await;
    let (first, second) = tokio::join!(
        run::complete(&pool, at("2023-12-01"), 2, |_| {}),
        run::complete(&pool, at("2024-01-01"), 2, |_| {}),
    );
    first.and(second).expect("both end");
    assert_sound(&pool).await;
    let nets = "select user_id, currency, sum(net_cents)::bigint from bill group by 1, 2 order by 1, 2";
    let sums: Vec<(i64, String, i64)> = sqlx::query_as(nets).fetch_all(&pool).await.expect("sums");
    let other = books().await;
    busy_life(&other, &customers(&other, 40).await).await;
    bill_all(&other, "2024-01-01").await;
    let alone: Vec<(i64, String, i64)> = sqlx::query_as(nets).fetch_all(&other).await.expect("sums");
    assert_eq!(sums, alone);
    let numbers: Vec<i32> =
        sqlx::query_scalar("select sequence from bill_number order by 1").fetch_all(&pool).await.expect("numbers");
    assert!(numbers.iter().copied().eq(1..=i32::try_from(numbers.len()).expect("few")), "{numbers:?}");
}

/// A job that asks for a run, as if it were running.
async fn asked_for(pool: &PgPool) -> i64 {
    let queue = QueueName::billing();
    let mut tx = pool.acquire().await.expect("a connection");
    queue::enqueue(&mut tx, &queue::NewJob::of(Kind::BillRun, &queue, json!({}))).await.expect("enqueued")
}

#[tokio::test]
async fn bill_run_requested_during_another_is_snoozed() {
    let pool = books().await;
    place(&pool, &terms(ALICE, "10.00"), "2024-01-01").await;
    let (first, second) = (asked_for(&pool).await, asked_for(&pool).await);
    let plan = async |job: i64, day: &str| jobs::plan(&pool, job, Some(at(day))).await;
    plan(first, "2024-01-15").await.expect("begun");
    plan(first, "2024-01-15").await.expect("begun again, after a crash before it was said");
    let waits = async |job: i64| match plan(job, "2024-02-15").await {
        Err(JobError::Snooze { reason, .. }) => assert!(reason.contains("has to end first"), "{reason}"),
        other => panic!("{other:?}"),
    };
    waits(second).await; // the shares wait in their queue
    sql(&pool, "update job set state = 'dispatched', attempt = 1, dispatched_at = now(), last_seen_at = now() where kind = 'bill_part'")
        .await;
    waits(second).await; // and are being worked on
    let (parents, waits_for): (i32, i32) = sqlx::query_as("select parents, waits_for from job where kind = 'bill_end'")
        .fetch_one(&pool)
        .await
        .expect("one");
    assert_eq!((parents, waits_for), (16, 16), "its end waits for all shares, old and new");
}

#[tokio::test]
async fn order_change_during_bill_run_is_serialized_with_it() {
    let pool = books().await;
    let all = customers(&pool, 40).await;
    let mut vms = Vec::new();
    for &user in &all {
        vms.push(place(&pool, &terms(user, "10.00"), "2024-01-01").await);
    }
    let now = at("2024-01-16");
    let change = |order: &Order| {
        let (pool, order) = (pool.clone(), order.clone());
        async move {
            let mut tx = pool.begin().await.expect("a transaction");
            if order.order_id % 2 == 0 {
                orders::cancel(&mut tx, now, order.order_id, order.user_id, ServiceChange::AtEnd)
                    .await
                    .expect("cancelled");
            } else {
                let new = terms(order.user_id, "20.00");
                orders::replace(&mut tx, now, order.order_id, &new, ServiceChange::AtEnd).await.expect("replaced");
            }
            tx.commit().await.expect("committed");
        }
    };
    let changes = futures_util::future::join_all(vms.iter().map(change));
    let (run, _) = tokio::join!(run::complete(&pool, now, 3, |_| {}), changes);
    run.expect("a run");
    bill_all(&pool, "2024-03-20").await;
    assert_sound(&pool).await;
    for vm in &vms {
        let expected = if vm.order_id % 2 == 0 { 1000 } else { 500 };
        assert_eq!(net_of(&pool, vm.order_id).await, expected, "order {}", vm.order_id);
    }
    let upgraded: Vec<i64> = sqlx::query_scalar(
        "select sum(net_cents)::bigint from bill_charge join orders using (order_id) where replaces is not null group by order_id",
    )
    .fetch_all(&pool)
    .await
    .expect("sums");
    assert!(
        upgraded.len() == 20 && upgraded.iter().all(|net| *net == 6000),
        "{upgraded:?}: three periods from 16 January on"
    );
}
