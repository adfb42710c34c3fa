//! A whole product of the catalogue.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    money::{
        amount::{Currency, Rate},
        charge::BillingMode,
        language::Language,
        period::RecurringPeriod,
        unit_price::UnitPrice,
    },
    services::Delivery,
};

/// A product of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Identifies the product.
    pub product_id: i64,
    /// The product's name for programs, which never changes.
    pub name: String,
    /// The product's name for people.
    pub title: String,
    /// The product's name in other languages.
    pub titles: BTreeMap<Language, String>,
    /// The product's description.
    pub description: String,
    /// The way in which orders of the product are provisioned.
    pub delivery: Delivery,
    /// The time at which a period is billed: when it begins or when it has ended.
    pub billing_mode: BillingMode,
    /// The time from which customers can buy the product.
    pub sale_from: DateTime<Utc>,
    /// The time from which customers can no longer buy the product.
    pub sale_until: Option<DateTime<Utc>>,
    /// The time at which the product was added to the catalogue.
    pub created_at: DateTime<Utc>,
    /// The parameters that customers choose.
    pub parameters: Vec<Parameter>,
    /// The prices, one for each recurring period and currency; the prices of a bundle's components are added.
    pub prices: Vec<Price>,
    /// The VAT rate of the seller's country today; none if the seller charges no VAT.
    pub vat: Option<Rate>,
    /// The products that the customer must have or order as well.
    pub requires: Vec<ProductRef>,
    /// The components of a bundle; empty for other products.
    pub components: Vec<Component>,
}

/// A reference to another product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductRef {
    /// Identifies the product.
    pub product_id: i64,
    /// The product's name for programs.
    pub name: String,
}

/// A parameter of a product that customers choose, such as `cores`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// The parameter's name for programs.
    pub name: String,
    /// The unit that is counted, such as GB.
    pub unit: String,
    /// The words after a quantity of one and of more on bills, by language: `core`, `cores`.
    #[serde(default)]
    pub words: BTreeMap<Language, [String; 2]>,
    /// The smallest value.
    pub minimum: i32,
    /// The largest value, a whole number of steps above the smallest.
    pub maximum: i32,
    /// The difference between two adjacent values.
    pub step: i32,
}

/// The price of a product for a recurring period in a currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// The recurring period; none for a one-time purchase.
    pub period: Option<RecurringPeriod>,
    /// The currency of all amounts.
    pub currency: Currency,
    /// The one-time price.
    pub one_time: UnitPrice,
    /// The price of each period.
    pub recurring: UnitPrice,
    /// The number of periods that can't be cancelled.
    pub commitment_periods: u32,
    /// The additional prices of the parameters; a parameter that is not listed is free.
    pub parameters: Vec<ParameterPrice>,
}

/// The price of one unit of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterPrice {
    /// The parameter's name.
    pub parameter: String,
    /// The one-time price.
    pub one_time: UnitPrice,
    /// The price of each period.
    pub recurring: UnitPrice,
}

/// A product as a component of a bundle. It need not be on sale on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// The product.
    pub product: ProductRef,
    /// The product's name for people.
    pub title: String,
    /// The quantity in the bundle.
    pub quantity: i32,
    /// The product's parameters, which the bundle inherits.
    pub parameters: Vec<Parameter>,
    /// The product's prices.
    pub prices: Vec<Price>,
    /// The products that the component requires.
    pub requires: Vec<ProductRef>,
}

/// A recurring period, or none for a one-time purchase, and a currency.
pub type Offer = (Option<RecurringPeriod>, Currency);

impl Product {
    /// Returns the product's name in a language, or else its name for people.
    pub fn title_in(&self, language: Language) -> &str {
        self.titles.get(&language).unwrap_or(&self.title)
    }
}

impl Parameter {
    /// Returns a quantity in words, as in `2 cores`; by name and unit if the language has no words for it.
    pub fn quantity_in(&self, language: Language, quantity: i64) -> String {
        match self.words.get(&language).or_else(|| self.words.get(&Language::En)) {
            Some([one, other]) => format!("{quantity} {}", if quantity == 1 { one } else { other }),
            None => format!("{} {quantity} {}", self.name, self.unit).trim_end().to_owned(),
        }
    }
}

impl Price {
    /// Returns the recurring period and currency of the price.
    pub const fn offer(&self) -> Offer {
        (self.period, self.currency)
    }
}

impl Component {
    /// Returns the product's price in a bundle: for that period, else its one-time price.
    pub fn price(&self, (period, currency): Offer) -> Option<&Price> {
        let find = |offer: Offer| self.prices.iter().find(|price| price.offer() == offer);
        find((period, currency)).or_else(|| find((None, currency)))
    }
}

impl Product {
    /// Returns a reference to the product.
    pub fn reference(&self) -> ProductRef {
        ProductRef { product_id: self.product_id, name: self.name.clone() }
    }

    /// Returns true if customers can buy the product.
    pub fn is_on_sale(&self, now: DateTime<Utc>) -> bool {
        self.sale_from <= now && self.sale_until.is_none_or(|until| now < until)
    }

    /// Returns the product as a component of a bundle.
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

    /// Returns the offers of the product. A bundle has only the offers that all of its components have too.
    pub fn offers(&self) -> impl Iterator<Item = Offer> {
        let is_whole = |offer: &Offer| self.components.iter().all(|component| component.price(*offer).is_some());
        self.prices.iter().map(Price::offer).filter(is_whole)
    }

    /// Returns the products that the customer must have or order as well, without those that the product contains.
    pub fn requirements(&self) -> impl Iterator<Item = &ProductRef> {
        let of_components = self.components.iter().flat_map(|component| &component.requires);
        let is_contained = |id: i64| self.components.iter().any(|component| component.product.product_id == id);
        self.requires.iter().chain(of_components).filter(move |required| !is_contained(required.product_id))
    }
}
