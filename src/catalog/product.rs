//! A product as the catalogue has it, whole.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    money::{
        amount::{Amount, Currency},
        charge::Timing,
        period::RecurringPeriod,
    },
    services::Delivery,
};

/// What can be bought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Identifies it.
    pub product_id: i64,
    /// Its name for programs, which never changes.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// What it is.
    pub description: String,
    /// Who realises an order of it.
    pub delivery: Delivery,
    /// Whether a period is billed when it begins or when it has ended.
    pub billing_mode: Timing,
    /// From when on it can be bought.
    pub sale_from: DateTime<Utc>,
    /// From when on it no longer can.
    pub sale_until: Option<DateTime<Utc>>,
    /// When it came into the catalogue.
    pub created_at: DateTime<Utc>,
    /// What the customer chooses.
    pub parameters: Vec<Parameter>,
    /// What it costs, one for each recurring period and currency; a bundle's components cost besides.
    pub prices: Vec<Price>,
    /// What the customer must have, or order along.
    pub requires: Vec<ProductRef>,
    /// What it consists of; none unless it is a bundle.
    pub components: Vec<Component>,
}

/// Another product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductRef {
    /// Identifies it.
    pub product_id: i64,
    /// Its name for programs.
    pub name: String,
}

/// What the customer chooses of a product, such as `cores`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its name for programs.
    pub name: String,
    /// What is counted, such as GB.
    pub unit: String,
    /// The smallest value.
    pub minimum: i32,
    /// The largest value, whole steps from the smallest.
    pub maximum: i32,
    /// What lies between a value and the next.
    pub step: i32,
}

/// What a product costs for a recurring period in a currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// How often the recurring price is paid; none for what is paid once.
    pub period: Option<RecurringPeriod>,
    /// Of all amounts.
    pub currency: Currency,
    /// Once.
    pub one_time: Amount,
    /// For each period.
    pub recurring: Amount,
    /// Periods that can't be cancelled.
    pub commitment_periods: u32,
    /// What the parameters cost besides; those that are missing cost nothing.
    pub parameters: Vec<ParameterPrice>,
}

/// What one unit of a parameter costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterPrice {
    /// Which.
    pub parameter: String,
    /// Once.
    pub one_time: Amount,
    /// For each period.
    pub recurring: Amount,
}

/// A product as a part of a bundle. It need not be on sale on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Which product.
    pub product: ProductRef,
    /// Its name for people.
    pub title: String,
    /// How many of it.
    pub quantity: i32,
    /// Its parameters, which are the bundle's.
    pub parameters: Vec<Parameter>,
    /// Its prices.
    pub prices: Vec<Price>,
    /// What it requires.
    pub requires: Vec<ProductRef>,
}

/// A recurring period, or none for what is paid once, and a currency.
pub type Offer = (Option<RecurringPeriod>, Currency);

impl Price {
    /// What it is for.
    pub const fn offer(&self) -> Offer {
        (self.period, self.currency)
    }
}

impl Component {
    /// Its price in a bundle: for that period, else the one that is paid once.
    pub fn price(&self, (period, currency): Offer) -> Option<&Price> {
        let find = |offer: Offer| self.prices.iter().find(|price| price.offer() == offer);
        find((period, currency)).or_else(|| find((None, currency)))
    }
}

impl Product {
    /// It, as others refer to it.
    pub fn reference(&self) -> ProductRef {
        ProductRef { product_id: self.product_id, name: self.name.clone() }
    }

    /// Whether it can be bought.
    pub fn is_on_sale(&self, now: DateTime<Utc>) -> bool {
        self.sale_from <= now && self.sale_until.is_none_or(|until| now < until)
    }

    /// It, as a part of a bundle.
    pub(super) fn as_component(&self, quantity: i32) -> Component {
        Component {
            product: self.reference(),
            title: self.title.clone(),
            quantity,
            parameters: self.parameters.clone(),
            prices: self.prices.clone(),
            requires: self.requires.clone(),
        }
    }

    /// What it is sold for: a bundle only for what all of its components are sold for too.
    pub fn offers(&self) -> impl Iterator<Item = Offer> {
        let is_whole = |offer: &Offer| self.components.iter().all(|component| component.price(*offer).is_some());
        self.prices.iter().map(Price::offer).filter(is_whole)
    }

    /// What the customer must have, or order along, that this does not contain.
    pub fn requirements(&self) -> impl Iterator<Item = &ProductRef> {
        let of_components = self.components.iter().flat_map(|component| &component.requires);
        let is_contained = |id: i64| self.components.iter().any(|component| component.product.product_id == id);
        self.requires.iter().chain(of_components).filter(move |required| !is_contained(required.product_id))
    }
}
