//! The queries on customers and on the ownership of orders.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use sqlx::PgConnection;

use super::{lock_customer, not_found};
use crate::error::Error;

/// The properties of a customer that an order depends on.
#[derive(Debug, Clone)]
pub(in crate::orders) struct Customer {
    /// The database's time in whole seconds, as in orders. Several servers may have different clocks.
    pub now: DateTime<Utc>,
    /// The database's time in microseconds: a product that is put on sale in this second is on sale in the rest of it.
    pub instant: DateTime<Utc>,
    /// The seller's time zone; UTC until a seller is set.
    pub time_zone: String,
    pub has_billing_address: bool,
}

impl Customer {
    /// Returns the time zone of calendar periods.
    pub fn zone(&self) -> Result<Tz, Error> {
        Ok(self
            .time_zone
            .parse()
            .map_err(|_| anyhow::anyhow!("the seller's {} is not a valid time zone", self.time_zone))?)
    }
}

/// Locks the customer and returns the state after all earlier changes of the customer's orders; later changes wait for
/// this transaction.
pub(in crate::orders) async fn locked_customer(tx: &mut PgConnection, user_id: i64) -> sqlx::Result<Customer> {
    lock_customer(tx, user_id).await?;
    // This statement follows the lock, so that it sees the changes of the lock's last holder.
    sqlx::query_as!(
        Customer,
        r#"select date_trunc('second', instant) as "now!", instant as "instant!",
                  coalesce((select time_zone from seller order by seller_id desc limit 1), 'UTC') as "time_zone!",
                  exists (select from billing_address where user_id = $1 and replaced_at is null) as "has_billing_address!"
           from (select clock_timestamp() as instant offset 0) clock"#,
        user_id
    )
    .fetch_one(tx)
    .await
}

/// Returns the id of an order's customer. `own`: the order must belong to this user.
pub(in crate::orders) async fn owner(
    tx: &mut PgConnection,
    order_id: i64,
    own: Option<i64>,
) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar!(
        "select user_id from orders where order_id = $1 and ($2::bigint is null or user_id = $2)",
        order_id,
        own
    )
    .fetch_optional(tx)
    .await
}

/// Locks an order's customer. `own`: the order must belong to this user.
pub(in crate::orders) async fn locked_owner(
    tx: &mut PgConnection,
    order_id: i64,
    own: Option<i64>,
) -> Result<(i64, Customer), Error> {
    let user_id = owner(tx, order_id, own).await?.ok_or_else(|| not_found(order_id))?;
    Ok((user_id, locked_customer(tx, user_id).await?))
}

/// Returns those of the products that no running order of the customer contains.
pub(in crate::orders) async fn not_had(
    tx: &mut PgConnection,
    user_id: i64,
    product_ids: &[i64],
) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar!(
        r#"select wanted as "wanted!" from unnest($2::bigint[]) as wanted
           where not exists (
               select from orders join order_part part using (order_id)
               where user_id = $1 and not void and billing_ends_at is null and terminate_at is null
                   and part.product_id = wanted)"#,
        user_id,
        product_ids
    )
    .fetch_all(tx)
    .await
}

/// Returns the names of the products that an order requires, and that neither it nor another running order of its
/// customer contains.
pub(in crate::orders) async fn unmet(tx: &mut PgConnection, order_id: i64) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        "select distinct required.name
         from orders
         join order_part part using (order_id)
         join product_requirement requirement on requirement.product_id = part.product_id
         join product required on required.product_id = required_id
         where orders.order_id = $1 and not exists (
             select from orders provider join order_part contained using (order_id)
             where provider.user_id = orders.user_id and not provider.void and contained.product_id = required_id
                 and (provider.order_id = orders.order_id
                     or (provider.billing_ends_at is null and provider.terminate_at is null)))
         order by required.name",
        order_id
    )
    .fetch_all(tx)
    .await
}

/// Another order of the customer that outlives an order and needs a product of it.
pub(in crate::orders) struct Dependent {
    pub order_id: i64,
    pub description: String,
    pub required: String,
}

/// Returns the orders that require a product of this order and would not have it from another order once this one ends.
pub(in crate::orders) async fn dependents(tx: &mut PgConnection, order_id: i64) -> sqlx::Result<Vec<Dependent>> {
    sqlx::query_as!(
        Dependent,
        r#"with gone as (
               select order_id, user_id, coalesce(least(billing_ends_at, terminate_at), 'infinity') as until
               from orders where order_id = $1),
           other as (
               select orders.order_id, description, not void as is_real,
                      coalesce(least(billing_ends_at, terminate_at), 'infinity') as until
               from orders join gone using (user_id) where orders.order_id <> gone.order_id)
           select distinct dependent.order_id, dependent.description, required.name as required
           from gone
           join other dependent on dependent.is_real and dependent.until > gone.until
           join order_part piece on piece.order_id = dependent.order_id
           join product_requirement requirement on requirement.product_id = piece.product_id
           join product required on required.product_id = required_id
           where required_id in (select product_id from order_part where order_id = gone.order_id)
               and required_id not in (select product_id from order_part where order_id = dependent.order_id)
               and not exists (
                   select from other provider join order_part using (order_id)
                   where provider.is_real and provider.until >= dependent.until and order_part.product_id = required_id)
           order by dependent.order_id"#,
        order_id
    )
    .fetch_all(tx)
    .await
}
