//! Events around a bill run at the wrong moment.

use uncloud::{
    billing::run::{self, OneCustomer},
    orders,
    services::ServiceChange,
};

use crate::{
    books::{ALICE, assert_sound, at, bill_all, books, cancel, count, ledger, net_of, place, replace, terms},
    locks::until_somebody_waits,
};

#[tokio::test]
async fn order_cancel_during_bill_run_waits_for_customers_bill() {
    let pool = books().await;
    let order = place(&pool, &terms(ALICE, "10.00"), "2024-01-01").await;
    let mut run = pool.begin().await.expect("a transaction");
    run::bill_one(&mut run, OneCustomer::all_due(ALICE, at("2024-02-10")), at("2024-02-10")).await.expect("billed");
    let cancelling = tokio::spawn({
        let (pool, order) = (pool.clone(), order.clone());
        async move { cancel(&pool, &order, "2024-02-10").await }
    });
    until_somebody_waits(&pool).await;
    run.commit().await.expect("billed");
    let cancelled = cancelling.await.expect("no panic");
    assert_eq!(cancelled.billed.through, Some(at("2024-03-01")), "it knows what the run has billed");
    assert_eq!(cancelled.ends_at, Some(at("2024-03-01")));
    bill_all(&pool, "2024-05-01").await;
    assert_eq!((net_of(&pool, order.order_id).await, count(&pool, "bill").await), (2000, 1), "two periods, once");
    assert_sound(&pool).await;
}

#[tokio::test]
async fn bill_run_during_order_cancel_waits_for_commit() {
    let pool = books().await;
    let order = place(&pool, &terms(ALICE, "10.00"), "2024-01-01").await;
    let mut tx = pool.begin().await.expect("a transaction");
    orders::cancel(&mut tx, at("2024-01-20"), order.order_id, ALICE, ServiceChange::AtEnd).await.expect("cancelled");
    let running = tokio::spawn({
        let pool = pool.clone();
        async move { bill_all(&pool, "2024-05-01").await }
    });
    until_somebody_waits(&pool).await;
    tx.commit().await.expect("cancelled");
    running.await.expect("no panic");
    assert_eq!(net_of(&pool, order.order_id).await, 1000, "the period that was cancelled is the last");
    assert_sound(&pool).await;
}

#[tokio::test]
async fn order_change_after_clock_goes_back_charges_nothing_twice() {
    let pool = books().await;
    let order = place(&pool, &terms(ALICE, "10.00"), "2024-01-01T12:00:00Z").await;
    bill_all(&pool, "2024-01-01T12:00:00Z").await;
    // An hour earlier, what is billed has not even begun: the dearer one starts where it would have, and it is void.
    let replaced = replace(&pool, &order, &terms(ALICE, "20.00"), "2024-01-01T11:00:00Z").await;
    assert!(replaced.old.void && replaced.new.starts_at == order.starts_at, "{replaced:?}");
    bill_all(&pool, "2024-01-01T11:30:00Z").await;
    assert_eq!(ledger(&pool).await.len(), 1, "nothing is due yet");
    bill_all(&pool, "2024-01-01T12:00:01Z").await;
    assert_eq!((net_of(&pool, order.order_id).await, net_of(&pool, replaced.new.order_id).await), (0, 2000));
    // Still earlier, it is given up before it begins.
    let cancelled = cancel(&pool, &replaced.new, "2024-01-01T10:00:00Z").await;
    assert!(cancelled.void);
    bill_all(&pool, "2024-02-01").await;
    assert_eq!(net_of(&pool, replaced.new.order_id).await, 0);
    let nets: Vec<i64> = ledger(&pool).await.iter().map(|bill| bill["net"].as_i64().expect("cents")).collect();
    assert_eq!(nets, [1000, 1000, -2000]);
    assert_eq!(count(&pool, "order_cursor where not closed").await, 0);
    assert_sound(&pool).await;
}
