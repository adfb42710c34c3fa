//! An order before it is placed.

use std::collections::{BTreeMap, HashMap};

use chrono_tz::Tz;
use serde_json::Value;

use crate::{
    error::Error,
    money::{
        Order,
        amount::Currency,
        charge::{BillingMode, UpgradeCredit},
        language::Language,
        period::RecurringPeriod,
        unit_price::UnitPrice,
    },
};

/// An order to be placed, with terms that were copied from the catalogue or negotiated.
#[derive(Debug, Clone)]
pub struct NewOrder {
    /// The customer's id.
    pub user_id: i64,
    /// The id of the user who placed the order; none for the program itself.
    pub ordered_by: Option<i64>,
    /// The product's id; none for negotiated terms.
    pub product_id: Option<i64>,
    /// The description that bills show.
    pub description: String,
    /// The description in other languages.
    pub descriptions: BTreeMap<Language, String>,
    /// The values that the customer chose, by the names of the product's parameters.
    pub parameters: Value,
    /// The currency of all amounts.
    pub currency: Currency,
    /// The one-time price.
    pub one_time: UnitPrice,
    /// The price of each period.
    pub recurring: UnitPrice,
    /// The recurring period; none for a one-time purchase.
    pub period: Option<RecurringPeriod>,
    /// The time at which a period is billed.
    pub billing_mode: BillingMode,
    /// The number of periods that can't be cancelled.
    pub commitment_periods: u32,
    /// The treatment of time that is already paid when an upgrade interrupts it.
    pub upgrade_credit: UpgradeCredit,
    /// The time zone of calendar periods, which is the seller's.
    pub zone: Tz,
    /// The components of the price; empty for negotiated terms.
    pub parts: Vec<PriceComponent>,
}

/// The quantities of an order's components, by product and parameter.
pub(super) type Quantities = HashMap<(i64, Option<String>), i32>;

impl NewOrder {
    /// Returns the order without the one-time prices of what the customer has had already. Negotiated one-time prices stay
    /// as they are, unless that of an order which never took effect was billed: it counts for this one.
    pub(super) fn without_one_time_prices_of(mut self, old: &Order, had: &Quantities) -> Result<Self, Error> {
        if self.parts.is_empty() {
            if old.void && old.billed.one_time {
                self.one_time = self.one_time.saturating_sub(old.one_time);
            }
            return Ok(self);
        }
        self.one_time = UnitPrice::ZERO;
        for part in &mut self.parts {
            let had = had.get(&(part.product_id, part.parameter.clone())).copied().unwrap_or_default();
            part.new_quantity = (part.quantity - had).max(0);
            let one_time = part.one_time.try_mul(part.new_quantity.into()).map_err(anyhow::Error::new)?;
            self.one_time = self.one_time.try_add(one_time).map_err(anyhow::Error::new)?;
        }
        Ok(self)
    }
}

/// A component of an order's price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceComponent {
    /// The product's id.
    pub product_id: i64,
    /// The product's parameter; none for the product itself.
    pub parameter: Option<String>,
    /// The quantity.
    pub quantity: i32,
    /// The units whose one-time price is charged: those that the replaced order did not have.
    pub new_quantity: i32,
    /// The one-time price of one unit.
    pub one_time: UnitPrice,
    /// The price of one unit for each period.
    pub recurring: UnitPrice,
}
