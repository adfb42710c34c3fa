//! Bills that the database refuses: each by raw SQL, each by the constraint that is named for it.

use sqlx::PgPool;

use crate::{
    app::database,
    books::{ALICE, BOB, address, bill_all, execute, open_books, place, replace, sql, terms, this_year},
    schema::assert_refused,
};

const BILL: &str =
    "insert into bill (run_id, user_id, currency, vat_category, territory, net_cents, tax_cents, gross_cents,
    rounding_cents, amount_due_cents, content)";
const CHARGE: &str =
    "insert into bill_charge (bill_id, order_id, charge_from, charge_to, net_cents, vat_group, period_seconds) values";
const RECORD: &str = "insert into bill_record (bill_id, position, kind, order_id, item_id, span_from, span_to,
    period_seconds, net_cents, vat_group, corrects_bill_id) values";

/// Alice's orders 1 (from 1 January 2024, replaced on 16 January with a credit), 2 (which replaced it) and 3 (once), Bob's
/// order 4; billed on 10 and 20 January as the bills 1 to 3.
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
    (once.period, once.commitment_periods, once.one_time) = (None, 0, "5.00".parse().expect("a price"));
    place(&pool, &once, "2024-01-16").await;
    place(&pool, &terms(BOB, "7.00"), "2024-01-16").await;
    bill_all(&pool, "2024-01-20").await;
    pool
}

/// A bill of Alice's that has no number and no records yet.
async fn draft(pool: &PgPool) -> i64 {
    sql(
        pool,
        "insert into bill_run (as_of, seller_id, seller, customers) select '2024-02-10', max(seller_id), '{}', 1 from seller",
    )
    .await;
    sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
        "{BILL} select max(run_id), 2, 'CHF', 'S', 'CH', 2000, 162, 2162, 0, 2162, '{{}}' from bill_run returning bill_id"
    )))
    .fetch_one(pool)
    .await
    .expect("a draft")
}

pub async fn assert_all_refused(pool: &PgPool, cases: Vec<(&str, String)>) {
    for (constraint, sql) in cases {
        assert_refused(execute(pool, &sql).await, constraint, &sql);
    }
}

fn in_one(statements: &[&str]) -> String {
    format!("do $$ begin {}; end $$", statements.join("; "))
}

#[tokio::test]
async fn bill_charge_overlapping_or_leaving_a_gap_is_refused() {
    let pool = billed().await;
    let bill = draft(&pool).await;
    let charge =
        |order: i64, from: &str, to: &str| format!("{CHARGE} ({bill}, {order}, '{from}', '{to}', 2000, 1, 2592000)");
    // Order 2 is billed from 16 January to 15 February.
    let cases = vec![
        ("bill_charge_pkey", charge(2, "2024-01-16", "2024-01-17")), // from the start again
        ("bill_charge_pkey", charge(2, "2024-01-16", "2024-02-15")), // the same once more
        ("bill_charge_chain", charge(2, "2024-01-17", "2024-02-16")), // a second begin
        ("bill_charge_chain", charge(2, "2024-02-16", "2024-03-16")), // a gap of a day
        ("bill_charge_chain", charge(2, "2024-02-14", "2024-03-16")), // an overlap of one
        ("bill_charge_chain", charge(2, "2024-01-01", "2024-01-16")), // before the start
        ("bill_charge_order_fkey", charge(99, "2024-01-01", "2024-01-02")),
        ("bill_charge_span", charge(2, "2024-02-15", "2024-02-15")),
        ("bill_charge_span", charge(2, "2024-02-15", "2024-02-10")),
        ("bill_charge_span", charge(2, "2024-02-15", "2024-03-16").replace("2592000", "0")),
        ("bill_charge_positive", charge(2, "2024-02-15", "2024-03-16").replace("2000", "-1")),
        ("bill_charge_positive", charge(2, "2024-02-15", "2024-03-16").replace("2000", "0")),
        ("bill_charge_bill_fkey", charge(2, "2024-02-15", "2024-03-16").replace(&format!("({bill},"), "(99,")),
        ("bill_charge_past_end", charge(1, "2024-01-31", "2024-03-01")),
        ("bill_charge_owner", charge(4, "2024-02-15", "2024-03-16")),
        // Two in one statement that are not a chain.
        (
            "bill_charge_chain",
            charge(2, "2024-02-15", "2024-03-16")
                + &format!(", ({bill}, 2, '2024-03-17', '2024-04-15', 1, 1, 2592000)"),
        ),
    ];
    assert_all_refused(&pool, cases).await;
    let two =
        charge(2, "2024-02-15", "2024-03-16") + &format!(", ({bill}, 2, '2024-03-16', '2024-04-15', 1, 1, 2592000)");
    execute(&pool, &two).await.expect("what follows is right");
    let fork = charge(2, "2024-03-16", "2024-03-17");
    assert_refused(execute(&pool, &fork).await, "bill_charge_pkey", &fork);
}

#[tokio::test]
async fn bill_record_charging_or_crediting_twice_is_refused() {
    let pool = billed().await;
    let bill = draft(&pool).await;
    let row = |values: &str| format!("{RECORD} ({bill}, 1, {values})");
    let credit = |order: i64, from: &str, to: &str, net: i64, corrects: i64| {
        row(&format!("'credit', {order}, null, '{from}', '{to}', 2592000, {net}, 1, {corrects}"))
    };
    let once = |values: &str| row(&format!("{values}, '2024-01-16', '2024-01-16', null, 500, 1, null"));
    sql(
        &pool,
        "insert into bill_item (user_id, currency, description, net_cents, service_at, reason, created_by)
         values (2, 'CHF', 'x', 500, '2024-01-01', 'x', 1), (3, 'CHF', 'x', 500, '2024-01-01', 'x', 1),
             (2, 'EUR', 'x', 500, '2024-01-01', 'x', 1)",
    )
    .await;
    let cases = vec![
        ("bill_record_one_time_key", once("'one_time', 3, null")),
        ("bill_record_credit_key", credit(1, "2024-01-20", "2024-01-31", -100, 1)),
        ("bill_record_credit_fits", credit(1, "2024-01-20", "2024-01-30", -100, 1)), // within what is credited
        ("bill_record_credit_fits", credit(2, "2024-02-01", "2024-02-16", -100, 2)), // past its charge
        ("bill_record_credit_fits", credit(2, "2024-01-15", "2024-02-15", -100, 2)), // begins before its charge
        ("bill_record_credit_fits", credit(2, "2024-01-16", "2024-02-15", -2001, 2)), // more than was charged
        ("bill_record_credit_fits", credit(2, "2024-02-01", "2024-02-15", -100, 1)), // of another bill
        ("bill_record_credit_negative", credit(2, "2024-02-01", "2024-02-15", 0, 2)),
        ("bill_record_corrects", credit(2, "2024-02-01", "2024-02-15", -100, 3)), // of another customer's
        ("bill_record_corrects", credit(2, "2024-02-01", "2024-02-15", -100, 99)),
        ("bill_record_order_fkey", once("'one_time', 99, null")),
        ("bill_record_manual", once("'manual', null, null")),
        ("bill_record_item_fkey", once("'manual', null, 99")),
        ("bill_record_owner", once("'manual', null, 2")),
        ("bill_record_owner", once("'manual', null, 3")),
        ("bill_record_owner", once("'one_time', 4, null")),
        ("bill_record_bill_fkey", once("'manual', null, 1").replace(&format!("({bill},"), "(99,")),
    ];
    assert_all_refused(&pool, cases).await;
    let manual = once("'manual', null, 1");
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
        ("bill_record_kind", row("'gift', 2, null, '2024-02-15', '2024-03-16', 2592000, 1, 1, null")),
        ("bill_record_kind", row("'recurring', 2, null, '2024-02-15', '2024-03-16', 2592000, 1, 1, null")),
        ("bill_record_credit_negative", row("'credit', 2, null, '2024-02-01', '2024-02-15', 2592000, 1, 1, 2")),
        ("bill_record_kind", row("'credit', 2, null, '2024-02-01', '2024-02-15', 2592000, -1, 1, null")),
        ("bill_record_kind", row("'one_time', 2, null, '2024-02-01', '2024-02-15', null, 1, 1, null")),
        ("bill_record_kind", row("'one_time', 2, null, '2024-02-15', '2024-02-15', null, 0, 1, null")),
        ("bill_record_correction", row("'correction', 2, null, '2024-02-15', '2024-02-15', null, 1, 1, 2")),
        ("rate_correction_rates", "insert into rate_correction (user_id, order_id, currency, span_from, span_to, net_cents, territory, old_rate_ppm, new_rate_ppm, bill_id) values (2, 1, 'CHF', now(), now(), 1, 'CH', 1, 1, 1)".into()),
        ("rate_correction_of", "insert into rate_correction (user_id, currency, span_from, span_to, net_cents, territory, old_rate_ppm, new_rate_ppm, bill_id) values (2, 'CHF', now(), now(), 1, 'CH', 1, 2, 1)".into()),
    ];
    assert_all_refused(&pool, cases).await;
}

#[tokio::test]
async fn bill_with_wrong_totals_is_refused() {
    let pool = billed().await;
    let bill = draft(&pool).await;
    let charge = format!("{CHARGE} ({bill}, 2, '2024-02-15', '2024-03-16', 2000, 1, 2592000)");
    let vat = |values: &str| format!("insert into bill_vat values ({bill}, {values})");
    let right = vat("1, 'S', 'CH', 81000, 2000, 162");
    let cases = vec![
        ("bill_totals", right.clone()), // without any record
        ("bill_totals", in_one(&[&charge, &vat("1, 'S', 'CH', 81000, 1900, 154")])),
        ("bill_totals", in_one(&[&charge, &vat("2, 'S', 'CH', 81000, 2000, 162")])), // of another group
        ("bill_totals", in_one(&[&charge.replace("2000, 1", "2000, 2"), &right])),
        ("bill_vat_tax", vat("1, 'S', 'CH', 81000, 2000, 163")),
        ("bill_vat_category", vat("1, 'Z', 'CH', 0, 2000, 0")),
        ("bill_vat_category", vat("1, 'AE', null, 81000, 2000, 162")),
        ("bill_vat_category", vat("1, 'S', null, 81000, 2000, 162")),
        ("bill_vat_category", vat("1, 'S', 'CH', 1000001, 2000, 2000")),
        ("bill_vat_situation", in_one(&[&charge, &vat("1, 'S', 'DE', 81000, 2000, 162")])),
        ("bill_vat_situation", in_one(&[&charge, &vat("1, 'O', null, 0, 2000, 0")])),
        ("bill_vat_situation", right.replace(&format!("({bill},"), "(99,")),
    ];
    assert_all_refused(&pool, cases).await;
    // Two groups of one rate are one.
    let halves = format!(
        "{CHARGE} ({bill}, 2, '2024-02-15', '2024-03-01', 1000, 1, 2592000), ({bill}, 2, '2024-03-01', '2024-03-16', 1000, 2, 2592000)"
    );
    let twice = in_one(&[
        &halves,
        &format!(
            "insert into bill_vat values ({bill}, 1, 'S', 'CH', 81000, 1000, 81), ({bill}, 2, 'S', 'CH', 81000, 1000, 81)"
        ),
    ]);
    assert_refused(execute(&pool, &twice).await, "bill_vat_rate_key", &twice);
    execute(&pool, &in_one(&[&charge, &right])).await.expect("it adds up");
    // Its VAT has completed it.
    let late = [
        ("bill_charge_issued", format!("{CHARGE} ({bill}, 2, '2024-03-16', '2024-04-15', 2000, 1, 2592000)")),
        (
            "bill_record_issued",
            format!("{RECORD} ({bill}, 1, 'one_time', 2, null, '2024-03-16', '2024-03-16', null, 1, 1, null)"),
        ),
        ("bill_totals", vat("2, 'S', 'CH', 77000, 0, 0")),
    ];
    assert_all_refused(&pool, late.into()).await;
}

#[tokio::test]
async fn bill_number_with_gap_or_of_incomplete_bill_is_refused() {
    let pool = billed().await;
    let bill = draft(&pool).await;
    let year = this_year();
    let number = |year: i32, sequence: i32, date: &str| {
        format!("insert into bill_number values ({bill}, {year}, {sequence}, '{year}-{date}')")
    };
    let cases = vec![
        ("bill_number_gapless", number(year, 5, "12-31")),
        ("bill_number_gapless", number(year + 1, 4, "01-01")),
        ("bill_number_key", number(year, 3, "12-31")),
        ("bill_number_sequence", number(year, 0, "12-31")),
        ("bill_number_year", number(year, 4, "12-31").replacen(&format!(" {year},"), " 2020,", 1)),
        ("bill_number_complete", number(year, 4, "12-31")),
    ];
    assert_all_refused(&pool, cases).await;
    let charge = format!("{CHARGE} ({bill}, 2, '2024-02-15', '2024-03-16', 2000, 1, 2592000)");
    let vat = format!("insert into bill_vat values ({bill}, 1, 'S', 'CH', 81000, 2000, 162)");
    execute(&pool, &in_one(&[&charge, &vat])).await.expect("complete");
    execute(&pool, &number(year, 4, "12-31")).await.expect("the next one");
    // The next bill can't be older.
    let next = format!(
        "{BILL} select max(run_id), 2, 'CHF', 'AE', null, 2000, 0, 2000, 0, 2000, '{{}}' from bill_run returning bill_id"
    );
    let next: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(next)).fetch_one(&pool).await.expect("a draft");
    let charge = format!("{CHARGE} ({next}, 2, '2024-03-16', '2024-04-15', 2000, 1, 2592000)");
    let vat = format!("insert into bill_vat values ({next}, 1, 'AE', null, 0, 2000, 0)");
    execute(&pool, &in_one(&[&charge, &vat])).await.expect("complete");
    let older = format!("insert into bill_number values ({next}, {year}, 5, '{year}-12-30')");
    assert_refused(execute(&pool, &older).await, "bill_number_dates", &older);
    execute(&pool, &older.replace("12-30", "12-31")).await.expect("of the same day");
}

#[tokio::test]
async fn bill_number_of_millionth_bill_has_seven_digits() {
    let pool = billed().await;
    let bill = draft(&pool).await;
    // Whether numbers have gaps is another test's.
    sql(&pool, "alter table bill_number disable trigger bill_number_continues").await;
    sql(&pool, &format!("insert into bill_number values ({bill}, {0}, 1000000, '{0}-12-31')", this_year())).await;
    let last = "select bill_number_text(year, sequence) from bill_number order by sequence desc limit 1";
    let number: String = sqlx::query_scalar(last).fetch_one(&pool).await.expect("a number");
    assert_eq!(number, format!("{}-1000000", this_year()));
}

#[tokio::test]
async fn bill_or_run_row_with_invalid_values_is_refused() {
    let pool = billed().await;
    draft(&pool).await;
    let bill = |user: i64, currency: &str, situation: &str, money: &str| {
        format!("{BILL} select max(run_id), {user}, '{currency}', {situation}, {money}, '{{}}' from bill_run")
    };
    let run = |values: &str| {
        format!(
            "insert into bill_run (as_of, user_id, customers, finished_at, seller_id, seller) select now(), {values}, max(seller_id), '{{}}' from seller"
        )
    };
    let right = "1, 0, 1, 0, 1";
    let cases = vec![
        ("bill_situation_key", bill(ALICE, "CHF", "'S', 'CH'", right)),
        ("bill_situation", bill(ALICE, "CHF", "'S', null", right)),
        ("bill_situation", bill(ALICE, "CHF", "'AE', 'DE'", right)),
        ("bill_situation", bill(ALICE, "CHF", "null, null", right)),
        ("bill_user_fkey", bill(99, "CHF", "'O', null", right)),
        ("bill_run_fkey", bill(ALICE, "CHF", "'O', null", right).replace("max(run_id)", "99") + " limit 1"),
        // The run of Alice alone is none of Bob's.
        ("bill_currency_form", bill(ALICE, "chf", "'O', null", right)),
        ("bill_gross", bill(ALICE, "EUR", "'O', null", "1, 1, 1, 0, 1")),
        ("bill_amount_due", bill(ALICE, "EUR", "'O', null", "1, 0, 1, 0, 2")),
        ("bill_amount_due", bill(ALICE, "EUR", "'O', null", "1, 0, 1, 3, 4")),
        ("bill_rounding", bill(ALICE, "EUR", "'O', null", "3, 0, 3, 2, 5")),
        ("bill_rounding", bill(ALICE, "CHF", "'O', null", "3, 0, 3, 1, 4")),
        ("bill_run_one_open", run("null, 1, null")),
        ("bill_run_customers", run("null, -1, now()")),
        ("bill_run_customer_whole", run("2, 1, null")),
        ("bill_run_aborted", "update bill_run set aborted_at = now() where finished_at is null".into()),
        ("bill_run_final", "update bill_run set as_of = now()".into()),
        ("bill_run_final", "update bill_run set seller = '{\"name\": \"x\"}'".into()),
        ("bill_run_final", "delete from bill_run".into()),
        ("bill_run_part_span", "insert into bill_run_part select max(run_id), 1, 5, 4 from bill_run".into()),
    ];
    assert_all_refused(&pool, cases).await;
    execute(&pool, &run("2, 1, now()")).await.expect("a run for Alice");
    let of_bob = bill(BOB, "CHF", "'O', null", right);
    assert_refused(execute(&pool, &of_bob).await, "bill_run_customer", &of_bob);
}

#[tokio::test]
async fn bill_row_once_issued_cannot_be_changed_or_deleted() {
    let pool = billed().await;
    for (table, column) in [
        ("bill", "amount_due_cents"),
        ("bill_charge", "net_cents"),
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
        ("bill_final", "update bill set content = '{}'"),
        ("orders_final", "update orders set recurring_micros = 1"),
        ("orders_final", "update orders set starts_at = '2020-01-01'"),
        ("orders_final", "update orders set description = 'x'"),
        ("orders_final", "delete from orders"),
        ("seller_final", "update seller set name = 'x'"),
        ("billing_address_final", "update billing_address set city = 'x'"),
    ] {
        assert_refused(execute(&pool, sql).await, constraint, sql);
    }
    for table in [
        "bill",
        "bill_charge",
        "bill_record",
        "bill_vat",
        "bill_number",
        "orders",
        "seller",
        "billing_address",
        "bill_item",
    ] {
        let sql = format!("truncate {table} cascade");
        let error = execute(&pool, &sql).await.expect_err(&sql).to_string();
        assert!(error.contains("its rows are final"), "{error}");
    }
}

#[tokio::test]
async fn order_replacing_a_void_replacement_is_refused() {
    let pool = billed().await;
    // Order 2 replaced 1 at once; its own replacement in the same second takes its place.
    let second = uncloud::money::Order { order_id: 2, ..place(&pool, &terms(ALICE, "1.00"), "2024-01-16").await };
    let third = replace(&pool, &second, &terms(ALICE, "30.00"), "2024-01-16").await;
    assert!(third.old.void && third.new.replaces == Some(1), "{third:?}");
    let insert = |replaces: i64| {
        format!(
            "insert into orders (user_id, description, currency, one_time_micros, recurring_micros, billing_mode,
                 commitment_periods, time_zone, starts_at, ordered_at, deliver_at, replaces)
             values (2, 'x', 'CHF', 0, 0, 'advance', 0, 'UTC', '2024-05-01', now(), now(), {replaces})"
        )
    };
    assert_all_refused(&pool, vec![("orders_replaces_live", insert(2)), ("orders_replaces_key", insert(1))]).await;
}
