//! Orders and items for a bill that the database refuses: each by raw SQL, each by the constraint that is named for it.

use crate::{
    books::{ALICE, BOB, execute},
    schema::assert_refused,
    schema_bill::{assert_all_refused, billed},
};

#[tokio::test]
async fn order_row_with_invalid_values_is_refused() {
    let pool = billed().await;
    let order = |user: i64, currency: &str, price: &str, period: &str, rest: &str, replaces: &str| {
        format!(
            "insert into orders (user_id, description, currency, one_time_micros, recurring_micros, period_unit, period_count,
                 billing_mode, commitment_periods, time_zone, starts_at, ordered_at, deliver_at, void, billing_ends_at, replaces)
             values ({user}, 'x', '{currency}', {price}, {period}, 'advance', 0, 'UTC', '2024-05-01', now(), now(), {rest}, {replaces})"
        )
    };
    let right = "false, null";
    let monthly = "'month', 1";
    let cases = vec![
        ("orders_replaces_customer_fkey", order(BOB, "CHF", "0, 100", monthly, right, "2")), // another customer's
        ("orders_replaces_customer_fkey", order(ALICE, "EUR", "0, 100", monthly, right, "2")), // in another currency
        ("orders_replaces_key", order(ALICE, "CHF", "0, 100", monthly, right, "1")),         // a second successor
        ("orders_currency_form", order(ALICE, "Fr.", "0, 100", monthly, right, "null")),
        ("orders_not_negative", order(ALICE, "CHF", "0, -100", monthly, right, "null")),
        ("orders_not_negative", order(ALICE, "CHF", "-1, 100", monthly, right, "null")),
        ("orders_period", order(ALICE, "CHF", "0, 100", "'week', 1", right, "null")),
        ("orders_period", order(ALICE, "CHF", "0, 100", "'day', 0", right, "null")),
        ("orders_period", order(ALICE, "CHF", "0, 100", "null, null", right, "null")),
        ("orders_end", order(ALICE, "CHF", "0, 100", monthly, "false, '2024-04-30'", "null")),
        ("orders_void", order(ALICE, "CHF", "0, 100", monthly, "true, '2024-05-02'", "null")),
        ("orders_void", order(ALICE, "CHF", "0, 100", monthly, "true, null", "null")),
        ("order_cursor_closed", "update order_cursor set closed = not closed".to_owned()),
        ("order_cursor_order_id_fkey", "insert into order_cursor (order_id, user_id, due_at) values (99, 2, now())".to_owned()),
        ("orders_replaces_other", "insert into orders overriding system value select (jsonb_populate_record(o, '{\"order_id\": 77, \"replaces\": 77, \"void\": true}')).* from orders o where order_id = 4".to_owned()),
    ];
    for (constraint, sql) in cases {
        let result = execute(&pool, &sql).await;
        assert_refused(result, constraint, &sql);
    }
}

#[tokio::test]
async fn bill_item_or_order_part_with_invalid_values_is_refused() {
    let pool = billed().await;
    let line = |currency: &str, text: &str, net: i64, reason: &str| {
        format!(
            "insert into bill_item (user_id, currency, description, net_cents, service_at, reason, created_by)
             values (2, '{currency}', '{text}', {net}, now(), '{reason}', 1)"
        )
    };
    execute(&pool, &line("CHF", "x", 100, "y")).await.expect("a line");
    let part = |quantity: i64, micros: i64| {
        format!(
            "insert into order_part (order_id, position, product_id, quantity, new_quantity, one_time_micros, recurring_micros) select 2, 1, product_id, 1, {quantity}, 0, {micros} from product limit 1"
        )
    };
    let cases = vec![
        ("bill_item_currency_form", line("francs", "x", 100, "y")),
        ("bill_item_text", line("CHF", "", 100, "y")),
        ("bill_item_text", line("CHF", "x", 100, "")),
        ("bill_item_not_zero", line("CHF", "x", 0, "y")),
        ("bill_item_voided", "update bill_item set voided_at = now()".to_owned()),
        ("bill_item_voided", "update bill_item set voided_at = now(), voided_by = 1, billed = true".to_owned()),
        ("bill_item_final", "update bill_item set net_cents = 1".to_owned()),
        ("bill_item_final", "delete from bill_item".to_owned()),
        ("order_part_sum", part(1, 19_990_000)),
        ("order_part_new_quantity", part(2, 20_000_000)),
    ];
    assert_all_refused(&pool, cases).await;
    execute(&pool, &part(1, 20_000_000)).await.expect("it adds up");
    let sql = "update order_part set quantity = 2";
    assert_refused(execute(&pool, sql).await, "order_part_final", sql);
}
