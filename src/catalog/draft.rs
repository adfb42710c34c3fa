//! A product as staff define it.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};

use super::product::{Parameter, Price};
use crate::{
    error::FieldError,
    money::{charge::BillingMode, language::Language, unit_price::UnitPrice},
    services::Delivery,
};

/// The properties of a product that staff define; all but its name can be changed.
#[derive(Debug, Clone)]
pub struct ProductDraft {
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
    /// The time from which customers can buy the product; none: now for a new product, or unchanged.
    pub sale_from: Option<DateTime<Utc>>,
    /// The time from which customers can no longer buy the product.
    pub sale_until: Option<DateTime<Utc>>,
    /// The parameters that customers choose.
    pub parameters: Vec<Parameter>,
    /// The product's prices.
    pub prices: Vec<Price>,
    /// The names of the products that it requires.
    pub requires: Vec<String>,
    /// The names and quantities of its components.
    pub components: Vec<(String, i32)>,
}

impl ProductDraft {
    /// Returns the errors of the draft that can be found without the database.
    pub(super) fn errors(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if self.sale_from.zip(self.sale_until).is_some_and(|(from, until)| until <= from) {
            errors.push(FieldError::new("sale_until", "must be after sale_from"));
        }
        let mut wrong = |list: &str, index: usize, error: FieldError| {
            errors.push(error.inside(&index.to_string()).inside(list));
        };
        let twice = |field: &str| FieldError::new(field, "is given twice; remove one of them");
        for index in repeated(self.parameters.iter().map(|parameter| &parameter.name)) {
            wrong("parameters", index, twice("name"));
        }
        for (index, parameter) in self.parameters.iter().enumerate() {
            if let Some(error) = parameter_error(parameter) {
                wrong("parameters", index, error);
            }
        }
        for index in repeated(self.prices.iter().map(Price::offer)) {
            let message = "has the period and currency of a previous price; remove one of them";
            wrong("prices", index, FieldError::new("recurring_period", message));
        }
        for (index, price) in self.prices.iter().enumerate() {
            for error in self.price_errors(price) {
                wrong("prices", index, error);
            }
        }
        for index in repeated(&self.requires) {
            wrong("requires", index, twice("name"));
        }
        for index in repeated(self.components.iter().map(|(name, _)| name)) {
            wrong("components", index, FieldError::new("name", "is given twice; use quantity instead"));
        }
        errors
    }

    fn price_errors(&self, price: &Price) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if price.period.is_none() {
            if price.recurring != UnitPrice::ZERO {
                errors.push(FieldError::new("recurring", "must be 0.00 or omitted without a recurring_period"));
            }
            if price.commitment_periods != 0 {
                errors.push(FieldError::new("commitment_periods", "must be 0 or omitted without a recurring_period"));
            }
        }
        let mut wrong = |index: usize, message: String| {
            errors.push(FieldError::new("name", message).inside(&index.to_string()).inside("parameters"));
        };
        let names: Vec<&str> = self.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
        for (index, of_parameter) in price.parameters.iter().enumerate() {
            if !names.contains(&of_parameter.parameter.as_str()) {
                let known = if names.is_empty() { "it has none".to_owned() } else { names.join(", ") };
                wrong(index, format!("is not a parameter of this product itself: {known}"));
            }
        }
        for index in repeated(price.parameters.iter().map(|price| &price.parameter)) {
            wrong(index, "is given twice; remove one of them".to_owned());
        }
        errors
    }
}

fn parameter_error(parameter: &Parameter) -> Option<FieldError> {
    let Parameter { minimum, maximum, step, .. } = parameter;
    if minimum > maximum {
        Some(FieldError::new("maximum", format!("must be at least the minimum, {minimum}")))
    } else if (maximum - minimum) % step != 0 {
        let last = maximum - (maximum - minimum) % step;
        let message = format!("must be whole steps of {step} from the minimum, such as {last} or {}", last + step);
        Some(FieldError::new("maximum", message))
    } else {
        None
    }
}

/// Returns the indices of items that occur earlier in the list.
fn repeated<T: Eq + std::hash::Hash>(items: impl IntoIterator<Item = T>) -> Vec<usize> {
    let mut seen = HashSet::new();
    items.into_iter().enumerate().filter_map(|(index, item)| (!seen.insert(item)).then_some(index)).collect()
}
