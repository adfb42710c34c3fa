//! `uncloud bill verify`: what it finds that no constraint has refused.

use crate::books::{assert_sound, bill_all, books, customers, place, sql, terms, this_year};

#[tokio::test]
async fn verify_after_changes_without_constraints_finds_all_faults() {
    const TABLES: [&str; 5] = ["order_cursor", "bill", "bill_number", "bill_charge", "bill_vat"];
    let pool = books().await;
    let mut orders = Vec::new();
    for user in customers(&pool, 4).await {
        orders.push(place(&pool, &terms(user, "10.00"), "2024-01-01").await.order_id);
    }
    bill_all(&pool, "2024-02-15").await;
    assert_sound(&pool).await;
    for table in TABLES {
        sql(&pool, &format!("alter table {table} disable trigger all")).await;
    }
    sql(
        &pool,
        &format!(
            "update bill_charge set net_cents = 999 where order_id = {} and charge_from = '2024-01-01'",
            orders[0]
        ),
    )
    .await;
    sql(&pool, &format!("delete from bill_charge where order_id = {} and charge_from > '2024-01-01'", orders[1])).await;
    sql(&pool, &format!("update order_cursor set closed = true, due_at = null where order_id = {}", orders[2])).await;
    sql(&pool, "update bill_number set sequence = 99 where sequence = 4").await;
    let foreign = format!("update bill set user_id = 1, net_cents = net_cents where user_id = {}", orders.len() + 3);
    sql(&pool, &foreign).await;
    sql(
        &pool,
        &format!(
            "update bill set content = jsonb_set(content::jsonb, '{{lines,0,kind}}', '\"one_time\"')::json
             where bill_id = (select min(bill_id) from bill_charge where order_id = {})",
            orders[2]
        ),
    )
    .await;
    sql(
        &pool,
        "insert into bill_item (user_id, currency, description, net_cents, service_at, reason, created_by, billed)
         values (2, 'CHF', 'x', 100, '2024-01-01', 'x', 1, true)",
    )
    .await;
    for table in TABLES {
        sql(&pool, &format!("alter table {table} enable trigger all")).await;
    }
    let faults = uncloud::billing::verify::verify(&pool).await.expect("verified");
    let found: Vec<(i64, &str)> =
        faults.iter().filter_map(|fault| Some((fault.order_id?, fault.detail.as_str()))).collect();
    assert!(
        found.iter().any(|(id, detail)| *id == orders[0] && detail.contains("19.99 and should be 20.00")),
        "{found:?}"
    );
    assert!(
        found.iter().any(|(id, detail)| *id == orders[1] && detail.contains("10.00 and should be 20.00")),
        "{found:?}"
    );
    assert!(found.iter().any(|(id, detail)| *id == orders[1] && detail.contains("cursor")), "{found:?}");
    assert!(found.iter().any(|(id, detail)| *id == orders[2] && detail.contains("due")), "{found:?}");
    assert!(found.iter().all(|(id, _)| *id != orders[3]), "{found:?}");
    let of_bills: Vec<&str> =
        faults.iter().filter(|fault| fault.order_id.is_none()).map(|fault| fault.detail.as_str()).collect();
    let not_its_records = "its totals are not those of its records";
    let strange = "it has records of another customer or currency";
    let misprinted = "its lines are not those of its records";
    let marked = "bill item 1 is marked as billed and on no bill, or the reverse";
    let missing = format!("95 bill numbers of {} are missing", this_year());
    assert_eq!(
        of_bills,
        [not_its_records, not_its_records, misprinted, strange, marked, missing.as_str()],
        "{faults:?}"
    );
}
