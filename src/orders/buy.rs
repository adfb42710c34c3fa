//! Ordering and replacing with all their checks. Each runs in one transaction that locks the customer's other orders.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use super::{
    db,
    needed::refuse_needed,
    new_order::NewOrder,
    place,
    quote::{self, Blocker, OrderRequest, Quote},
    replace::{self, Replaced},
    service,
};
use crate::{
    catalog::Product,
    error::Error,
    money::{
        amount::{Amount, Currency},
        charge::{self, BillingMode, UpgradeCredit},
        period::RecurringPeriod,
        unit_price::UnitPrice,
    },
    parties::{VatPreview, VatUnavailable, preview_vat},
    services::{Parameters, Placed, ServiceChange, Services},
    user::User,
};

/// The terms of an order.
#[derive(Debug, Clone)]
pub enum Terms {
    /// A product of the catalogue.
    Catalogue(Box<OrderRequest>),
    /// Terms that staff and the customer have agreed on.
    NegotiatedTerms(NegotiatedTerms),
}

/// Negotiated terms, which staff write down.
#[derive(Debug, Clone)]
pub struct NegotiatedTerms {
    /// The description that bills show.
    pub description: String,
    /// The currency of all amounts.
    pub currency: Currency,
    /// The one-time price.
    pub one_time: UnitPrice,
    /// The price of each period.
    pub recurring: UnitPrice,
    /// The recurring period; none for a one-time purchase.
    pub recurring_period: Option<RecurringPeriod>,
    /// The time at which a period is billed.
    pub billing_mode: BillingMode,
    /// The number of periods that can't be cancelled.
    pub commitment_periods: u32,
    /// The treatment of time that is already paid when an upgrade interrupts it.
    pub upgrade_credit: UpgradeCredit,
}

/// Returns the price of an order with its VAT and its blockers. Writes nothing.
pub async fn quote(
    db: &PgPool,
    services: Services,
    caller: &User,
    request: OrderRequest,
) -> Result<(Quote, Result<VatPreview, VatUnavailable>), Error> {
    let mut tx = crate::request_context::begin(db).await?;
    let customer = db::locked_customer(&mut tx, caller.user_id).await?;
    let quote = quote::quote(&mut tx, services, &customer, caller.user_id, request).await?;
    let vat = preview_vat(&mut tx, caller.user_id, customer.now).await?;
    Ok((quote, vat))
}

/// Places an order for a customer and returns its id. `starts_at` is the time at which charging begins, if not now.
pub async fn order(
    db: &PgPool,
    (services, placed): (Services, Placed),
    caller: &User,
    user_id: i64,
    terms: Terms,
    starts_at: Option<DateTime<Utc>>,
) -> Result<i64, Error> {
    let mut tx = crate::request_context::begin(db).await?;
    let customer = db::locked_customer(&mut tx, user_id).await?;
    let starts_at = starts_at.unwrap_or(customer.now);
    let order_id = match terms {
        Terms::NegotiatedTerms(agreed) => {
            let new = agreed.new_order(&customer, user_id, caller.user_id)?;
            place::place(&mut tx, customer.now, starts_at, &new).await?.order_id
        }
        Terms::Catalogue(request) => {
            let quote = quote::quote(&mut tx, services, &customer, user_id, *request).await?;
            order_quoted(&mut tx, caller, user_id, &customer, &quote, starts_at).await?
        }
    };
    placed(&mut tx, user_id, &[order_id], customer.now).await?;
    tx.commit().await?;
    Ok(order_id)
}

/// Places an order of the caller for a service, on the first terms of the product that the service provisions, and
/// returns the order's id. The service has read its own parameters, `of_service`, and provisions in the same
/// transaction.
pub(crate) async fn order_of_service(
    tx: &mut PgConnection,
    caller: &User,
    product: Product,
    parameters: Parameters,
    of_service: &[&str],
) -> Result<i64, Error> {
    let request = OrderRequest::on_first_terms(product, parameters)?;
    let customer = db::locked_customer(tx, caller.user_id).await?;
    let quote = quote::quote_of_service(tx, &customer, caller.user_id, request, of_service).await?;
    quote.refuse_blockers()?;
    let new = quote.new_order(&customer, caller.user_id, caller.user_id)?;
    Ok(place::place_delivered(tx, customer.now, customer.now, &new).await?.order_id)
}

async fn order_quoted(
    tx: &mut PgConnection,
    caller: &User,
    user_id: i64,
    customer: &db::Customer,
    quote: &Quote,
    starts_at: DateTime<Utc>,
) -> Result<i64, Error> {
    quote.refuse_blockers()?;
    let new = quote.new_order(customer, user_id, caller.user_id)?;
    let Some(provision) = &quote.provision else {
        return Ok(place::place(tx, customer.now, starts_at, &new).await?.order_id);
    };
    if starts_at > customer.now {
        return Err(Error::field(
            "starts_at",
            "must not be in the future: a VPN network is created when it is ordered",
        ));
    }
    let order_id = place::place_delivered(tx, customer.now, starts_at, &new).await?.order_id;
    provision.provision(tx, user_id, order_id).await?;
    Ok(order_id)
}

/// Replaces an order, which must belong to `own` if that is given, and checks that no requirement is missing
/// afterwards.
pub async fn replace_order(
    db: &PgPool,
    (services, placed): (Services, Placed),
    caller: &User,
    (order_id, own): (i64, Option<i64>),
    request: OrderRequest,
    change: ServiceChange,
) -> Result<Replaced, Error> {
    let mut tx = crate::request_context::begin(db).await?;
    let (quote, replaced, now) = replace_in(&mut tx, services, caller, (order_id, own), request, change).await?;
    quote.refuse_blockers()?;
    let Replaced { old, new, .. } = &replaced;
    refuse_needed(&mut tx, old.order_id).await?;
    placed(&mut tx, new.user_id, &[old.order_id, new.order_id], now).await?;
    tx.commit().await?;
    Ok(replaced)
}

/// Replaces an order even if the quote has blockers: the caller refuses them. Returns the time of the replacement too.
async fn replace_in(
    tx: &mut PgConnection,
    services: Services,
    caller: &User,
    (order_id, own): (i64, Option<i64>),
    request: OrderRequest,
    change: ServiceChange,
) -> Result<(Quote, Replaced, DateTime<Utc>), Error> {
    let (user_id, customer) = db::locked_owner(tx, order_id, own).await?;
    service::refuse_network(tx, order_id).await?;
    let mut quote = quote::quote(tx, services, &customer, user_id, request).await?;
    if quote.provision.is_some() {
        return Err(service::network_stays(order_id));
    }
    let new = quote.new_order(&customer, user_id, caller.user_id)?;
    let replaced = replace::replace(tx, customer.now, order_id, &new, change).await?;
    // What the product requires besides, now that the old order no longer counts.
    quote.blockers.retain(|blocker| !matches!(blocker, Blocker::Requires(_)));
    quote.blockers.extend(quote::missing(tx, user_id, &quote.request.product).await?);
    Ok((quote, replaced, customer.now))
}

/// The cost of a replacement, and the time at which it takes effect.
#[derive(Debug, Clone)]
pub struct ReplacementQuote {
    /// The price and its components. The one-time price is the one that is charged: of what the old order does not have.
    pub quote: Quote,
    /// The VAT on the price.
    pub vat: Result<VatPreview, VatUnavailable>,
    /// The two orders as they would be.
    pub replaced: Replaced,
    /// The credit for time that is billed and no longer used, before VAT.
    pub credit: Amount,
    /// The price of the new order's first period, before VAT.
    pub first_period: Amount,
    /// The time up to which neither a cancellation nor a downgrade takes effect.
    pub committed_until: DateTime<Utc>,
}

/// Returns what the replacement of an order would cost. Writes nothing.
pub async fn quote_replacement(
    db: &PgPool,
    services: Services,
    caller: &User,
    scoped_id: (i64, Option<i64>),
    request: OrderRequest,
    change: ServiceChange,
) -> Result<ReplacementQuote, Error> {
    let mut tx = crate::request_context::begin(db).await?;
    let (mut quote, replaced, _) = replace_in(&mut tx, services, caller, scoped_id, request, change).await?;
    refuse_needed(&mut tx, replaced.old.order_id).await?;
    let vat = preview_vat(&mut tx, replaced.new.user_id, replaced.new.starts_at).await?;
    tx.rollback().await?;
    let (old, new) = (&replaced.old, &replaced.new);
    quote.priced.one_time = new.one_time;
    let amount = |terms: Option<charge::Terms>, from, to, zone| match terms {
        Some(terms) if from < to => terms.net(from, to, zone).map_err(anyhow::Error::new),
        _ => Ok(Amount::ZERO),
    };
    let credit = amount(old.terms(), old.ends_at.unwrap_or(old.starts_at), old.charged_from(), old.zone)?;
    let one_period = new.period.map_or(new.starts_at, |period| period.boundary(new.starts_at, 1, new.zone));
    let committed_until =
        new.period.map_or(new.starts_at, |period| new.terms_with(period).commitment_ends_at(new.zone));
    Ok(ReplacementQuote {
        credit,
        first_period: amount(new.terms(), new.starts_at, one_period, new.zone)?,
        committed_until,
        quote,
        vat,
        replaced,
    })
}

impl NegotiatedTerms {
    fn new_order(self, customer: &db::Customer, user_id: i64, ordered_by: i64) -> Result<NewOrder, Error> {
        Ok(NewOrder {
            user_id,
            ordered_by: Some(ordered_by),
            product_id: None,
            description: self.description,
            descriptions: BTreeMap::new(),
            parameters: serde_json::json!({}),
            currency: self.currency,
            one_time: self.one_time,
            recurring: self.recurring,
            period: self.recurring_period,
            billing_mode: self.billing_mode,
            commitment_periods: self.commitment_periods,
            upgrade_credit: self.upgrade_credit,
            zone: customer.zone()?,
            parts: Vec::new(),
        })
    }
}
