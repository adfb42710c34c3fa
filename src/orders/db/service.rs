//! The queries on the service of an order.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::services;

/// The state of an order's service.
pub(in crate::orders) struct Delivery {
    pub void: bool,
    pub deliver_at: DateTime<Utc>,
    pub delivered_at: Option<DateTime<Utc>>,
    pub terminate_at: Option<DateTime<Utc>>,
    pub terminated_at: Option<DateTime<Utc>>,
    pub replaced_by: Option<i64>,
    /// True when the replacing order should be provisioned by now.
    pub is_overtaken: bool,
    /// The way in which the order is provisioned.
    pub by: services::Delivery,
    /// True when a service has provisioned something for the order.
    pub is_provisioned: bool,
}

/// Returns the state of an order's service. The order must exist.
pub(in crate::orders) async fn delivery(tx: &mut PgConnection, order_id: i64) -> sqlx::Result<Delivery> {
    sqlx::query_as!(
        Delivery,
        r#"select old.void, old.deliver_at, old.delivered_at, old.terminate_at, old.terminated_at,
                  new.order_id as "replaced_by?", coalesce(new.deliver_at <= clock_timestamp(), false) as "is_overtaken!",
                  case when network_id is not null then 'vpn_network' else coalesce(product.delivery, 'manual') end
                      as "by!: services::Delivery",
                  network_id is not null as "is_provisioned!"
           from orders old
           left join orders new on new.replaces = old.order_id and not new.void
           left join product on product.product_id = old.product_id
           left join vpn_network network on network.order_id = old.order_id
           where old.order_id = $1"#,
        order_id
    )
    .fetch_one(tx)
    .await
}

pub(in crate::orders) async fn set_deliver_at(
    tx: &mut PgConnection,
    order_id: i64,
    at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!("update orders set deliver_at = $2 where order_id = $1", order_id, at).execute(tx).await.map(drop)
}

/// Sets the time at which an order's service ends, if it was or will be provisioned.
pub(in crate::orders) async fn set_terminate_at(
    tx: &mut PgConnection,
    order_id: i64,
    at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update orders set terminate_at = $2
         where order_id = $1 and terminated_at is null and (delivered_at is not null or not void)",
        order_id,
        at
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Marks an order as provisioned, which ends the service of the orders that it replaces, directly or not, and of their
/// other replacements.
pub(in crate::orders) async fn mark_delivered(
    tx: &mut PgConnection,
    order_id: i64,
    now: DateTime<Utc>,
    staff_id: i64,
) -> sqlx::Result<()> {
    sqlx::query!(
        "with recursive line as (
             select order_id, replaces from orders where order_id = $1
             union all
             select near.order_id, near.replaces from line join orders old on old.order_id = line.replaces
                 cross join lateral (
                     select old.order_id, old.replaces
                     union all
                     select void.order_id, null from orders void where void.replaces = old.order_id and void.void) near),
         gone as (
             update orders set terminate_at = coalesce(terminate_at, $2), terminated_at = $2, terminated_by = $3
             where order_id in (select order_id from line) and order_id <> $1
                 and delivered_at is not null and terminated_at is null)
         update orders set delivered_at = $2, delivered_by = $3 where order_id = $1",
        order_id,
        now,
        staff_id,
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Marks an order's service as terminated, together with the orders that it replaces, directly or not.
pub(in crate::orders) async fn mark_terminated(
    tx: &mut PgConnection,
    order_id: i64,
    now: DateTime<Utc>,
    staff_id: Option<i64>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "with recursive line as (
             select order_id, replaces from orders where order_id = $1
             union all
             select old.order_id, old.replaces from line join orders old on old.order_id = line.replaces)
         update orders set terminate_at = coalesce(terminate_at, $2), terminated_at = $2, terminated_by = $3
         where order_id in (select order_id from line)
             and (order_id = $1 or delivered_at is not null) and terminated_at is null",
        order_id,
        now,
        staff_id,
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Writes the present value of an order's parameter.
pub(in crate::orders) async fn set_parameter(
    tx: &mut PgConnection,
    order_id: i64,
    name: &str,
    value: &str,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update orders set parameters = parameters || jsonb_build_object($2::text, $3::text) where order_id = $1",
        order_id,
        name,
        value
    )
    .execute(tx)
    .await
    .map(drop)
}
