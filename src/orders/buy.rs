//! Ordering and replacing, with all that is to be looked at before. Each in one transaction, in which the customer's other
//! orders stand still.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use super::{
    db,
    needed::refuse_needed,
    new_order::NewOrder,
    place,
    quote::{self, Quote, Wanted},
    replace::{self, Replaced},
    service,
};
use crate::{
    catalog::Product,
    error::Error,
    money::{
        amount::{Amount, Currency},
        charge::{Timing, UpgradeCredit},
        period::RecurringPeriod,
    },
    parties::{VatPreview, VatUnknown, preview_vat},
    services::{Parameters, ServiceChange, Services},
    user::User,
};

/// What is ordered.
#[derive(Debug, Clone)]
pub enum Terms {
    /// A product as the catalogue has it.
    Catalogue(Wanted),
    /// What staff and the customer have agreed on.
    Agreed(Agreed),
}

/// Terms that staff write down.
#[derive(Debug, Clone)]
pub struct Agreed {
    /// As bills call it.
    pub description: String,
    /// What the prices are in.
    pub currency: Currency,
    /// Due once.
    pub one_time: Amount,
    /// For each period.
    pub recurring: Amount,
    /// How often; none: paid once.
    pub recurring_period: Option<RecurringPeriod>,
    /// When a period is billed.
    pub billing_mode: Timing,
    /// Periods that can't be cancelled.
    pub commitment_periods: u32,
    /// What an upgrade will do with the time already paid.
    pub upgrade_credit: UpgradeCredit,
}

/// What it would cost, with which VAT, and what is in the way. Nothing is written.
pub async fn quote(
    db: &PgPool,
    services: Services,
    caller: &User,
    wanted: Wanted,
) -> Result<(Quote, Result<VatPreview, VatUnknown>), Error> {
    let mut tx = crate::request_context::begin(db).await?;
    let customer = db::locked_customer(&mut tx, caller.user_id).await?;
    let quote = quote::quote(&mut tx, services, &customer, caller.user_id, wanted).await?;
    let vat = preview_vat(&mut tx, caller.user_id, customer.now).await?;
    Ok((quote, vat))
}

/// Orders for a customer; returns the order's id. `starts_at`: when charging begins, if not now.
pub async fn order(
    db: &PgPool,
    services: Services,
    caller: &User,
    user_id: i64,
    terms: Terms,
    starts_at: Option<DateTime<Utc>>,
) -> Result<i64, Error> {
    let mut tx = crate::request_context::begin(db).await?;
    let customer = db::locked_customer(&mut tx, user_id).await?;
    let starts_at = starts_at.unwrap_or(customer.now);
    let order_id = match terms {
        Terms::Agreed(agreed) => {
            let new = agreed.new_order(&customer, user_id, caller.user_id)?;
            place::place(&mut tx, customer.now, starts_at, &new).await?.order_id
        }
        Terms::Catalogue(wanted) => {
            let quote = quote::quote(&mut tx, services, &customer, user_id, wanted).await?;
            order_quoted(&mut tx, caller, user_id, &customer, &quote, starts_at).await?
        }
    };
    tx.commit().await?;
    Ok(order_id)
}

/// Orders for the caller what a service delivers, on the first terms of the product that it delivers; returns the order's id.
/// The service has read its own parameters, `of_service`, and provisions in the same transaction.
pub(crate) async fn order_of_service(
    tx: &mut PgConnection,
    caller: &User,
    product: Product,
    parameters: Parameters,
    of_service: &[&str],
) -> Result<i64, Error> {
    let wanted = Wanted::on_first_terms(product, parameters)?;
    let customer = db::locked_customer(tx, caller.user_id).await?;
    let quote = quote::quote_of_service(tx, &customer, caller.user_id, wanted, of_service).await?;
    quote.refuse_obstacles()?;
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
    quote.refuse_obstacles()?;
    let new = quote.new_order(customer, user_id, caller.user_id)?;
    let Some(provision) = &quote.provision else {
        return Ok(place::place(tx, customer.now, starts_at, &new).await?.order_id);
    };
    if starts_at > customer.now {
        return Err(Error::field("starts_at", "must not be in the future: a VPN network is made when it is ordered"));
    }
    let order_id = place::place_delivered(tx, customer.now, starts_at, &new).await?.order_id;
    provision.provision(tx, user_id, order_id).await?;
    Ok(order_id)
}

/// Replaces an order, of `own` if that is said, and looks whether anything would be missing afterwards.
pub async fn replace_order(
    db: &PgPool,
    services: Services,
    caller: &User,
    (order_id, own): (i64, Option<i64>),
    wanted: Wanted,
    change: ServiceChange,
) -> Result<Replaced, Error> {
    let mut tx = crate::request_context::begin(db).await?;
    let (user_id, customer) = db::locked_owner(&mut tx, order_id, own).await?;
    service::refuse_network(&mut tx, order_id).await?;
    let mut quote = quote::quote(&mut tx, services, &customer, user_id, wanted).await?;
    if quote.provision.is_some() {
        return Err(service::network_stays(order_id));
    }
    quote.refuse_obstacles()?;
    let new = quote.new_order(&customer, user_id, caller.user_id)?;
    let replaced = replace::replace(&mut tx, customer.now, order_id, &new, change).await?;
    // Once more, now that the old order no longer counts.
    quote.blockers = quote::missing(&mut tx, user_id, &quote.wanted.product).await?;
    quote.refuse_obstacles()?;
    refuse_needed(&mut tx, order_id).await?;
    tx.commit().await?;
    Ok(replaced)
}

impl Agreed {
    fn new_order(self, customer: &db::Customer, user_id: i64, ordered_by: i64) -> Result<NewOrder, Error> {
        Ok(NewOrder {
            user_id,
            ordered_by: Some(ordered_by),
            product_id: None,
            description: self.description,
            parameters: serde_json::json!({}),
            currency: self.currency,
            one_time: self.one_time,
            recurring: self.recurring,
            period: self.recurring_period,
            timing: self.billing_mode,
            commitment_periods: self.commitment_periods,
            upgrade_credit: self.upgrade_credit,
            zone: customer.zone()?,
            parts: Vec::new(),
        })
    }
}
