//! Bills that the database refuses: each by raw SQL, each by the constraint that is named for it.

use sqlx::PgPool;

use crate::{
    app::database,
    books::{ALICE, BOB, address, bill_all, execute, open_books, place, replace, sql, terms},
    schema::assert_refused,
};

const RECORD: &str = "insert into bill_record (bill_id, position, kind, order_id, item_id, span_from, span_to, prev_to,
    period_seconds, net_cents, vat_category, vat_rate_ppm) values";

/// Alice's orders 1 (from 1 January 2024, replaced on 16 January with a credit), 2 (which replaced it) and 3 (once), Bob's
/// order 4; billed on 10 and 20 January as 2024-000001 to 000003.
pub async fn billed() -> PgPool {
    let pool = database().await;
    open_books(&pool).await;
    for user in [ALICE, BOB] {
        address(&pool, user, "CH", false).await;
    }
    let first = place(&pool, &terms(ALICE, "10.00"), "2024-01-01").await;
    bill_all(&pool, "2024-01-10").await;
    replace(&pool, &first, &terms(ALICE, "20.00"), "2024-01-16").await;
    let mut once = terms(ALICE, "0.00");
    (once.period, once.commitment_periods, once.one_time) = (None, 0, "5.00".parse().expect("an amount"));
    place(&pool, &once, "2024-01-16").await;
    place(&pool, &terms(BOB, "7.00"), "2024-01-16").await;
    bill_all(&pool, "2024-01-20").await;
    pool
}

/// A bill of Alice's that has no number and no lines yet.
async fn draft(pool: &PgPool) -> i64 {
    sql(pool, "insert into bill_run (as_of, seller_id, customers) select '2024-02-10', max(seller_id), 1 from seller")
        .await;
    sqlx::query_scalar(
        "insert into bill (run_id, user_id, currency, issued_at, address_id, net_cents, tax_cents, gross_cents, amount_due_cents)
         select max(run_id), 2, 'CHF', '2024-02-10', (select address_id from billing_address where user_id = 2), 2000, 162, 2162, 2162
         from bill_run returning bill_id",
    )
    .fetch_one(pool)
    .await
    .expect("a draft")
}

pub async fn assert_all_refused(pool: &PgPool, cases: Vec<(&str, String)>) {
    for (constraint, sql) in cases {
        assert_refused(execute(pool, &sql).await, constraint, &sql);
    }
}

#[tokio::test]
async fn bill_record_overlapping_or_leaving_a_gap_is_refused() {
    let pool = billed().await;
    let bill = draft(&pool).await;
    let recurring = |order: i64, from: &str, to: &str, prev: &str| {
        format!("{RECORD} ({bill}, 1, 'recurring', {order}, null, '{from}', '{to}', {prev}, 2592000, 2000, 'S', 81000)")
    };
    // Order 2 is billed from 16 January to 15 February.
    let cases = vec![
        ("bill_record_charge_from_key", recurring(2, "2024-01-16", "2024-01-17", "null")), // from the start again
        ("bill_record_charge_to_key", recurring(2, "2024-01-16", "2024-02-15", "null")),   // the same once more
        ("bill_record_start_fkey", recurring(2, "2024-01-17", "2024-02-16", "null")),      // a second begin
        ("bill_record_start_fkey", recurring(2, "2024-02-15", "2024-03-16", "null")),      // without its predecessor
        ("bill_record_chain", recurring(2, "2024-02-16", "2024-03-16", "'2024-02-15'")),   // a gap of a day
        ("bill_record_chain", recurring(2, "2024-02-14", "2024-03-16", "'2024-02-15'")),   // an overlap of one
        ("bill_record_chain_fkey", recurring(2, "2024-02-14", "2024-03-16", "'2024-02-14'")),
        ("bill_record_chain_fkey", recurring(4, "2024-03-01", "2024-03-02", "'2024-03-01'")),
        ("bill_record_start_fkey", recurring(99, "2024-01-01", "2024-01-02", "null")),
    ];
    assert_all_refused(&pool, cases).await;
    let right = recurring(2, "2024-02-15", "2024-03-16", "'2024-02-15'");
    execute(&pool, &right).await.expect("what follows is right");
    let fork = right.replacen("1, 'recurring'", "2, 'recurring'", 1).replace("2024-03-16", "2024-03-15");
    assert_refused(execute(&pool, &fork).await, "bill_record_charge_from_key", &fork);
}

#[tokio::test]
async fn bill_record_charging_or_crediting_twice_is_refused() {
    let pool = billed().await;
    let bill = draft(&pool).await;
    let row = |values: &str| format!("{RECORD} ({bill}, 1, {values}, 'S', 81000)");
    let credit = |order: i64, from: &str, to: &str, net: i64| {
        row(&format!("'credit', {order}, null, '{from}', '{to}', null, 2592000, {net}"))
    };
    sql(
        &pool,
        "insert into bill_item (user_id, currency, description, net_cents, service_at, reason, created_by)
         values (2, 'CHF', 'x', 100, '2024-01-01', 'x', 1)",
    )
    .await;
    let cases = vec![
        ("bill_record_one_time_key", row("'one_time', 3, null, '2024-01-16', '2024-01-16', null, null, 500")),
        ("bill_record_credit_key", credit(1, "2024-01-20", "2024-01-31", -100)),
        ("bill_record_credit_fkey", credit(2, "2024-02-01", "2024-02-14", -100)), // no charge ends there
        ("bill_record_credit_fits", credit(2, "2024-01-15", "2024-02-15", -100)), // begins before its charge
        ("bill_record_credit_fits", credit(2, "2024-01-16", "2024-02-15", -2001)), // more than was charged
        (
            "bill_record_credit_fits", // at another rate
            format!(
                "{RECORD} ({bill}, 1, 'credit', 2, null, '2024-01-20', '2024-02-15', null, 2592000, -100, 'S', 77000)"
            ),
        ),
        ("bill_record_order_fkey", row("'one_time', 99, null, '2024-01-16', '2024-01-16', null, null, 500")),
        ("bill_record_manual", row("'manual', null, null, '2024-01-16', '2024-01-16', null, null, 500")),
        ("bill_record_item_id_fkey", row("'manual', null, 99, '2024-01-16', '2024-01-16', null, null, 500")),
    ];
    assert_all_refused(&pool, cases).await;
    let manual = row("'manual', null, 1, '2024-01-16', '2024-01-16', null, null, 100");
    execute(&pool, &manual).await.expect("once");
    let again = manual.replacen("1, 'manual'", "2, 'manual'", 1);
    assert_refused(execute(&pool, &again).await, "bill_record_manual_key", &again);
}

#[tokio::test]
async fn bill_record_not_matching_its_kind_is_refused() {
    let pool = billed().await;
    let bill = draft(&pool).await;
    let row = |values: &str| format!("{RECORD} ({bill}, 1, {values})");
    let cases = vec![
        ("bill_record_kind", row("'gift', 2, null, '2024-02-15', '2024-03-16', null, 2592000, 1, 'S', 0")),
        ("bill_record_kind", row("'recurring', 2, null, '2024-02-15', '2024-02-15', '2024-02-15', 2592000, 1, 'S', 0")),
        ("bill_record_kind", row("'recurring', 2, null, '2024-02-15', '2024-02-10', '2024-02-15', 2592000, 1, 'S', 0")),
        ("bill_record_kind", row("'recurring', 2, null, '2024-02-15', '2024-03-16', '2024-02-15', 0, 1, 'S', 0")),
        (
            "bill_record_kind",
            row("'recurring', 2, null, '2024-02-15', '2024-03-16', '2024-02-15', 2592000, -1, 'S', 0"),
        ),
        ("bill_record_kind", row("'credit', 2, null, '2024-02-01', '2024-02-15', null, 2592000, 1, 'S', 81000")),
        ("bill_record_kind", row("'one_time', 2, null, '2024-02-01', '2024-02-15', null, null, 1, 'S', 81000")),
        ("bill_record_kind", row("'one_time', 2, null, '2024-02-15', '2024-02-15', null, null, 0, 'S', 81000")),
        ("bill_record_kind", row("'recurring', null, null, '2024-02-15', '2024-03-16', null, 2592000, 1, 'S', 0")),
        ("bill_record_vat", row("'one_time', 2, null, '2024-02-15', '2024-02-15', null, null, 1, 'Z', 0")),
        ("bill_record_vat", row("'one_time', 2, null, '2024-02-15', '2024-02-15', null, null, 1, 'AE', 81000")),
        ("bill_record_vat", row("'one_time', 2, null, '2024-02-15', '2024-02-15', null, null, 1, 'S', 1000001")),
    ];
    assert_all_refused(&pool, cases).await;
}

#[tokio::test]
async fn bill_with_wrong_totals_or_number_gap_is_refused() {
    let pool = billed().await;
    let bill = draft(&pool).await;
    let number = |sequence: i32| format!("insert into bill_number values ({bill}, 2024, {sequence})");
    let recurring = format!(
        "{RECORD} ({bill}, 1, 'recurring', 2, null, '2024-02-15', '2024-03-16', '2024-02-15', 2592000, 2000, 'S', 81000)"
    );
    let vat = |base: i64, tax: i64| format!("insert into bill_vat values ({bill}, 'S', 81000, {base}, {tax})");
    let in_one = |statements: &[&str]| format!("do $$ begin {}; end $$", statements.join("; "));
    let cases = vec![
        ("bill_gross", "update bill set gross_cents = 1".to_owned()),
        ("bill_totals", number(4)), // without any lines
        ("bill_totals", in_one(&[&recurring, &number(4)])),
        ("bill_totals", in_one(&[&vat(2000, 162), &number(4)])),
        ("bill_totals", in_one(&[&recurring, &vat(1900, 154), &number(4)])),
        ("bill_vat_tax", vat(2000, 163)),
        ("bill_number_gapless", in_one(&[&recurring, &vat(2000, 162), &number(5)])),
        ("bill_number_gapless", in_one(&[&recurring, &vat(2000, 162), &number(4).replace("2024", "2025")])),
        ("bill_number_key", in_one(&[&recurring, &vat(2000, 162), &number(3)])),
        ("bill_number_sequence", number(0)),
    ];
    // Whole rows are final whatever would be wrong with them otherwise.
    for (constraint, sql) in cases {
        let constraint = if sql.starts_with("update bill ") { "bill_final" } else { constraint };
        assert_refused(execute(&pool, &sql).await, constraint, &sql);
    }
    execute(&pool, &in_one(&[&recurring, &vat(2000, 162), &number(4)])).await.expect("it adds up");
    let line = "2, 'recurring', 2, null, '2024-03-16', '2024-04-15', '2024-03-16', 2592000, 2000, 'S', 81000";
    let late = format!("{RECORD} ({bill}, {line})");
    assert_refused(execute(&pool, &late).await, "bill_record_issued", &late);
    let late = format!("insert into bill_vat values ({bill}, 'O', 0, 0, 0)");
    assert_refused(execute(&pool, &late).await, "bill_vat_issued", &late);
}

#[tokio::test]
async fn bill_record_of_other_customer_or_ended_order_is_refused() {
    let pool = billed().await;
    let bill = draft(&pool).await;
    let line = |values: &str| format!("{RECORD} ({bill}, 1, {values}, 'S', 81000)");
    let manual = |user: i64, currency: &str| {
        format!(
            "with line as (
                 insert into bill_item (user_id, currency, description, net_cents, service_at, reason, created_by)
                 values ({user}, '{currency}', 'Work', 100, '2024-02-01', 'agreed', 1) returning item_id)
             {RECORD} ({bill}, 1, 'manual', null, (select item_id from line), '2024-02-01', '2024-02-01', null, null, 100, 'S', 81000)"
        )
    };
    let bobs = line("'recurring', 4, null, '2024-02-15', '2024-03-16', '2024-02-15', 2592000, 700");
    let past = line("'recurring', 1, null, '2024-01-31', '2024-03-01', '2024-01-31', 2592000, 1000");
    let cases = vec![
        ("bill_record_owner", bobs),
        ("bill_record_owner", manual(BOB, "CHF")),
        ("bill_record_owner", manual(ALICE, "EUR")),
        ("bill_record_past_end", past),
    ];
    assert_all_refused(&pool, cases).await;
}

#[tokio::test]
async fn bill_number_of_millionth_bill_has_seven_digits() {
    let pool = billed().await;
    let bill = draft(&pool).await;
    // Whether numbers have gaps is another test's.
    sql(&pool, "alter table bill_number disable trigger bill_totals").await;
    sql(&pool, &format!("insert into bill_number (bill_id, year, sequence) values ({bill}, 2024, 1000000)")).await;
    let numbers: Vec<String> =
        sqlx::query_scalar("select number from bill_number order by sequence").fetch_all(&pool).await.expect("numbers");
    assert_eq!(numbers, ["2024-000001", "2024-000002", "2024-000003", "2024-1000000"]);
}

#[tokio::test]
async fn bill_or_run_row_with_invalid_values_is_refused() {
    let pool = billed().await;
    draft(&pool).await;
    let bill = |currency: &str, at: &str, money: &str| {
        format!(
            "insert into bill (run_id, user_id, currency, issued_at, address_id, net_cents, tax_cents, gross_cents,
                 rounding_cents, amount_due_cents)
             select max(run_id), 2, '{currency}', '{at}', (select address_id from billing_address where user_id = 2), {money}
             from bill_run"
        )
    };
    let whose = |user: i64, at: &str| {
        format!(
            "insert into bill (run_id, user_id, currency, issued_at, address_id, net_cents, tax_cents, gross_cents, amount_due_cents)
             select run_id, {user}, 'CHF', {at}, (select address_id from billing_address where user_id = 2), 1, 0, 1, 1
             from bill_run order by run_id desc limit 1"
        )
    };
    let cases = vec![
        ("bill_address_fkey", whose(3, "as_of")),
        ("bill_run_fkey", whose(2, "as_of + interval '1 s'")),
        ("bill_customer_date_key", bill("CHF", "2024-02-10", "1, 0, 1, 0, 1")),
        ("bill_currency_form", bill("chf", "2024-02-11", "1, 0, 1, 0, 1")),
        ("bill_gross", bill("CHF", "2024-02-11", "1, 1, 1, 0, 1")),
        ("bill_amount_due", bill("CHF", "2024-02-11", "1, 0, 1, 0, 2")),
        ("bill_amount_due", bill("CHF", "2024-02-11", "1, 0, 1, 3, 4")),
        ("bill_run_one_open", "insert into bill_run (as_of, seller_id, customers) select now(), max(seller_id), 1 from seller".into()),
        ("bill_run_customers", "insert into bill_run (as_of, seller_id, customers, finished_at) select now(), max(seller_id), -1, now() from seller".into()),
        ("bill_run_customer_whole", "insert into bill_run (as_of, user_id, seller_id, customers) select now(), 2, max(seller_id), 1 from seller".into()),
        ("bill_run_part_span", "insert into bill_run_part select max(run_id), 1, 5, 4 from bill_run".into()),
    ];
    assert_all_refused(&pool, cases).await;
}

#[tokio::test]
async fn bill_row_once_issued_cannot_be_changed_or_deleted() {
    let pool = billed().await;
    for (table, column) in [
        ("bill", "amount_due_cents"),
        ("bill_record", "net_cents"),
        ("bill_vat", "tax_amount_cents"),
        ("bill_number", "sequence"),
    ] {
        let constraint = format!("{table}_final");
        for sql in [format!("update {table} set {column} = {column} + 1"), format!("delete from {table}")] {
            assert_refused(execute(&pool, &sql).await, &constraint, &sql);
        }
    }
    // Everything that a bill copies or names.
    for (constraint, sql) in [
        ("orders_final", "update orders set recurring_cents = 1"),
        ("orders_final", "update orders set starts_at = '2020-01-01'"),
        ("orders_final", "update orders set description = 'x'"),
        ("orders_final", "delete from orders"),
        ("seller_final", "update seller set name = 'x'"),
        ("billing_address_final", "update billing_address set city = 'x'"),
    ] {
        assert_refused(execute(&pool, sql).await, constraint, sql);
    }
    for table in ["bill", "bill_record", "bill_vat", "bill_number", "orders", "seller", "billing_address", "bill_item"]
    {
        let sql = format!("truncate {table} cascade");
        let error = execute(&pool, &sql).await.expect_err(&sql).to_string();
        assert!(error.contains("its rows are final"), "{error}");
    }
}
