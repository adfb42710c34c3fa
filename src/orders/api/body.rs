//! Orders in responses.

use chrono::{DateTime, Utc};
use poem_openapi::{
    Object,
    types::{Any, ToJSON as _},
};
use serde_json::Value as Json;

use crate::{
    catalog::Product,
    error::Error,
    http::Representation,
    money::{
        amount::Currency,
        charge::{BillingMode, UpgradeCredit},
        period::RecurringPeriod,
        unit_price::UnitPrice,
    },
    orders::{
        order_view::{OrderView, PendingAction, Status},
        view::last_second,
    },
    services::Delivery,
};

/// A component of a price.
#[derive(Debug, Object)]
#[oai(rename = "OrderPart", skip_serializing_if_is_none)]
pub(super) struct PartBody {
    /// The name of the product, or of a component of the bundle.
    pub(super) product: String,
    /// The product's parameter; absent for the product itself.
    pub(super) parameter: Option<String>,
    /// The quantity.
    pub(super) quantity: i32,
    /// The units whose one-time price is charged: those that the replaced order did not have.
    pub(super) new_quantity: i32,
    /// The one-time price of one unit.
    pub(super) one_time: UnitPrice,
    /// The price of one unit for each period.
    pub(super) recurring: UnitPrice,
}

/// The service of an order.
#[derive(Debug, Object)]
#[oai(rename = "OrderService", skip_serializing_if_is_none)]
pub(super) struct ServiceBody {
    /// The way in which the order is provisioned.
    delivery: Delivery,
    /// The action that staff have to take now.
    pending_action: Option<PendingAction>,
    /// The time from which the service is due.
    deliver_at: DateTime<Utc>,
    /// The time at which the service was provisioned.
    delivered_at: Option<DateTime<Utc>>,
    /// The time at which the service ends.
    terminate_at: Option<DateTime<Utc>>,
    /// The time at which the service was terminated, which provisioning the replacing order does as well.
    terminated_at: Option<DateTime<Utc>>,
    /// The id of the VPN network, as in `GET /v1/net/vpn/{id}`.
    vpn_network: Option<i64>,
}

/// The service that the customer has at the moment.
#[derive(Debug, Object)]
#[oai(rename = "OrderDelivered")]
pub(super) struct DeliveredBody {
    /// The id of the order that defines the service; until a change is provisioned, the order that is replaced.
    order: i64,
    /// The parameters of that order.
    parameters: Any<Json>,
}

/// An order of a customer, with its price and duration. Its terms never change; a change is a new order.
#[derive(Debug, Object)]
#[oai(rename = "Order", skip_serializing_if_is_none)]
pub(super) struct OrderBody {
    /// Identifies the order.
    id: i64,
    /// The customer's name.
    username: String,
    /// The product's name; absent for negotiated terms.
    product: Option<String>,
    /// The description that bills show.
    description: String,
    /// The values chosen for the product's parameters.
    parameters: Any<Json>,
    /// The phase of the order's life cycle.
    status: Status,
    /// The currency of all amounts.
    currency: Currency,
    /// The one-time price before VAT.
    one_time: UnitPrice,
    /// The price of each period before VAT.
    recurring: UnitPrice,
    /// The recurring period; absent for a one-time purchase.
    recurring_period: Option<RecurringPeriod>,
    /// The time at which a period is billed: when it begins (advance) or when it has ended (arrears).
    billing_mode: BillingMode,
    /// The number of periods that can't be cancelled.
    commitment_periods: i32,
    /// The end of the commitment that this order, an upgrade, has taken over: it can't be cancelled earlier.
    carried_commitment_ends_at: Option<DateTime<Utc>>,
    /// The treatment of the period that an upgrade interrupts.
    upgrade_credit: UpgradeCredit,
    /// The components of the price; empty for negotiated terms.
    parts: Vec<PartBody>,
    /// The time at which the order was placed.
    ordered_at: DateTime<Utc>,
    /// The name of the user who placed the order.
    ordered_by: Option<String>,
    /// The first second that is charged.
    starts_at: DateTime<Utc>,
    /// The last second that is charged; absent until an end is set.
    billing_ends_at: Option<DateTime<Utc>>,
    /// The last second that is on a bill.
    billed_through: Option<DateTime<Utc>>,
    /// True when nothing more remains to be billed.
    closed: bool,
    /// The id of the order that this one replaces.
    replaces: Option<i64>,
    /// The id of the order that replaces this one.
    replaced_by: Option<i64>,
    /// The service of the order and the times at which it changes.
    service: ServiceBody,
    /// The service that the customer has now, from this order or from another in its line of replacements.
    delivered: Option<DeliveredBody>,
}

fn price(micros: i64) -> Result<UnitPrice, Error> {
    Ok(UnitPrice::try_from(micros).map_err(anyhow::Error::new)?)
}

impl Representation for OrderView {
    fn representation(self) -> Option<Json> {
        OrderBody::try_from(self).ok()?.to_json()
    }
}

impl TryFrom<OrderView> for OrderBody {
    type Error = Error;

    fn try_from(order: OrderView) -> Result<Self, Error> {
        let parts = order.parts.iter().map(|part| {
            Ok(PartBody {
                product: part.product.clone(),
                parameter: part.parameter.clone(),
                quantity: part.quantity,
                new_quantity: part.new_quantity,
                one_time: price(part.one_time_micros)?,
                recurring: price(part.recurring_micros)?,
            })
        });
        let delivered = order.delivered_order.zip(order.delivered_parameters.clone());
        Ok(Self {
            id: order.order_id,
            status: order.status(),
            recurring_period: order.period()?,
            parts: parts.collect::<Result<_, Error>>()?,
            billing_ends_at: last_second(order.starts_at, order.billing_ends_at),
            billed_through: last_second(order.starts_at, order.billed_through),
            service: ServiceBody {
                delivery: order.delivery,
                pending_action: order.pending_action,
                deliver_at: order.deliver_at,
                delivered_at: order.delivered_at,
                terminate_at: order.terminate_at,
                terminated_at: order.terminated_at,
                vpn_network: order.network_id,
            },
            delivered: delivered.map(|(order, parameters)| DeliveredBody { order, parameters: Any(parameters) }),
            username: order.username,
            product: order.product,
            description: order.description,
            parameters: Any(order.parameters),
            currency: order.currency.parse().map_err(anyhow::Error::new)?,
            one_time: order.one_time,
            recurring: order.recurring,
            billing_mode: order.billing_mode,
            commitment_periods: order.commitment_periods,
            carried_commitment_ends_at: order.carried_commitment_ends_at,
            upgrade_credit: order.upgrade_credit,
            ordered_at: order.ordered_at,
            ordered_by: order.ordered_by,
            starts_at: order.starts_at,
            closed: order.closed,
            replaces: order.replaces,
            replaced_by: order.replaced_by,
        })
    }
}

/// A page of orders.
#[derive(Debug, Object)]
#[oai(rename = "OrderList", skip_serializing_if_is_none)]
pub(super) struct OrderList {
    /// The orders, in the requested sort order.
    pub items: Vec<OrderBody>,
    /// The cursor of the next page; absent on the last page.
    pub next: Option<String>,
}

/// An order and its replacement.
#[derive(Debug, Object)]
#[oai(rename = "OrderReplaced")]
pub(super) struct ReplacedBody {
    /// The kind of replacement: an upgrade costs as much or more per second and takes effect now, a downgrade costs
    /// less and takes effect at a boundary.
    pub replacement: String,
    /// The order that ends.
    pub old: OrderBody,
    /// The order that takes its place.
    pub new: OrderBody,
}

/// Returns the product of that name.
pub(super) async fn product(db: &sqlx::PgPool, name: &str) -> Result<Product, Error> {
    let product = crate::catalog::load_named(db, name).await?;
    product.ok_or_else(|| {
        Error::field("product", format!("{name} is not in the catalogue; GET /v1/product lists the products on sale"))
    })
}
