//! Orders in requests and answers.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use poem_openapi::{Object, registry::MetaSchema, types::Any};
use serde_json::Value as Json;

use crate::{
    billing::{
        charge::{Timing, UpgradeCredit},
        money::{Amount, AmountError, Currency, Rate},
        period::RecurringPeriod,
        vat_preview::{VatPreview, VatUnknown},
    },
    catalog::{Delivery, Priced, Product},
    error::{Code, Error},
    http::{Scalar, scalar},
    orders::{
        quote::{Quote, Value},
        view::{Due, OrderView, Status, last_second},
    },
};

/// Values of a product's parameters.
#[derive(Debug, Clone)]
pub(super) struct Parameters(pub BTreeMap<String, Value>);

/// More than any product has, and short enough to be shown.
const MAX_PARAMETERS: usize = 100;
const MAX_NAME: usize = 40;
const MAX_TEXT: usize = 64;

impl Scalar for Parameters {
    fn component() -> String {
        "OrderParameters".into()
    }

    fn schema() -> MetaSchema {
        let one = MetaSchema {
            any_of: vec![
                poem_openapi::registry::MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format(
                    "integer", "int64",
                ))),
                poem_openapi::registry::MetaSchemaRef::Inline(Box::new(MetaSchema {
                    max_length: Some(MAX_TEXT),
                    ..MetaSchema::new("string")
                })),
            ],
            ..MetaSchema::ANY
        };
        MetaSchema {
            additional_properties: Some(Box::new(poem_openapi::registry::MetaSchemaRef::Inline(Box::new(one)))),
            example: Some(serde_json::json!({ "cores": 2, "memory_gb": 4 })),
            description: Some(
                "A value for each parameter of the product, by its name: a whole number, also written as a string. A VPN \
                 network has network_size and wireguard_public_key.",
            ),
            ..MetaSchema::new("object")
        }
    }

    fn parse(value: &Json) -> Result<Self, String> {
        let object = value.as_object().ok_or("must be an object, as in {\"cores\": 2}")?;
        if object.len() > MAX_PARAMETERS || object.keys().any(|name| name.len() > MAX_NAME) {
            return Err(format!(
                "must have at most {MAX_PARAMETERS} members with names of at most {MAX_NAME} characters"
            ));
        }
        let parsed = object.iter().map(|(name, value)| {
            let value = parameter(value).ok_or_else(|| {
                format!("has a {name} that is neither a whole number nor a text of at most {MAX_TEXT} characters")
            })?;
            Ok((name.clone(), value))
        });
        parsed.collect::<Result<_, String>>().map(Self)
    }
}
scalar!([] Parameters);

fn parameter(value: &Json) -> Option<Value> {
    match value {
        Json::Number(number) => number.as_i64().map(Value::Number),
        // Without sign, leading zero or space: one way to write a number.
        Json::String(text) => match text.parse::<i64>() {
            Ok(number) if number.to_string() == *text => Some(Value::Number(number)),
            _ => Some(Value::Text(text.clone())).filter(|_| text.len() <= MAX_TEXT),
        },
        _ => None,
    }
}

/// A part of a price.
#[derive(Debug, Object)]
#[oai(rename = "OrderPart", skip_serializing_if_is_none)]
pub(super) struct PartBody {
    /// The product, or a component of the bundle.
    product: String,
    /// Which of its parameters; absent for itself.
    parameter: Option<String>,
    /// How many.
    quantity: i32,
    /// Once, for one.
    one_time: Amount,
    /// For each period, for one.
    recurring: Amount,
}

/// The VAT on a price. A bill rounds it once for all that it taxes alike, so there it may differ by a cent.
#[derive(Debug, Object)]
#[oai(rename = "OrderQuoteVat")]
pub(super) struct QuoteVatBody {
    /// UNCL 5305: S at a standard rate, AE reverse charge, O outside scope.
    category: String,
    /// A fraction: 0.081 is 8.1 %. Later services bear the rate of their time.
    rate: Rate,
    /// Why it is taxed so.
    why: String,
    /// The VAT on what is paid once.
    one_time: Amount,
    /// The VAT on a period.
    recurring: Amount,
    /// What is paid once, with VAT.
    one_time_gross: Amount,
    /// What is paid for each period, with VAT.
    recurring_gross: Amount,
}

/// A price, and what is in the way of ordering.
#[derive(Debug, Object)]
#[oai(rename = "OrderQuote", skip_serializing_if_is_none)]
pub(super) struct QuoteBody {
    /// The product.
    product: String,
    /// What the amounts are in.
    currency: Currency,
    /// Once, before VAT: the sum of the parts.
    one_time: Amount,
    /// For each period, before VAT: the sum of the parts.
    recurring: Amount,
    /// How often; absent: paid once.
    recurring_period: Option<RecurringPeriod>,
    /// Periods that can't be cancelled.
    commitment_periods: u32,
    /// What the price consists of.
    parts: Vec<PartBody>,
    /// The VAT, by my billing address as it is now.
    vat: Option<QuoteVatBody>,
    /// Why it can't be said.
    vat_unknown: Option<String>,
    /// Whether it can be ordered like this.
    buyable: bool,
    /// What has to be mended before it can be ordered.
    obstacles: Vec<ObstacleBody>,
}

/// What is in the way of ordering.
#[derive(Debug, Object)]
#[oai(rename = "OrderObstacle")]
pub(super) struct ObstacleBody {
    /// For programs; the code with which ordering is refused.
    code: String,
    /// What would help.
    detail: String,
}

impl QuoteVatBody {
    fn new(VatPreview { category, rate, why }: VatPreview, priced: &Priced) -> Result<Self, AmountError> {
        let (one_time, recurring) = (rate.of(priced.one_time), rate.of(priced.recurring));
        Ok(Self {
            category: category.to_string(),
            rate,
            why,
            one_time,
            recurring,
            one_time_gross: priced.one_time.try_add(one_time)?,
            recurring_gross: priced.recurring.try_add(recurring)?,
        })
    }
}

impl QuoteBody {
    pub(super) fn new(quote: Quote, vat: Result<VatPreview, VatUnknown>) -> Result<Self, Error> {
        let Quote { wanted, priced, obstacles, .. } = quote;
        let (vat, vat_unknown) = match vat {
            Ok(vat) => (Some(QuoteVatBody::new(vat, &priced).map_err(anyhow::Error::new)?), None),
            Err(unknown) => (None, Some(unknown.to_string())),
        };
        let parts = priced.parts.iter().map(|part| PartBody {
            product: part.product.name.clone(),
            parameter: part.parameter.clone(),
            quantity: part.quantity,
            one_time: part.one_time,
            recurring: part.recurring,
        });
        let obstacle = |code: Code, detail: String| ObstacleBody { code: code.name().to_owned(), detail };
        Ok(Self {
            currency: wanted.currency,
            one_time: priced.one_time,
            recurring: priced.recurring,
            recurring_period: wanted.recurring_period,
            commitment_periods: priced.commitment_periods,
            parts: parts.collect(),
            vat,
            vat_unknown,
            buyable: obstacles.is_empty(),
            obstacles: obstacles.iter().map(|it| obstacle(it.code(), it.detail(&wanted.product.name))).collect(),
            product: wanted.product.name,
        })
    }
}

/// What an order delivers.
#[derive(Debug, Object)]
#[oai(rename = "OrderService", skip_serializing_if_is_none)]
pub(super) struct ServiceBody {
    /// Who delivers it.
    delivery: Delivery,
    /// What staff have to do now.
    due: Option<Due>,
    /// When it is to be delivered.
    deliver_at: DateTime<Utc>,
    /// When it was.
    delivered_at: Option<DateTime<Utc>>,
    /// When it is to end.
    withdraw_at: Option<DateTime<Utc>>,
    /// When it ended; also by the delivery of what replaces it.
    withdrawn_at: Option<DateTime<Utc>>,
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
    /// Whose it is.
    user: String,
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
    billing: Timing,
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
                due: order.due,
                deliver_at: order.deliver_at,
                delivered_at: order.delivered_at,
                withdraw_at: order.withdraw_at,
                withdrawn_at: order.withdrawn_at,
                vpn_network: order.network_id,
            },
            delivered: delivered.map(|(order, parameters)| DeliveredBody { order, parameters: Any(parameters) }),
            user: order.username,
            product: order.product,
            description: order.description,
            parameters: Any(order.parameters),
            currency: order.currency.parse().map_err(anyhow::Error::new)?,
            one_time: order.one_time,
            recurring: order.recurring,
            billing: order.billing,
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
    /// By id.
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
