//! A product as staff write it.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use super::product::{Parameter, Price};
use crate::{
    error::FieldError,
    money::{amount::Amount, charge::Timing},
    services::Delivery,
};

/// What staff decide of a product; all but its name can be changed.
#[derive(Debug, Clone)]
pub struct ProductDraft {
    /// Its name for people.
    pub title: String,
    /// What it is.
    pub description: String,
    /// Who realises an order of it.
    pub delivery: Delivery,
    /// Whether a period is billed when it begins or when it has ended.
    pub billing_mode: Timing,
    /// From when on it can be bought; none: from now, or as before.
    pub sale_from: Option<DateTime<Utc>>,
    /// From when on it no longer can.
    pub sale_until: Option<DateTime<Utc>>,
    /// What the customer chooses.
    pub parameters: Vec<Parameter>,
    /// What it costs.
    pub prices: Vec<Price>,
    /// The names of the products that it requires.
    pub requires: Vec<String>,
    /// The names and quantities of its components.
    pub components: Vec<(String, i32)>,
}

impl ProductDraft {
    /// What is wrong with it by itself.
    pub(super) fn errors(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if self.sale_from.zip(self.sale_until).is_some_and(|(from, until)| until <= from) {
            errors.push(FieldError::new("sale_until", "must be after sale_from"));
        }
        let mut wrong = |list: &str, index: usize, error: FieldError| {
            errors.push(error.inside(&index.to_string()).inside(list));
        };
        let twice = |field: &str| FieldError::new(field, "is there twice; once is enough");
        for index in repeated(self.parameters.iter().map(|parameter| &parameter.name)) {
            wrong("parameters", index, twice("name"));
        }
        for (index, parameter) in self.parameters.iter().enumerate() {
            if let Some(error) = parameter_error(parameter) {
                wrong("parameters", index, error);
            }
        }
        for index in repeated(self.prices.iter().map(Price::offer)) {
            let message = "has this period and currency, as a price before it has";
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
            wrong("components", index, FieldError::new("name", "is there twice; say how many by the quantity"));
        }
        errors
    }

    fn price_errors(&self, price: &Price) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if price.period.is_none() {
            if price.recurring != Amount::ZERO {
                errors
                    .push(FieldError::new("recurring", "must be 0.00 or left out where there is no recurring_period"));
            }
            if price.commitment_periods != 0 {
                errors.push(FieldError::new(
                    "commitment_periods",
                    "must be 0 or left out where there is no recurring_period",
                ));
            }
        }
        let mut wrong = |index: usize, message: String| {
            errors.push(FieldError::new("name", message).inside(&index.to_string()).inside("parameters"));
        };
        let names: Vec<&str> = self.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
        for (index, of_parameter) in price.parameters.iter().enumerate() {
            if !names.contains(&of_parameter.parameter.as_str()) {
                let known = if names.is_empty() { "it has none".to_owned() } else { names.join(", ") };
                wrong(index, format!("is no parameter of this product itself: {known}"));
            }
        }
        for index in repeated(price.parameters.iter().map(|price| &price.parameter)) {
            wrong(index, "is there twice; once is enough".to_owned());
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

/// The places of what came before.
fn repeated<T: Eq + std::hash::Hash>(items: impl IntoIterator<Item = T>) -> Vec<usize> {
    let mut seen = HashSet::new();
    items.into_iter().enumerate().filter_map(|(index, item)| (!seen.insert(item)).then_some(index)).collect()
}
