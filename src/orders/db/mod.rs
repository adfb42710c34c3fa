//! The queries on orders.

mod billing;
mod customer;
mod service;
mod view;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, types::Json};

pub use billing::{DueOrder, due, move_cursors, successors};
pub(super) use customer::{Customer, dependents, locked_customer, locked_owner, not_had, owner, unmet};
pub(super) use service::{
    Delivery, delivery, mark_delivered, mark_terminated, set_deliver_at, set_parameter, set_terminate_at,
};
pub(super) use view::views;

use super::new_order::NewOrder;
use crate::{
    error::Error,
    money::{
        Billed, Order,
        charge::{BillingMode, UpgradeCredit},
        period::{RecurringPeriod, Unit},
        unit_price::UnitPrice,
    },
};

/// The row of an order, from which [`Order`] is made.
#[derive(Debug)]
#[expect(missing_docs, reason = "the table's columns, explained there")]
pub struct OrderRow {
    pub order_id: i64,
    pub user_id: i64,
    pub currency: String,
    pub one_time: UnitPrice,
    pub recurring: UnitPrice,
    pub period_unit: Option<Unit>,
    pub period_count: Option<i32>,
    pub billing_mode: BillingMode,
    pub commitment_periods: i32,
    pub carried_commitment_ends_at: Option<DateTime<Utc>>,
    pub upgrade_credit: UpgradeCredit,
    pub time_zone: String,
    pub starts_at: DateTime<Utc>,
    pub billing_ends_at: Option<DateTime<Utc>>,
    pub replaces: Option<i64>,
    pub void: bool,
    pub billed_through: Option<DateTime<Utc>>,
    pub one_time_billed: bool,
}

/// Converts a row. The database checks these values, so this fails only after a change of the schema.
impl TryFrom<OrderRow> for Order {
    type Error = anyhow::Error;

    fn try_from(row: OrderRow) -> anyhow::Result<Self> {
        let period = match row.period_unit.zip(row.period_count) {
            Some((unit, count)) => Some(RecurringPeriod::new(unit, count)?),
            None => None,
        };
        Ok(Self {
            order_id: row.order_id,
            user_id: row.user_id,
            currency: row.currency.parse()?,
            one_time: row.one_time,
            recurring: row.recurring,
            period,
            billing_mode: row.billing_mode,
            commitment_periods: row.commitment_periods.try_into()?,
            carried_commitment_ends_at: row.carried_commitment_ends_at,
            upgrade_credit: row.upgrade_credit,
            zone: row.time_zone.parse().map_err(|_| anyhow::anyhow!("{} is not a valid time zone", row.time_zone))?,
            starts_at: row.starts_at,
            ends_at: row.billing_ends_at,
            replaces: row.replaces,
            void: row.void,
            billed: Billed { through: row.billed_through, one_time: row.one_time_billed },
        })
    }
}

/// Locks the customer's orders and bills against other changes until the transaction ends.
pub async fn lock_customer(tx: &mut PgConnection, user_id: i64) -> sqlx::Result<()> {
    sqlx::query!("select from users where user_id = $1 for no key update", user_id).execute(tx).await.map(drop)
}

/// Returns these orders by id.
pub async fn read_all(tx: &mut PgConnection, orders: &[i64]) -> Result<Vec<Order>, Error> {
    let rows = sqlx::query_as!(
        OrderRow,
        r#"select order_id, orders.user_id, currency, one_time_micros as "one_time: UnitPrice",
                  recurring_micros as "recurring: UnitPrice", period_unit as "period_unit: Unit", period_count,
                  billing_mode as "billing_mode: BillingMode", commitment_periods, carried_commitment_ends_at,
                  upgrade_credit as "upgrade_credit: UpgradeCredit", time_zone, starts_at, billing_ends_at, replaces, void,
                  billed_through, one_time_billed
           from orders join order_cursor using (order_id) where order_id = any($1) order by order_id"#,
        orders
    )
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(Order::try_from).collect::<Result<_, _>>()?)
}

/// Returns one order of a customer.
pub async fn find(tx: &mut PgConnection, order_id: i64, user_id: i64) -> Result<Order, Error> {
    let row = sqlx::query_as!(
        OrderRow,
        r#"select order_id, orders.user_id, currency, one_time_micros as "one_time: UnitPrice",
                  recurring_micros as "recurring: UnitPrice", period_unit as "period_unit: Unit", period_count,
                  billing_mode as "billing_mode: BillingMode", commitment_periods, carried_commitment_ends_at,
                  upgrade_credit as "upgrade_credit: UpgradeCredit", time_zone, starts_at, billing_ends_at, replaces, void,
                  billed_through, one_time_billed
           from orders join order_cursor using (order_id) where order_id = $1 and orders.user_id = $2"#,
        order_id,
        user_id
    )
    .fetch_optional(tx)
    .await?;
    let row = row.ok_or_else(|| not_found(order_id))?;
    Ok(row.try_into()?)
}

pub(super) fn not_found(order_id: i64) -> Error {
    Error::NotFound(format!("order {order_id} not found").into())
}

/// Locks a customer, then returns one of the customer's orders.
pub(super) async fn lock(tx: &mut PgConnection, order_id: i64, user_id: i64) -> Result<Order, Error> {
    lock_customer(tx, user_id).await?;
    find(tx, order_id, user_id).await
}

/// Returns the order that replaced this one.
pub(super) async fn successor(tx: &mut PgConnection, order_id: i64) -> Result<Option<Order>, Error> {
    let row = sqlx::query_as!(
        OrderRow,
        r#"select order_id, orders.user_id, currency, one_time_micros as "one_time: UnitPrice",
                  recurring_micros as "recurring: UnitPrice", period_unit as "period_unit: Unit", period_count,
                  billing_mode as "billing_mode: BillingMode", commitment_periods, carried_commitment_ends_at,
                  upgrade_credit as "upgrade_credit: UpgradeCredit", time_zone, starts_at, billing_ends_at, replaces, void,
                  billed_through, one_time_billed
           from orders join order_cursor using (order_id) where replaces = $1 and not void"#,
        order_id
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(Order::try_from).transpose()?)
}

/// Writes a new order and the components of its price; returns the order's id.
pub(super) async fn insert(
    tx: &mut PgConnection,
    order: &Order,
    new: &NewOrder,
    ordered_at: DateTime<Utc>,
    deliver_at: DateTime<Utc>,
    delivered_at: Option<DateTime<Utc>>,
) -> Result<i64, Error> {
    let micros = |price: fn(&super::PriceComponent) -> i64| new.parts.iter().map(price).collect::<Vec<i64>>();
    let products: Vec<i64> = new.parts.iter().map(|part| part.product_id).collect();
    let parameters: Vec<Option<String>> = new.parts.iter().map(|part| part.parameter.clone()).collect();
    let quantities: Vec<i32> = new.parts.iter().map(|part| part.quantity).collect();
    let new_quantities: Vec<i32> = new.parts.iter().map(|part| part.new_quantity).collect();
    let order_id = sqlx::query_scalar!(
        r#"with placed as (
               insert into orders (user_id, product_id, description, parameters, currency, one_time_micros, recurring_micros,
                   period_unit, period_count, billing_mode, commitment_periods, carried_commitment_ends_at, upgrade_credit,
                   time_zone, starts_at, replaces, ordered_at, ordered_by, deliver_at, delivered_at, descriptions)
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $28)
               returning order_id),
           cursor as (
               insert into order_cursor (order_id, user_id, due_at, closed)
               select order_id, $1, $21, $21::timestamptz is null from placed),
           parts as (
               insert into order_part (order_id, position, product_id, parameter, quantity, new_quantity, one_time_micros,
                   recurring_micros)
               select order_id, position, product_id, parameter, quantity, new_quantity, one_time_micros, recurring_micros
               from placed, unnest($22::bigint[], $23::text[], $24::integer[], $25::integer[], $26::bigint[], $27::bigint[])
                   with ordinality as part (product_id, parameter, quantity, new_quantity, one_time_micros, recurring_micros,
                       position))
           select order_id as "order_id!" from placed"#,
        order.user_id,
        new.product_id,
        new.description,
        new.parameters,
        order.currency.as_str(),
        order.one_time.micros(),
        order.recurring.micros(),
        order.period.map(RecurringPeriod::unit) as Option<Unit>,
        order.period.map(RecurringPeriod::count),
        order.billing_mode as BillingMode,
        i32::try_from(order.commitment_periods).map_err(anyhow::Error::new)?,
        order.carried_commitment_ends_at,
        order.upgrade_credit as UpgradeCredit,
        order.zone.name(),
        order.starts_at,
        order.replaces,
        ordered_at,
        new.ordered_by,
        deliver_at,
        delivered_at,
        order.due_at(),
        &products,
        &parameters as &[Option<String>],
        &quantities,
        &new_quantities,
        &micros(|part| part.one_time.micros()),
        &micros(|part| part.recurring.micros()),
        Json(&new.descriptions) as _,
    )
    .fetch_one(tx)
    .await?;
    Ok(order_id)
}

/// Returns the quantities of an order's components, and how many of each are new.
pub(super) async fn parts(
    tx: &mut PgConnection,
    order_id: i64,
) -> sqlx::Result<HashMap<(i64, Option<String>), (i32, i32)>> {
    let rows = sqlx::query!(
        "select product_id, parameter, quantity, new_quantity from order_part where order_id = $1",
        order_id
    )
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(|row| ((row.product_id, row.parameter), (row.quantity, row.new_quantity))).collect())
}

/// Keeps the end that a cancellation has set, for the case that the downgrade which replaces it is undone.
pub(super) async fn keep_cancellation(
    tx: &mut PgConnection,
    order_id: i64,
    ends_at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!("update orders set cancelled_ends_at = $2 where order_id = $1", order_id, ends_at)
        .execute(tx)
        .await
        .map(drop)
}

/// Takes back and returns the end that a cancellation had set before a downgrade replaced it.
pub(super) async fn take_cancellation(tx: &mut PgConnection, order_id: i64) -> sqlx::Result<Option<DateTime<Utc>>> {
    sqlx::query_scalar!(
        r#"update orders set cancelled_ends_at = null
           from orders before where before.order_id = orders.order_id and orders.order_id = $1
           returning before.cancelled_ends_at as "cancelled_ends_at?""#,
        order_id
    )
    .fetch_one(tx)
    .await
}

/// Takes an order's end back.
pub(super) async fn reopen(tx: &mut PgConnection, order: &Order) -> sqlx::Result<()> {
    sqlx::query!(
        "with cursor as (
             update order_cursor set due_at = $2, closed = $2::timestamptz is null where order_id = $1)
         update orders set billing_ends_at = null, terminate_at = null where order_id = $1",
        order.order_id,
        order.due_at()
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Writes an order's end and its consequences. `terminate_at` is the time at which the service ends, if there is one.
pub(super) async fn end(tx: &mut PgConnection, order: &Order, terminate_at: Option<DateTime<Utc>>) -> sqlx::Result<()> {
    sqlx::query!(
        "with cursor as (
             update order_cursor set due_at = $4, closed = $4::timestamptz is null where order_id = $1)
         update orders set billing_ends_at = $2, void = $3,
             terminate_at = case when delivered_at is null and $3 then null else coalesce($5, terminate_at) end
         where order_id = $1",
        order.order_id,
        order.ends_at,
        order.void,
        order.due_at(),
        terminate_at,
    )
    .execute(tx)
    .await
    .map(drop)
}
