//! Orders in answers.

use chrono::{DateTime, Utc};
use poem_openapi::{
    Object,
    types::{Any, ToJSON as _},
};
use serde_json::Value as Json;

use crate::{
    catalog::Product,
    error::Error,
    http::Shown,
    money::{
        amount::{Amount, Currency},
        charge::{Timing, UpgradeCredit},
        period::RecurringPeriod,
    },
    orders::{
        order_view::{OrderView, PendingAction, Status},
        view::last_second,
    },
    services::Delivery,
};

/// A part of a price.
#[derive(Debug, Object)]
#[oai(rename = "OrderPart", skip_serializing_if_is_none)]
pub(super) struct PartBody {
    /// The product, or a component of the bundle.
    pub(super) product: String,
    /// Which of its parameters; absent for itself.
    pub(super) parameter: Option<String>,
    /// How many.
    pub(super) quantity: i32,
    /// Once, for one.
    pub(super) one_time: Amount,
    /// For each period, for one.
    pub(super) recurring: Amount,
}

/// What an order delivers.
#[derive(Debug, Object)]
#[oai(rename = "OrderService", skip_serializing_if_is_none)]
pub(super) struct ServiceBody {
    /// Who delivers it.
    delivery: Delivery,
    /// What staff have to do now.
    pending_action: Option<PendingAction>,
    /// When it is to be delivered.
    deliver_at: DateTime<Utc>,
    /// When it was.
    delivered_at: Option<DateTime<Utc>>,
    /// When it is to be terminated.
    terminate_at: Option<DateTime<Utc>>,
    /// When it was terminated; also by the delivery of the order that replaces this one.
    terminated_at: Option<DateTime<Utc>>,
    /// The network: `GET /v1/net/vpn/{id}`.
    vpn_network: Option<i64>,
}

/// What is delivered at the moment.
#[derive(Debug, Object)]
#[oai(rename = "OrderDelivered")]
pub(super) struct DeliveredBody {
    /// The order that says what; before a change is delivered, the one that is replaced.
    order: i64,
    /// Its parameters.
    parameters: Any<Json>,
}

/// What a customer buys, at which price and until when. Its terms never change; a change is a new order.
#[derive(Debug, Object)]
#[oai(rename = "Order", skip_serializing_if_is_none)]
pub(super) struct OrderBody {
    /// Identifies the order.
    id: i64,
    /// The customer's name.
    username: String,
    /// The product; absent: agreed by hand.
    product: Option<String>,
    /// As bills call it.
    description: String,
    /// What was chosen.
    parameters: Any<Json>,
    /// Where it is in its life.
    status: Status,
    /// What the amounts are in.
    currency: Currency,
    /// Once, before VAT.
    one_time: Amount,
    /// For each period, before VAT.
    recurring: Amount,
    /// How often; absent: paid once.
    recurring_period: Option<RecurringPeriod>,
    /// Whether a period is billed when it begins (advance) or when it has ended (arrears).
    billing_mode: Timing,
    /// Periods that can't be cancelled.
    commitment_periods: i32,
    /// What an upgrade does with the period that it interrupts.
    upgrade_credit: UpgradeCredit,
    /// What the price consists of; nothing for what was agreed by hand.
    parts: Vec<PartBody>,
    /// When it was ordered.
    ordered_at: DateTime<Utc>,
    /// By whom.
    ordered_by: Option<String>,
    /// The first second that is charged.
    starts_at: DateTime<Utc>,
    /// The last second that is charged; absent while it runs on.
    billing_ends_at: Option<DateTime<Utc>>,
    /// The last second that is on a bill.
    billed_through: Option<DateTime<Utc>>,
    /// Nothing more is to be billed.
    closed: bool,
    /// The order that this one replaces.
    replaces: Option<i64>,
    /// The order that replaces this one.
    replaced_by: Option<i64>,
    /// What it delivers, and when that changes.
    service: ServiceBody,
    /// What is delivered now, by this order or by one in its line of replacements.
    delivered: Option<DeliveredBody>,
}

fn amount(cents: i64) -> Result<Amount, Error> {
    Ok(Amount::try_from(cents).map_err(anyhow::Error::new)?)
}

impl Shown for OrderView {
    fn shown(self) -> Option<Json> {
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
                one_time: amount(part.one_time_cents)?,
                recurring: amount(part.recurring_cents)?,
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
    /// In the order asked for.
    pub items: Vec<OrderBody>,
    /// Cursor of the next page; absent on the last.
    pub next: Option<String>,
}

/// An order and the one that replaces it.
#[derive(Debug, Object)]
#[oai(rename = "OrderReplaced")]
pub(super) struct ReplacedBody {
    /// Whether it costs as much or more per second (upgrade, takes effect now) or less (downgrade, at a boundary).
    pub replacement: String,
    /// The order that ends.
    pub old: OrderBody,
    /// The order that takes its place.
    pub new: OrderBody,
}

/// The product of that name.
pub(super) async fn product(db: &sqlx::PgPool, name: &str) -> Result<Product, Error> {
    let product = crate::catalog::load_named(db, name).await?;
    product.ok_or_else(|| {
        Error::field("product", format!("{name} is not in the catalogue; GET /v1/product lists what is"))
    })
}
