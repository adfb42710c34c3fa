//! Amounts of a bill: credits of upgrades, and the rounding to coins.

use uncloud::money::charge::UpgradeCredit;

use crate::books::{ALICE, assert_sound, bill_all, books, days, ledger, net_of, place, replace, sql, terms};

#[tokio::test]
async fn bill_run_after_upgrade_credits_unused_time_as_credit_note() {
    let pool = books().await;
    let mut dear = terms(ALICE, "100.00");
    dear.period = Some(days(365));
    let dear = place(&pool, &dear, "2024-03-01").await;
    bill_all(&pool, "2024-03-01").await;
    // The same price per second, but by the day: nearly all of the year is given back, a day is charged.
    let mut daily = terms(ALICE, "0.50");
    daily.period = Some(days(1));
    replace(&pool, &dear, &daily, "2024-03-03").await;
    bill_all(&pool, "2024-03-03").await;
    let ledger = ledger(&pool).await;
    assert_eq!(ledger[1]["net"], -9945 + 50);
    assert_eq!(net_of(&pool, dear.order_id).await, 55, "two of 365 days");
    assert_sound(&pool).await;
}

#[tokio::test]
async fn bill_run_after_upgrade_without_credit_keeps_paid_amount() {
    let pool = books().await;
    let mut first = terms(ALICE, "10.00");
    first.upgrade_credit = UpgradeCredit::None;
    let first = place(&pool, &first, "2024-03-01").await;
    replace(&pool, &first, &terms(ALICE, "20.00"), "2024-03-16").await;
    bill_all(&pool, "2024-03-20").await;
    assert_eq!(ledger(&pool).await[0]["net"], 3000, "10 + 20");
    let other = books().await;
    let first = place(&other, &terms(ALICE, "10.00"), "2024-03-01").await;
    replace(&other, &first, &terms(ALICE, "20.00"), "2024-03-16").await;
    bill_all(&other, "2024-03-20").await;
    assert_eq!(ledger(&other).await[0]["net"], 2500, "5 + 20");
}

#[tokio::test]
async fn bill_run_with_cash_rounding_rounds_chf_amounts_only() {
    let pool = books().await;
    sql(
        &pool,
        "insert into seller (name, street, postal_code, city, country, vat_number, time_zone, oss_eu, cash_rounding_cents)
         values ('Provider AG', 's', '1', 'c', 'CH', 'CHE123456788MWST', 'Europe/Zurich', true, 5)",
    )
    .await;
    place(&pool, &terms(ALICE, "10.01"), "2024-03-01").await;
    let mut euros = terms(ALICE, "10.01");
    euros.currency = "EUR".parse().expect("a currency");
    place(&pool, &euros, "2024-03-01").await;
    bill_all(&pool, "2024-03-01").await;
    let money: Vec<(String, i64, i64, i64)> =
        sqlx::query_as("select currency, gross_cents, rounding_cents, amount_due_cents from bill order by 1")
            .fetch_all(&pool)
            .await
            .expect("bills");
    assert_eq!(money, [("CHF".into(), 1082, -2, 1080), ("EUR".into(), 1082, 0, 1082)]);
}
