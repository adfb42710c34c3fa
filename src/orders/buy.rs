//! Ordering and replacing, with all that is to be looked at before. Each in one transaction, in which the customer's other
//! orders stand still.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use super::{
    NewOrder, Order, Replaced, ServiceChange, db, end, place,
    quote::{self, Quote, Wanted},
    replace, service,
};
use crate::{
    accounts::User,
    billing::{
        charge::{Timing, UpgradeCredit},
        money::{Amount, Currency},
        period::RecurringPeriod,
        vat_preview::{VatPreview, VatUnknown, preview_vat},
    },
    catalog::{self, Delivery},
    error::{Code, Error},
    vpn::{self, Network, Wish},
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
    pub billing: Timing,
    /// Periods that can't be cancelled.
    pub commitment_periods: u32,
    /// What an upgrade will do with the time already paid.
    pub upgrade_credit: UpgradeCredit,
}

/// What it would cost, with which VAT, and what is in the way. Nothing is written.
pub async fn quote(
    db: &PgPool,
    caller: &User,
    wanted: Wanted,
) -> Result<(Quote, Result<VatPreview, VatUnknown>), Error> {
    let mut tx = crate::origin::begin(db).await?;
    let customer = db::locked_customer(&mut tx, caller.user_id).await?;
    let quote = quote::quote(&mut tx, &customer, caller.user_id, wanted).await?;
    let vat = preview_vat(&mut tx, caller.user_id, customer.now).await?;
    Ok((quote, vat))
}

/// Orders for a customer; returns the order's id. `starts_at`: when charging begins, if not now.
pub async fn order(
    db: &PgPool,
    caller: &User,
    user_id: i64,
    terms: Terms,
    starts_at: Option<DateTime<Utc>>,
) -> Result<i64, Error> {
    let mut tx = crate::origin::begin(db).await?;
    let customer = db::locked_customer(&mut tx, user_id).await?;
    let starts_at = starts_at.unwrap_or(customer.now);
    let order_id = match terms {
        Terms::Agreed(agreed) => {
            let new = agreed.new_order(&customer, user_id, caller.user_id)?;
            place(&mut tx, customer.now, starts_at, &new).await?.order_id
        }
        Terms::Catalogue(wanted) => {
            let quote = quote::quote(&mut tx, &customer, user_id, wanted).await?;
            let (order, _) = order_quoted(&mut tx, caller, user_id, &customer, &quote, starts_at).await?;
            order.order_id
        }
    };
    tx.commit().await?;
    Ok(order_id)
}

/// Orders a VPN network on the terms of the product that the VPN hosts deliver.
pub async fn order_network(db: &PgPool, caller: &User, wish: Wish) -> Result<Network, Error> {
    let product = catalog::load_delivering(db, Delivery::VpnNetwork).await?.ok_or_else(|| Error::Conflict {
        code: Code::NoVpnProduct,
        detail: "no VPN product is on sale; staff have to put one on sale (PUT /v1/admin/product/{id}) or add it \
                 (`uncloud db-add-defaults`)"
            .into(),
        field: None,
    })?;
    let wanted = Wanted::network(product, wish)?;
    let mut tx = crate::origin::begin(db).await?;
    let customer = db::locked_customer(&mut tx, caller.user_id).await?;
    let quote = quote::quote(&mut tx, &customer, caller.user_id, wanted).await?;
    let (_, network) = order_quoted(&mut tx, caller, caller.user_id, &customer, &quote, customer.now).await?;
    let network = network.ok_or_else(|| anyhow::anyhow!("the VPN product delivers no network"))?;
    tx.commit().await?;
    Ok(network)
}

async fn order_quoted(
    tx: &mut PgConnection,
    caller: &User,
    user_id: i64,
    customer: &db::Customer,
    quote: &Quote,
    starts_at: DateTime<Utc>,
) -> Result<(Order, Option<Network>), Error> {
    quote.refuse_obstacles()?;
    let new = quote.new_order(customer, user_id, caller.user_id)?;
    let Some(wish) = quote.network else {
        return Ok((place(tx, customer.now, starts_at, &new).await?, None));
    };
    if starts_at > customer.now {
        return Err(Error::field("starts_at", "must not be in the future: a VPN network is made when it is ordered"));
    }
    let order = place::place_delivered(tx, customer.now, starts_at, &new).await?;
    let network = vpn::create(tx, user_id, order.order_id, wish).await?;
    Ok((order, Some(network)))
}

/// Replaces an order, of `own` if that is said, and looks whether anything would be missing afterwards.
pub async fn replace_order(
    db: &PgPool,
    caller: &User,
    (order_id, own): (i64, Option<i64>),
    wanted: Wanted,
    change: ServiceChange,
) -> Result<Replaced, Error> {
    let mut tx = crate::origin::begin(db).await?;
    let (user_id, customer) = db::locked_owner(&mut tx, order_id, own).await?;
    service::refuse_network(&mut tx, order_id).await?;
    let mut quote = quote::quote(&mut tx, &customer, user_id, wanted).await?;
    if quote.network.is_some() {
        return Err(service::network_stays(order_id));
    }
    quote.refuse_obstacles()?;
    let new = quote.new_order(&customer, user_id, caller.user_id)?;
    let replaced = replace(&mut tx, customer.now, order_id, &new, change).await?;
    // Once more, now that the old order no longer counts.
    quote.obstacles = quote::missing(&mut tx, user_id, &quote.wanted.product).await?;
    quote.refuse_obstacles()?;
    end::refuse_needed(&mut tx, order_id).await?;
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
            timing: self.billing,
            commitment_periods: self.commitment_periods,
            upgrade_credit: self.upgrade_credit,
            zone: customer.zone()?,
            parts: Vec::new(),
        })
    }
}
