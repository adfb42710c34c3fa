//! The price of a configuration of a product with its components, or all its errors. There is no I/O here: the quote
//! and the order call the same functions.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SecondsFormat, Utc};

use super::product::{Offer, Parameter, Price, Product, ProductRef};
use crate::{
    error::FieldError,
    money::{amount::Currency, period::RecurringPeriod, unit_price::UnitPrice},
};

/// A customer's choices for a product. Errors name these fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The recurring period; none for a one-time purchase.
    pub recurring_period: Option<RecurringPeriod>,
    /// The currency of the price.
    pub currency: Currency,
    /// A value for each parameter, including the components' parameters.
    pub parameters: BTreeMap<String, i64>,
}

/// The price of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Priced {
    /// The one-time price: the sum of the parts.
    pub one_time: UnitPrice,
    /// The price of each period: the sum of the parts.
    pub recurring: UnitPrice,
    /// The number of periods that can't be cancelled: the product's own, regardless of its components.
    pub commitment_periods: u32,
    /// The components of the price: the product, its parameters, its components and theirs, including free ones.
    pub parts: Vec<PriceComponent>,
}

/// A component of a price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceComponent {
    /// The product or component.
    pub product: ProductRef,
    /// The parameter; none for the product itself.
    pub parameter: Option<String>,
    /// The quantity.
    pub quantity: i32,
    /// The one-time price of one unit.
    pub one_time: UnitPrice,
    /// The price of one unit for each period.
    pub recurring: UnitPrice,
}

impl Priced {
    /// Returns true if nothing is ever to be paid.
    pub fn is_free(&self) -> bool {
        self.one_time == UnitPrice::ZERO && self.recurring == UnitPrice::ZERO
    }
}

/// The product itself or one of its components.
struct Piece<'a> {
    product_id: i64,
    name: &'a str,
    quantity: i32,
    parameters: &'a [Parameter],
    /// The price for the chosen offer; none if it is not sold for that.
    price: Option<&'a Price>,
}

/// Returns the price of a configuration at a time, or all its errors.
pub fn price(product: &Product, choice: &Choice, now: DateTime<Utc>) -> Result<Priced, Vec<FieldError>> {
    let pieces = pieces(product, (choice.recurring_period, choice.currency));
    let mut errors = Vec::new();
    errors.extend(not_on_sale(product, now));
    errors.extend(not_offered(product, choice));
    errors.extend(wrong_parameters(&pieces, &choice.parameters));
    if !errors.is_empty() {
        return Err(errors);
    }
    let too_large = |_| vec![FieldError::new("parameters", "add up to more than can be billed; order less")];
    let commitment_periods = pieces[0].price.map_or(0, |price| price.commitment_periods);
    let parts: Vec<PriceComponent> = pieces.iter().flat_map(|piece| piece.parts(&choice.parameters)).collect();
    let sum = |one: fn(&PriceComponent) -> UnitPrice| {
        parts.iter().try_fold(UnitPrice::ZERO, |sum, part| sum.try_add(one(part).try_mul(part.quantity.into())?))
    };
    let one_time = sum(|part| part.one_time).map_err(too_large)?;
    let recurring = sum(|part| part.recurring).map_err(too_large)?;
    Ok(Priced { one_time, recurring, commitment_periods, parts })
}

/// Returns the product first, then its components.
fn pieces(product: &Product, offer: Offer) -> Vec<Piece<'_>> {
    let itself = Piece {
        product_id: product.product_id,
        name: &product.name,
        quantity: 1,
        parameters: &product.parameters,
        price: product.prices.iter().find(|price| price.offer() == offer),
    };
    let components = product.components.iter().map(|component| Piece {
        product_id: component.product.product_id,
        name: &component.product.name,
        quantity: component.quantity,
        parameters: &component.parameters,
        price: component.price(offer),
    });
    std::iter::once(itself).chain(components).collect()
}

impl Piece<'_> {
    /// Returns the price components of the piece and its parameters. The values and the existence of a price have been
    /// checked.
    fn parts(&self, values: &BTreeMap<String, i64>) -> Vec<PriceComponent> {
        let Some(price) = self.price else { return Vec::new() };
        let part = |parameter: Option<&str>, quantity, one_time, recurring| PriceComponent {
            product: ProductRef { product_id: self.product_id, name: self.name.to_owned() },
            parameter: parameter.map(str::to_owned),
            quantity,
            one_time,
            recurring,
        };
        let mut parts = vec![part(None, self.quantity, price.one_time, price.recurring)];
        for Parameter { name, .. } in self.parameters {
            let value = values.get(name).copied().unwrap_or_default();
            let quantity = i32::try_from(i64::from(self.quantity) * value);
            let quantity = quantity.expect("a hundred times the largest maximum fits in an i32");
            let one = price.parameters.iter().find(|price| price.parameter == *name);
            let (one_time, recurring) =
                one.map_or((UnitPrice::ZERO, UnitPrice::ZERO), |one| (one.one_time, one.recurring));
            parts.push(part(Some(name), quantity, one_time, recurring));
        }
        parts
    }
}

fn not_on_sale(product: &Product, now: DateTime<Utc>) -> Option<FieldError> {
    let text = |t: DateTime<Utc>| t.to_rfc3339_opts(SecondsFormat::Secs, true);
    let message = match product.sale_until {
        _ if product.is_on_sale(now) => return None,
        Some(until) if until <= now => format!("is no longer on sale, since {}", text(until)),
        _ => format!("goes on sale at {}", text(product.sale_from)),
    };
    Some(FieldError::new("product", message))
}

/// Returns the error of the period or the currency for which there is no price, with the offers that exist.
fn not_offered(product: &Product, choice: &Choice) -> Option<FieldError> {
    let offers: Vec<Offer> = product.offers().collect();
    if offers.contains(&(choice.recurring_period, choice.currency)) {
        return None;
    }
    let currencies: BTreeSet<Currency> = offers.iter().map(|offer| offer.1).collect();
    if currencies.is_empty() {
        return Some(FieldError::new("product", "has no price yet; contact the provider"));
    }
    if !currencies.contains(&choice.currency) {
        let message = format!("{} is not offered; choose from: {}", choice.currency, list(currencies));
        return Some(FieldError::new("currency", message));
    }
    let in_currency = offers.iter().filter(|offer| offer.1 == choice.currency);
    let periods: Vec<RecurringPeriod> = in_currency.clone().filter_map(|offer| offer.0).collect();
    let or_none = if in_currency.count() > periods.len() { "; or omit it to pay once" } else { "" };
    let message = match choice.recurring_period {
        Some(_) if periods.is_empty() => "must be omitted: this is paid once".to_owned(),
        Some(period) => {
            format!("{period} is not offered in {}; choose from: {}{or_none}", choice.currency, list(periods))
        }
        None => format!("is missing; choose from: {}", list(periods)),
    };
    Some(FieldError::new("recurring_period", message))
}

fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

fn wrong_parameters(pieces: &[Piece<'_>], values: &BTreeMap<String, i64>) -> Vec<FieldError> {
    let known: Vec<&Parameter> = pieces.iter().flat_map(|piece| piece.parameters).collect();
    let error = |name: &str, message| FieldError::new(name, message).inside("parameters");
    let unknown = values.keys().filter(|name| !known.iter().any(|parameter| parameter.name == **name)).map(|name| {
        let message = match known.as_slice() {
            [] => "is unknown; this product has no parameters".to_owned(),
            known => format!("is unknown; known are: {}", list(known.iter().map(|parameter| &parameter.name))),
        };
        error(name, message)
    });
    let wrong = known.iter().filter_map(|parameter| {
        let message = match values.get(&parameter.name) {
            None => format!("is missing; {}", parameter.rule()),
            Some(value) if parameter.takes(*value) => return None,
            Some(value) => format!("is {value}; {}", parameter.rule()),
        };
        Some(error(&parameter.name, message))
    });
    unknown.chain(wrong).collect()
}

impl Parameter {
    /// Returns true if the parameter accepts this value.
    fn takes(&self, value: i64) -> bool {
        (self.minimum.into()..=self.maximum.into()).contains(&value)
            && (value - i64::from(self.minimum)) % i64::from(self.step) == 0
    }

    /// Describes the values that the parameter accepts, for people.
    fn rule(&self) -> String {
        let Self { unit, minimum, maximum, step, .. } = self;
        match (maximum - minimum) / step {
            0 => format!("must be {minimum} {unit}"),
            _ if *step == 1 => format!("must be from {minimum} to {maximum} {unit}"),
            1 => format!("must be {minimum} or {maximum} {unit}"),
            _ => format!("must be {minimum}, {}, and so on in steps of {step} up to {maximum} {unit}", minimum + step),
        }
    }
}

#[cfg(test)]
mod tests;
