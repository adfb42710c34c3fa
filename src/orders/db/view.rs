//! The queries on orders as they are shown.

use sqlx::{PgExecutor, types::Json};

use crate::{
    http::{PageQuery, in_order},
    money::{
        charge::{BillingMode, UpgradeCredit},
        period::Unit,
        unit_price::UnitPrice,
    },
    orders::order_view::{Filter, OrderView, PartView, PendingAction},
    services::Delivery,
};

/// Returns a page of the orders.
pub(in crate::orders) async fn views(
    db: impl PgExecutor<'_>,
    filter: &Filter,
    window: PageQuery,
) -> sqlx::Result<Vec<OrderView>> {
    in_order!(
        window,
        db,
        query_as<OrderView>,
        id "orders.order_id",
        r#"select orders.order_id, users.username, product.name as "product?",
                  case when network_id is not null then 'vpn_network' else coalesce(product.delivery, 'manual') end
                      as "delivery!: Delivery",
                  orders.description, orders.parameters, currency, one_time_micros as "one_time: UnitPrice",
                  recurring_micros as "recurring: UnitPrice", period_unit as "period_unit: Unit", period_count,
                  orders.billing_mode as "billing_mode: BillingMode", commitment_periods,
                  carried_commitment_ends_at, upgrade_credit as "upgrade_credit: UpgradeCredit",
                  starts_at, ordered_at, orderer.username as "ordered_by?", replaces,
                  next.order_id as "replaced_by?", billing_ends_at, void, billed_through, closed,
                  deliver_at, delivered_at, terminate_at, terminated_at, network_id as "network_id?",
                  delivered.order_id as "delivered_order?", delivered.parameters as "delivered_parameters?",
                  pending_action as "pending_action?: PendingAction", date_trunc('second', now()) as "now!",
                  coalesce((select jsonb_agg(jsonb_build_object(
                                'product', sold.name, 'parameter', parameter, 'quantity', quantity,
                                'new_quantity', new_quantity, 'one_time_micros', part.one_time_micros,
                                'recurring_micros', part.recurring_micros)
                                order by position)
                            from order_part part join product sold using (product_id)
                            where part.order_id = orders.order_id), '[]') as "parts!: Json<Vec<PartView>>"
           from orders
           join order_cursor using (order_id)
           join users on users.user_id = orders.user_id
           left join users orderer on orderer.user_id = ordered_by
           left join product on product.product_id = orders.product_id
           left join vpn_network network on network.order_id = orders.order_id
           left join lateral (
               select order_id, deliver_at <= now() as is_due from orders successor
               where successor.replaces = orders.order_id and not successor.void) next on true
           -- The order in its line whose configuration is there now.
           left join lateral (
               with recursive line as (
                   select seed.order_id, seed.replaces, seed.parameters,
                          seed.delivered_at is not null and seed.terminated_at is null as there
                   from orders seed where seed.order_id = orders.order_id
                   union
                   select near.order_id, near.replaces, near.parameters,
                          near.delivered_at is not null and near.terminated_at is null
                   from line join orders near
                       on near.order_id = line.replaces or (near.replaces = line.order_id and (not near.void or near.delivered_at is not null)))
               select order_id, parameters from line where there order by order_id desc limit 1) delivered on true
           cross join lateral (
               select case
                   when network_id is not null or product.delivery <> 'manual' then null
                   when delivered_at is null and not void and deliver_at <= now() and next.is_due is not true
                       and (terminate_at is null or terminate_at > now()) then 'deliver'
                   when terminate_at <= now() and terminated_at is null and next.order_id is null
                       and delivered.order_id is not null then 'terminate'
               end as pending_action) work
           where ($3::bigint is null or orders.user_id = $3)
               and ($4::text is null or users.username = $4) and ($5::text is null or product.name = $5)
               and ($6::boolean is null or closed <> $6)
               and (not $7::boolean or pending_action is not null and orders.order_id = any (array(
                   select wait.order_id from orders wait where wait.delivered_at is null and not wait.void
                   union all
                   select wait.order_id from orders wait where wait.terminate_at is not null and wait.terminated_at is null)))"#,
        filter.user_id,
        filter.username,
        filter.product,
        filter.open,
        filter.needs_action,
    )
}
