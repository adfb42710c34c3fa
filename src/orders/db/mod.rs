//! The queries on orders.

mod billing;
mod customer;
mod service;
mod view;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

pub use billing::{due, move_cursors};
pub(super) use customer::{Customer, dependents, locked_customer, locked_owner, not_had, owner};
pub(super) use service::{
    Delivery, delivery, mark_delivered, mark_terminated, set_deliver_at, set_parameter, set_terminate_at,
};
pub(super) use view::views;

use super::new_order::NewOrder;
use crate::{
    error::Error,
    money::{
        Billed, Order,
        amount::Amount,
        charge::{BillingMode, UpgradeCredit},
        period::{RecurringPeriod, Unit},
    },
};

/// The row of an order, from which [`Order`] is made.
#[derive(Debug)]
#[expect(missing_docs, reason = "the table's columns, explained there")]
pub struct OrderRow {
    pub order_id: i64,
    pub user_id: i64,
    pub currency: String,
    pub one_time: Amount,
    pub recurring: Amount,
    pub period_unit: Option<Unit>,
    pub period_count: Option<i32>,
    pub billing_mode: BillingMode,
    pub commitment_periods: i32,
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

/// Returns one order of a customer.
pub async fn find(tx: &mut PgConnection, order_id: i64, user_id: i64) -> Result<Order, Error> {
    let row = sqlx::query_as!(
        OrderRow,
        r#"select order_id, user_id, currency, one_time_cents as "one_time: Amount", recurring_cents as "recurring: Amount",
                  period_unit as "period_unit: Unit", period_count, billing_mode as "billing_mode: BillingMode", commitment_periods,
                  upgrade_credit as "upgrade_credit: UpgradeCredit", time_zone, starts_at, billing_ends_at, replaces, void,
                  billed_through, one_time_billed
           from orders where order_id = $1 and user_id = $2"#,
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
        r#"select order_id, user_id, currency, one_time_cents as "one_time: Amount", recurring_cents as "recurring: Amount",
                  period_unit as "period_unit: Unit", period_count, billing_mode as "billing_mode: BillingMode", commitment_periods,
                  upgrade_credit as "upgrade_credit: UpgradeCredit", time_zone, starts_at, billing_ends_at, replaces, void,
                  billed_through, one_time_billed
           from orders where replaces = $1 and not void"#,
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
    let due_at = order.due_at();
    let cents = |amount: fn(&super::PriceComponent) -> i64| new.parts.iter().map(amount).collect::<Vec<i64>>();
    let products: Vec<i64> = new.parts.iter().map(|part| part.product_id).collect();
    let parameters: Vec<Option<String>> = new.parts.iter().map(|part| part.parameter.clone()).collect();
    let quantities: Vec<i32> = new.parts.iter().map(|part| part.quantity).collect();
    let order_id = sqlx::query_scalar!(
        r#"with placed as (
               insert into orders (user_id, product_id, description, parameters, currency, one_time_cents, recurring_cents,
                   period_unit, period_count, billing_mode, commitment_periods, upgrade_credit, time_zone, starts_at, replaces,
                   ordered_at, ordered_by, due_at, closed, deliver_at, delivered_at)
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $18::timestamptz is null, $19, $25)
               returning order_id),
           parts as (
               insert into order_part (order_id, position, product_id, parameter, quantity, one_time_cents, recurring_cents)
               select order_id, position, product_id, parameter, quantity, one_time_cents, recurring_cents
               from placed, unnest($20::bigint[], $21::text[], $22::integer[], $23::bigint[], $24::bigint[])
                   with ordinality as part (product_id, parameter, quantity, one_time_cents, recurring_cents, position))
           select order_id as "order_id!" from placed"#,
        order.user_id,
        new.product_id,
        new.description,
        new.parameters,
        order.currency.as_str(),
        order.one_time.cents(),
        order.recurring.cents(),
        order.period.map(RecurringPeriod::unit) as Option<Unit>,
        order.period.map(RecurringPeriod::count),
        order.billing_mode as BillingMode,
        i32::try_from(order.commitment_periods).map_err(anyhow::Error::new)?,
        order.upgrade_credit as UpgradeCredit,
        order.zone.name(),
        order.starts_at,
        order.replaces,
        ordered_at,
        new.ordered_by,
        due_at,
        deliver_at,
        &products,
        &parameters as &[Option<String>],
        &quantities,
        &cents(|part| part.one_time.cents()),
        &cents(|part| part.recurring.cents()),
        delivered_at,
    )
    .fetch_one(tx)
    .await?;
    Ok(order_id)
}

/// Writes an order's end and its consequences. `terminate_at` is the time at which the service ends, if there is one.
pub(super) async fn end(tx: &mut PgConnection, order: &Order, terminate_at: Option<DateTime<Utc>>) -> sqlx::Result<()> {
    let due_at = order.due_at();
    sqlx::query!(
        "update orders set billing_ends_at = $2, void = $3, due_at = $4, closed = $4::timestamptz is null,
             terminate_at = case when delivered_at is null and $3 then null else coalesce($5, terminate_at) end
         where order_id = $1",
        order.order_id,
        order.ends_at,
        order.void,
        due_at,
        terminate_at,
    )
    .execute(tx)
    .await
    .map(drop)
}
