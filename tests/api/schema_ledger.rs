//! Raw SQL that would harm the ledger as a whole: gaps, credits of more than was charged, other prices, numbers out of order.

use sqlx::PgPool;

use crate::{
    books::{ALICE, bill_all, execute, place, replace, sql, terms, this_year},
    schema::assert_refused,
    schema_bill::{assert_all_refused, billed},
};

/// A bill of Alice's without records, of a run that has not ended, with this VAT.
async fn draft(pool: &PgPool, territory: &str, net: i64, tax: i64) -> i64 {
    sql(
        pool,
        "insert into bill_run (as_of, seller_id, seller, customers) select '2024-06-10', seller_id, '{}', 1 from seller
         where not exists (select from bill_run where finished_at is null) order by seller_id desc limit 1",
    )
    .await;
    let sql = format!(
        "insert into bill (run_id, user_id, currency, vat_category, territory, net_cents, tax_cents, gross_cents,
             rounding_cents, amount_due_cents, content)
         select max(run_id), {ALICE}, 'CHF', 'S', '{territory}', {net}, {tax}, {net} + {tax}, 0, {net} + {tax}, '{{}}' from bill_run
         returning bill_id"
    );
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(pool).await.expect("a draft")
}

fn charge(bill: i64, order: i64, from: &str, to: &str, net: i64) -> String {
    format!(
        "insert into bill_charge (bill_id, order_id, charge_from, charge_to, net_cents, vat_group, period_seconds)
         values ({bill}, {order}, '{from}', '{to}', {net}, 1, 2592000)"
    )
}

fn record(bill: i64, position: i32, kind: &str, values: &str) -> String {
    format!(
        "insert into bill_record (bill_id, position, kind, order_id, item_id, correction_id, span_from, span_to, period_seconds,
             net_cents, vat_group, corrects_bill_id) values ({bill}, {position}, '{kind}', {values})"
    )
}

fn vat(bill: i64, territory: &str, rate: i64, net: i64, tax: i64) -> String {
    format!("insert into bill_vat values ({bill}, 1, 'S', '{territory}', {rate}, {net}, {tax})")
}

fn in_one(statements: &[String]) -> String {
    format!("do $$ begin {}; end $$", statements.join("; "))
}

#[tokio::test]
async fn bill_charge_deleted_between_others_is_refused() {
    let pool = billed().await;
    let bill = draft(&pool, "CH", 4000, 324).await;
    execute(&pool, &charge(bill, 2, "2024-02-15", "2024-03-16", 2000)).await.expect("the next one");
    execute(&pool, &charge(bill, 2, "2024-03-16", "2024-04-15", 2000)).await.expect("the one after that");
    let gap = "delete from bill_charge where order_id = 2 and charge_from = '2024-02-15'";
    assert_refused(execute(&pool, gap).await, "bill_charge_chain", gap);
    execute(&pool, "delete from bill_charge where order_id = 2 and charge_from >= '2024-02-15'").await.expect("both");
}

#[tokio::test]
async fn bill_record_crediting_more_than_was_charged_is_refused() {
    let pool = billed().await;
    let order = place(&pool, &terms(ALICE, "10.00"), "2024-03-01").await.order_id;
    bill_all(&pool, "2024-03-01").await;
    let charged: i64 =
        sqlx::query_scalar("select max(bill_id) from bill_charge where order_id = (select max(order_id) from orders)")
            .fetch_one(&pool)
            .await
            .expect("a charge");
    let bill = draft(&pool, "CH", -1200, -97).await;
    let credit = |position, from: &str, to: &str| {
        let values = format!("{order}, null, null, '{from}', '{to}', 2592000, -600, 1, {charged}");
        record(bill, position, "credit", &values)
    };
    let first = credit(1, "2024-03-02", "2024-03-10");
    assert_refused(execute(&pool, &first).await, "bill_record_credit_fits", "the order goes on");
    sql(&pool, &format!("update orders set billing_ends_at = '2024-03-02' where order_id = {order}")).await;
    let early = credit(1, "2024-03-01", "2024-03-10");
    assert_refused(execute(&pool, &early).await, "bill_record_credit_fits", "the order ran until the second");
    execute(&pool, &first).await.expect("the first credit");
    let second = credit(2, "2024-03-10", "2024-03-31");
    assert_refused(execute(&pool, &second).await, "bill_record_credit_fits", "12.00 of 10.00");
}

#[tokio::test]
async fn bill_record_crediting_at_another_vat_is_refused() {
    let pool = billed().await;
    let order = place(&pool, &terms(ALICE, "10.00"), "2024-03-01").await.order_id;
    bill_all(&pool, "2024-03-01").await;
    sql(&pool, &format!("update orders set billing_ends_at = '2024-03-16' where order_id = {order}")).await;
    let credit = |bill| {
        let charged = format!("(select max(bill_id) from bill_charge where order_id = {order})");
        let values = format!("{order}, null, null, '2024-03-16', '2024-03-31', 2592000, -500, 1, {charged}");
        record(bill, 1, "credit", &values)
    };
    for (territory, rate, tax) in [("DE", 190_000, -95), ("CH", 77_000, -39), ("CH", 81_000, -41)] {
        let bill = draft(&pool, territory, -500, tax).await;
        let whole = in_one(&[credit(bill), vat(bill, territory, rate, -500, tax)]);
        if rate == 81_000 {
            execute(&pool, &whole).await.expect("as it was charged");
        } else {
            assert_refused(execute(&pool, &whole).await, "bill_record_credit_taxed", &whole);
        }
        sql(
            &pool,
            &format!("delete from bill where bill_id = {bill} and bill_id not in (select bill_id from bill_vat)"),
        )
        .await;
    }
}

#[tokio::test]
async fn bill_record_of_half_a_correction_or_another_price_is_refused() {
    let pool = billed().await;
    let bill = draft(&pool, "CH", -1000, -81).await;
    sql(
        &pool,
        "insert into rate_correction (user_id, order_id, currency, span_from, span_to, net_cents, territory, old_rate_ppm,
             new_rate_ppm, bill_id) values (2, 2, 'CHF', '2024-01-16', '2024-02-15', 1000, 'CH', 81000, 85000, 2)",
    )
    .await;
    let half = record(bill, 1, "correction", "2, null, 1, '2024-01-16', '2024-02-15', null, -1000, 1, 2");
    let whole = in_one(&[half, vat(bill, "CH", 81_000, -1000, -81)]);
    assert_refused(execute(&pool, &whole).await, "bill_record_correction_whole", &whole);
    let mut once = terms(ALICE, "0.00");
    (once.period, once.commitment_periods, once.one_time) = (None, 0, "5.00".parse().expect("a price"));
    let order = place(&pool, &once, "2024-02-01").await.order_id;
    sql(
        &pool,
        "insert into bill_item (user_id, currency, description, net_cents, service_at, reason, created_by)
         values (2, 'CHF', 'x', 100, '2024-01-01', 'x', 1), (2, 'CHF', 'x', 100, '2024-01-01', 'x', 1)",
    )
    .await;
    sql(&pool, "update bill_item set voided_at = now(), voided_by = 1 where item_id = 2").await;
    let at = "'2024-02-01', '2024-02-01', null";
    assert_all_refused(
        &pool,
        vec![
            ("bill_record_price", record(bill, 1, "one_time", &format!("{order}, null, null, {at}, 499, 1, null"))),
            ("bill_record_price", record(bill, 1, "manual", &format!("null, 1, null, {at}, 101, 1, null"))),
            ("bill_record_price", record(bill, 1, "manual", &format!("null, 2, null, {at}, 100, 1, null"))),
        ],
    )
    .await;
}

#[tokio::test]
async fn bill_item_reversing_what_is_not_billed_or_less_is_refused() {
    let pool = billed().await;
    let item = |net: i64, user: i64, reverses: &str| {
        format!(
            "insert into bill_item (user_id, currency, description, net_cents, service_at, reason, created_by, reverses)
             values ({user}, 'CHF', 'x', {net}, '2024-01-01', 'x', 1, {reverses})"
        )
    };
    sql(&pool, &item(500, 2, "null")).await;
    let unbilled = item(-500, 2, "1");
    assert_refused(execute(&pool, &unbilled).await, "bill_item_reverses", &unbilled);
    bill_all(&pool, "2024-01-21").await;
    assert_all_refused(
        &pool,
        vec![
            ("bill_item_reverses", item(500, 2, "1")),
            ("bill_item_reverses", item(-501, 2, "1")),
            ("bill_item_reverses", item(-500, 3, "1")),
            ("bill_item_reverses_fkey", item(-500, 2, "99")),
        ],
    )
    .await;
    execute(&pool, &item(-500, 2, "1")).await.expect("it reverses it");
    let again = item(-500, 2, "1");
    assert_refused(execute(&pool, &again).await, "bill_item_reverses_key", &again);
    let bill = draft(&pool, "CH", -500, -39).await;
    let corrects = "(select max(bill_id) from bill_record where item_id = 1)";
    let reversing = "(select item_id from bill_item where reverses = 1)";
    let reversal = |corrects: &str| {
        record(
            bill,
            1,
            "manual",
            &format!("null, {reversing}, null, '2024-01-01', '2024-01-01', null, -500, 1, {corrects}"),
        )
    };
    assert_refused(execute(&pool, &reversal("null")).await, "bill_record_corrects", "it names no bill");
    let taxed = in_one(&[reversal(corrects), vat(bill, "CH", 77_000, -500, -39)]);
    assert_refused(execute(&pool, &taxed).await, "bill_record_credit_taxed", &taxed);
}

#[tokio::test]
async fn orders_row_void_again_or_before_its_successor_is_refused() {
    let pool = billed().await;
    let first = place(&pool, &terms(ALICE, "1.00"), "2024-05-01").await;
    let replaced = replace(&pool, &first, &terms(ALICE, "2.00"), "2024-05-01").await;
    assert!(replaced.old.void);
    assert_all_refused(
        &pool,
        vec![
            (
                "orders_void_final",
                "update orders set void = true, billing_ends_at = starts_at where order_id = 1".into(),
            ),
            ("orders_void_final", format!("update orders set void = false where order_id = {}", first.order_id)),
            ("order_cursor_final", "delete from order_cursor where order_id = 1".into()),
            ("order_cursor_final", "update order_cursor set user_id = 3 where order_id = 1".into()),
        ],
    )
    .await;
    let error = execute(&pool, "truncate order_cursor").await.expect_err("kept").to_string();
    assert!(error.contains("its rows are final"), "{error}");
}

#[tokio::test]
async fn bill_number_of_an_earlier_year_is_refused() {
    let pool = billed().await;
    let bill = draft(&pool, "CH", 2000, 162).await;
    let whole = in_one(&[charge(bill, 2, "2024-02-15", "2024-03-16", 2000), vat(bill, "CH", 81_000, 2000, 162)]);
    execute(&pool, &whole).await.expect("complete");
    let year = this_year() - 1;
    let number = format!("insert into bill_number values ({bill}, {year}, 1, '{year}-12-31')");
    assert_refused(execute(&pool, &number).await, "bill_number_last", &number);
}
