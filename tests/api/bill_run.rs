//! Runs: what is due, once and completely, whoever runs it, how often and in which order.

use std::collections::HashSet;

use serde_json::Value;
use sqlx::PgPool;
use uncloud::{
    billing::{
        run::{self, OneCustomer},
        simulate::{Cases, simulate},
    },
    money::charge::BillingMode,
};

use crate::{
    app::database,
    books::{
        ALICE, BOB, address, assert_sound, at, bill_all, books, busy_life, cancel, count, customers, execute, ledger,
        net_of, place, sql, terms,
    },
};

async fn problems(pool: &PgPool, run: i64) -> Vec<(i64, String)> {
    let problems = run::problems(pool, run).await.expect("problems");
    problems.into_iter().map(|problem| (problem.user_id, problem.code.name().to_owned())).collect()
}

/// Rows that a run could have written.
async fn rows(pool: &PgPool) -> [i64; 4] {
    [
        count(pool, "bill").await,
        count(pool, "bill_charge").await + count(pool, "bill_record").await,
        count(pool, "bill_vat").await,
        count(pool, "bill_number").await,
    ]
}

#[tokio::test]
async fn simulate_of_billing_examples_matches_expected_results() {
    let pool = database().await;
    for (file, count) in [(include_str!("../billing-examples.json"), 12), (include_str!("../billing-cases.json"), 39)] {
        let cases: Cases = serde_json::from_str(file).expect("cases");
        let outcomes = simulate(&pool, cases).await.expect("played");
        assert_eq!(outcomes.len(), count);
        for outcome in outcomes {
            assert_eq!(outcome.as_expected, Some(true), "{}: {:#}", outcome.id, outcome.result);
        }
    }
    assert_eq!(rows(&pool).await, [0; 4], "rolled back");
}

#[tokio::test]
async fn bill_run_after_ten_years_catches_up_in_one_bill() {
    let pool = books().await;
    let order = place(&pool, &terms(ALICE, "10.00"), "2014-01-01").await;
    bill_all(&pool, "2024-01-01").await;
    let [bills, records, ..] = rows(&pool).await;
    // 3652 days are 121 whole periods and the one that has begun; two of them have a change of the rate inside.
    assert_eq!((bills, records), (1, 124));
    assert_eq!(net_of(&pool, order.order_id).await, 122_000);
    assert_sound(&pool).await;
    let once = ledger(&pool).await;
    let monthly = books().await;
    let order = place(&monthly, &terms(ALICE, "10.00"), "2014-01-01").await;
    for month in 0..120 {
        bill_all(&monthly, &format!("{}-{:02}-01", 2014 + month / 12, month % 12 + 1)).await;
    }
    bill_all(&monthly, "2024-01-01").await;
    assert_eq!(net_of(&monthly, order.order_id).await, 122_000, "the same, however it is cut");
    assert_eq!(once.len(), 1);
    assert_sound(&monthly).await;
}

#[tokio::test]
async fn bill_run_repeated_or_as_of_earlier_time_writes_nothing() {
    let pool = books().await;
    place(&pool, &terms(ALICE, "10.00"), "2024-01-01").await;
    bill_all(&pool, "2024-03-05").await;
    let (before, written) = (ledger(&pool).await, rows(&pool).await);
    for as_of in
        ["2024-03-05", "2024-03-05", "2024-02-01", "2020-01-01", "2024-03-04T23:59:59Z", "2024-03-05T00:00:01Z"]
    {
        bill_all(&pool, as_of).await;
    }
    assert_eq!((ledger(&pool).await, rows(&pool).await), (before, written));
    assert_eq!(count(&pool, "bill_run where finished_at is null").await, 0);
    bill_all(&pool, "2024-03-31").await;
    assert_eq!(count(&pool, "bill").await, 2, "and then it goes on");
    assert_sound(&pool).await;
}

#[tokio::test]
async fn bill_run_for_customer_without_address_reports_and_bills_later() {
    let pool = books().await;
    for user in [ALICE, BOB] {
        place(&pool, &terms(user, "10.00"), "2024-01-01").await;
    }
    let run = bill_all(&pool, "2024-01-15").await;
    assert_eq!(problems(&pool, run).await, [(BOB, "no_billing_address".into())]);
    assert_eq!(count(&pool, "bill").await, 1, "Alice is not held up");
    bill_all(&pool, "2024-02-15").await;
    address(&pool, BOB, "CH", false).await;
    let run = bill_all(&pool, "2024-03-15").await;
    assert_eq!(problems(&pool, run).await, []);
    let of_bob: Vec<i64> = sqlx::query_scalar("select net_cents from bill where user_id = $1")
        .bind(BOB)
        .fetch_all(&pool)
        .await
        .expect("bills");
    assert_eq!(of_bob, [3000], "three periods on one bill");
    assert_sound(&pool).await;
}

#[tokio::test]
async fn bill_run_with_missing_vat_rate_skips_only_affected_customers() {
    let pool = books().await;
    address(&pool, BOB, "DE", false).await;
    place(&pool, &terms(ALICE, "10.00"), "2020-12-20").await;
    place(&pool, &terms(BOB, "10.00"), "2020-12-20").await;
    let run = bill_all(&pool, "2021-01-10").await;
    assert_eq!(problems(&pool, run).await, [(BOB, "no_vat_rate".into())]);
    let detail = run::problems(&pool, run).await.expect("problems").remove(0).detail;
    assert!(detail.contains("DE") && detail.contains("2020-12-20") && detail.contains("import-vat-rates"), "{detail}");
    sql(&pool, "insert into vat_rate values ('DE', '2020-07-01', '2021-01-01', 160000, 'test')").await;
    bill_all(&pool, "2021-01-10T00:00:01Z").await;
    let rates: Vec<i32> = sqlx::query_scalar(
        "select rate_ppm from bill_charge join bill using (bill_id) join bill_vat using (bill_id, vat_group)
         where user_id = $1 order by charge_from",
    )
    .bind(BOB)
    .fetch_all(&pool)
    .await
    .expect("records");
    assert_eq!(rates, [160_000, 190_000], "split where the rate changes");
    let split: String = sqlx::query_scalar(
        "select (charge_to at time zone 'Europe/Berlin')::text
         from bill_charge join bill_vat using (bill_id, vat_group) where rate_ppm = 160000",
    )
    .fetch_one(&pool)
    .await
    .expect("a record");
    assert_eq!(split, "2021-01-01 00:00:00", "at the territory's midnight");
    assert_sound(&pool).await;
}

#[tokio::test]
async fn bill_run_with_unexpected_error_reports_customer_and_continues() {
    let pool = books().await;
    address(&pool, BOB, "CH", false).await;
    for user in [ALICE, BOB] {
        place(&pool, &terms(user, "10.00"), "2024-01-01").await;
    }
    let copy = "with copied as (
            insert into orders (user_id, description, currency, one_time_micros, recurring_micros, period_unit, period_count,
                billing_mode, commitment_periods, time_zone, starts_at, ordered_at, deliver_at)
            select user_id, description, currency, one_time_micros, recurring_micros, period_unit, period_count, billing_mode,
                commitment_periods, 'Mars/Olympus', starts_at, ordered_at, deliver_at from orders where user_id = 3
            returning order_id, user_id, starts_at)
        insert into order_cursor (order_id, user_id, due_at) select order_id, user_id, starts_at from copied";
    sql(&pool, copy).await;
    let run = bill_all(&pool, "2024-01-15").await;
    assert_eq!(problems(&pool, run).await, [(BOB, "internal".into())]);
    let detail = run::problems(&pool, run).await.expect("problems").remove(0).detail;
    assert!(detail.contains("in the log") && !detail.contains("Mars"), "{detail}");
    assert_eq!(count(&pool, "bill").await, 1, "Alice is not held up");
}

#[tokio::test]
async fn bill_run_repeated_in_one_second_bills_what_was_ordered_since() {
    let pool = books().await;
    place(&pool, &terms(ALICE, "10.00"), "2024-01-01").await;
    bill_all(&pool, "2024-01-15").await;
    let mut euros = terms(ALICE, "10.00");
    euros.currency = "EUR".parse().expect("a currency");
    for bills in [2, 3] {
        place(&pool, &euros, "2024-01-15").await;
        let run = bill_all(&pool, "2024-01-15").await;
        assert_eq!(problems(&pool, run).await, []);
        assert_eq!(count(&pool, "bill").await, bills, "two bills of a day, or of a second, are normal");
    }
    assert_sound(&pool).await;
}

#[tokio::test]
async fn bill_run_for_customer_outside_vat_area_needs_no_rate() {
    let pool = books().await;
    address(&pool, BOB, "US", false).await;
    place(&pool, &terms(BOB, "10.00"), "1999-01-01").await;
    let run = bill_all(&pool, "1999-01-15").await;
    assert_eq!(problems(&pool, run).await, []);
    let category: String = sqlx::query_scalar("select category from bill_vat").fetch_one(&pool).await.expect("a group");
    assert_eq!(category, "O");
}

#[tokio::test]
async fn bill_run_with_inconsistent_records_skips_customer_and_bills_rest() {
    let pool = books().await;
    let all = customers(&pool, 5).await;
    for &user in &all {
        let mut both = terms(user, "10.00");
        both.one_time = "5.00".parse().expect("an amount");
        place(&pool, &both, "2024-01-01").await;
    }
    bill_all(&pool, "2024-01-15").await;
    let net = async || {
        sqlx::query_scalar::<_, i64>("select sum(net_cents)::bigint from bill").fetch_one(&pool).await.expect("a sum")
    };
    assert_eq!(net().await, 5 * 1500);
    // Somebody winds back a cursor, forgets the one-time price of another, and winds a third one on without bills.
    let set = async |user: i64, what: &str| {
        sql(&pool, &format!("update order_cursor set {what} where user_id = {user}")).await;
    };
    set(all[0], "billed_through = null, due_at = '2024-01-01'").await;
    set(all[1], "one_time_billed = false, due_at = '2024-01-01'").await;
    set(all[2], "billed_through = '2024-03-31', due_at = '2024-03-31'").await;
    let run = bill_all(&pool, "2024-04-01").await;
    let refused = problems(&pool, run).await;
    assert_eq!(refused, [all[0], all[1], all[2]].map(|user| (user, "inconsistent_records".into())));
    let detail = run::problems(&pool, run).await.expect("problems").remove(0).detail;
    assert!(detail.contains("bill_charge_") && detail.contains("changed manually"), "{detail}");
    assert_eq!(net().await, 5 * 1500 + 2 * 3000, "of the refused nothing, of the others all");
    let faults = uncloud::billing::verify::verify(&pool).await.expect("verified");
    let wrong: HashSet<i64> = faults.iter().filter_map(|fault| fault.order_id).collect();
    assert_eq!(wrong.len(), 3, "{faults:?}");
    let staff = run::bill_one(
        &mut pool.begin().await.expect("a transaction"),
        OneCustomer::all_due(all[0], at("2024-04-02")),
        at("2024-04-02"),
    )
    .await;
    let (_, problem) = staff.expect("no error of ours");
    assert_eq!(problem.map(|problem| problem.code.name().to_owned()), Some("inconsistent_records".to_owned()));
}

#[tokio::test]
async fn bill_run_with_only_free_and_void_orders_issues_no_bill() {
    let pool = books().await;
    place(&pool, &terms(ALICE, "0.00"), "2024-03-01").await;
    let later = place(&pool, &terms(ALICE, "10.00"), "2024-05-01").await;
    let void = cancel(&pool, &later, "2024-04-01").await;
    assert!(void.void);
    let run = bill_all(&pool, "2024-06-01").await;
    let run = run::progress(&pool, run).await.expect("a run");
    assert_eq!((run.customers, run.ended), (0, true));
    assert_eq!(rows(&pool).await, [0; 4], "not even an empty bill");
    assert_eq!(count(&pool, "order_cursor where not closed").await, 0);
}

#[tokio::test]
async fn bill_run_after_single_customer_bill_yields_same_records() {
    let (with, without) = (books().await, books().await);
    for pool in [&with, &without] {
        let mut arrears = terms(ALICE, "9.99");
        arrears.billing_mode = BillingMode::Arrears;
        place(pool, &arrears, "2024-01-10").await;
        place(pool, &terms(ALICE, "10.00"), "2024-01-20").await;
    }
    bill_all(&with, "2024-01-15").await;
    let mut tx = with.begin().await.expect("a transaction");
    let (_, problem) =
        run::bill_one(&mut tx, OneCustomer::all_due(ALICE, at("2024-01-25")), at("2024-01-25")).await.expect("billed");
    assert_eq!(problem, None);
    tx.commit().await.expect("billed");
    for pool in [&with, &without] {
        bill_all(pool, "2024-03-01").await;
        assert_sound(pool).await;
    }
    let records = async |pool: &PgPool| -> Vec<Value> {
        sqlx::query_scalar("select to_jsonb(c) - 'bill_id' from bill_charge c order by order_id, charge_from")
            .fetch_all(pool)
            .await
            .expect("records")
    };
    assert_eq!(records(&with).await, records(&without).await);
    assert_eq!((count(&with, "bill").await, count(&without, "bill").await), (2, 1));
}

#[tokio::test]
async fn bill_dry_run_before_run_predicts_totals_and_writes_nothing() {
    let pool = books().await;
    busy_life(&pool, &[ALICE, BOB]).await;
    let (would, problems) = run::dry_run(&pool, at("2024-01-31"), None).await.expect("a dry run");
    assert_eq!(problems.iter().map(|problem| problem.user_id).collect::<Vec<_>>(), [BOB]);
    assert_eq!((rows(&pool).await, count(&pool, "bill_run").await), ([0; 4], 0));
    let (alone, none) = run::dry_run(&pool, at("2024-01-31"), Some(ALICE)).await.expect("a dry run");
    assert_eq!((alone.len(), none.len()), (would.len(), 0));
    let run = bill_all(&pool, "2024-01-31").await;
    let did = run::summary(&mut pool.acquire().await.expect("a connection"), run).await.expect("a summary");
    for (would, did) in would.iter().zip(&did) {
        assert_eq!(
            (&would.currency, would.bills, would.net, would.gross),
            (&did.currency, did.bills, did.net, did.gross)
        );
    }
    assert_eq!(would.len(), did.len());
    assert!(execute(&pool, "truncate bill, bill_charge, bill_record, bill_vat, bill_number").await.is_err());
}
