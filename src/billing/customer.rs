//! Bills customers: reads what is due, generates the bills and writes them. All bills are created here: runs, staff's
//! bill for one customer, the preview and the simulation call this module within their own transactions.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{bill_run::Run, db};
use crate::{
    billing::{customer_bills::CustomerBills, problem::Problem},
    code::Code,
    error::Error,
    money::{
        draft::{BillableItems, generate_bills},
        vat_rates::RateTable,
    },
    orders, parties,
};

/// Bills these customers, in ascending order of id, as of the run's time. Returns the customers that could not be
/// billed; nothing is written for them. On a database error nothing is written at all.
pub(super) async fn bill_customers(
    tx: &mut PgConnection,
    run: &Run,
    rates: &RateTable,
    users: &[i64],
) -> Result<Vec<Problem>, Error> {
    db::lock_customers(tx, users).await?;
    let addresses = parties::vat_addresses(tx, users).await?;
    let billed_then = db::billed_at(tx, users, run.as_of).await?;
    let mut due = due(tx, users, run.as_of).await?;
    let (mut bills, mut problems) = (Vec::with_capacity(users.len()), Vec::new());
    for &user_id in users {
        let Some(due) = due.remove(&user_id) else { continue };
        let Some(address) = addresses.get(&user_id) else {
            let detail = "has no billing address; the customer sets it with PUT /v1/billing_address";
            problems.push(Problem::new(user_id, Code::NoBillingAddress, detail));
            continue;
        };
        let treatment = parties::treatment(run.seller, address)?;
        match generate_bills(due, treatment, rates, run.cash_rounding, run.as_of) {
            Ok((drafts, _)) if drafts.iter().any(|draft| billed_then.contains(&(user_id, draft.currency))) => {
                let detail = "already has a bill of this second; the next run bills the rest";
                problems.push(Problem::new(user_id, Code::AlreadyBilled, detail));
            }
            Ok((drafts, cursor_updates)) => {
                bills.push(CustomerBills { user_id, address_id: address.id, drafts, cursor_updates });
            }
            Err(error) => problems.push(Problem::of(user_id, &error)),
        }
    }
    db::write(tx, run, &bills).await?;
    Ok(problems)
}

/// Returns what is due, by customer. The caller must have locked the customers.
async fn due(tx: &mut PgConnection, users: &[i64], as_of: DateTime<Utc>) -> Result<HashMap<i64, BillableItems>, Error> {
    let mut due: HashMap<i64, BillableItems> = HashMap::with_capacity(users.len());
    let empty = || BillableItems { orders: Vec::new(), charged: Vec::new(), manual: Vec::new() };
    let mut past_end: HashMap<i64, i64> = HashMap::new();
    for order in orders::due(tx, users, as_of).await? {
        if order.ends_at.is_some_and(|end| end < order.charged_from()) {
            past_end.insert(order.order_id, order.user_id);
        }
        due.entry(order.user_id).or_insert_with(empty).orders.push(order);
    }
    if !past_end.is_empty() {
        let orders: Vec<i64> = past_end.keys().copied().collect();
        for charged in db::charged_past_end(tx, &orders).await? {
            if let Some(due) = past_end.get(&charged.order_id).and_then(|user_id| due.get_mut(user_id)) {
                due.charged.push(charged);
            }
        }
    }
    for (user_id, item) in db::open_manual_items(tx, users, as_of).await? {
        due.entry(user_id).or_insert_with(empty).manual.push(item);
    }
    Ok(due)
}
