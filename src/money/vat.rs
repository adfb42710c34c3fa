//! VAT of a Swiss provider: which customers are taxed where, and the VAT of a bill.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::{
    amount::{Amount, AmountError, Rate},
    country::Country,
    territory::{Area, Territory},
    vat_rates::{RateTable, RateTableError},
};

/// The VAT category of a charge, by the codes of EN 16931 (UNCL 5305).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type)]
#[sqlx(type_name = "text")]
pub enum Category {
    /// Reverse charge: the customer owes the VAT.
    #[serde(rename = "AE")]
    #[sqlx(rename = "AE")]
    ReverseCharge,
    /// Outside the scope: the seller charges no VAT.
    #[serde(rename = "O")]
    #[sqlx(rename = "O")]
    OutsideScope,
    /// Standard: taxed at the standard rate of a territory.
    #[serde(rename = "S")]
    #[sqlx(rename = "S")]
    Standard,
}

/// The error for a text that is not a VAT category.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be S (standard rate), AE (reverse charge) or O (outside scope)")]
pub struct CategoryError;

impl Category {
    /// Returns the code of the category.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReverseCharge => "AE",
            Self::OutsideScope => "O",
            Self::Standard => "S",
        }
    }
}

impl FromStr for Category {
    type Err = CategoryError;

    fn from_str(text: &str) -> Result<Self, CategoryError> {
        let all = [Self::ReverseCharge, Self::OutsideScope, Self::Standard];
        all.into_iter().find(|category| category.as_str() == text).ok_or(CategoryError)
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The provider, as far as VAT and calendars are concerned. Always Swiss: sellers in other countries have other
/// rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seller {
    zone: Tz,
    /// Has a VAT number. Whoever has none may not charge VAT (MWSTG, article 27).
    is_registered: bool,
    oss_eu: bool,
}

/// The error for a seller in a country without known rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be CH: the VAT rules for sellers in other countries are not implemented")]
pub struct SellerError;

impl Seller {
    /// Returns a seller in this country and time zone. `is_registered`: has a VAT number. `oss_eu`: registered in the
    /// Union's One Stop Shop (its non-Union scheme), through which a seller from elsewhere charges and pays the member
    /// states' VAT.
    pub fn new(country: Country, zone: Tz, is_registered: bool, oss_eu: bool) -> Result<Self, SellerError> {
        if country == Country::CH { Ok(Self { zone, is_registered, oss_eu }) } else { Err(SellerError) }
    }

    /// Returns true if the seller has a VAT number.
    pub const fn is_registered(self) -> bool {
        self.is_registered
    }

    /// Returns the time zone of calendar periods.
    pub const fn zone(self) -> Tz {
        self.zone
    }
}

/// The kind of a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CustomerKind {
    /// A private person.
    Private,
    /// A business.
    Business,
}

/// A customer, as far as VAT is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Customer {
    /// The area of the billing address.
    pub area: Area,
    /// The kind of the customer.
    pub kind: CustomerKind,
    /// True if staff have verified the VAT number; its form alone proves nothing.
    pub has_verified_number: bool,
}

/// The VAT treatment of a customer's charges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Treatment {
    /// Taxed at the standard rate of a territory.
    Taxed(Territory),
    /// Reverse charge: the customer owes the VAT.
    ReverseCharge,
    /// Outside the scope: the seller charges no VAT.
    OutsideScope,
}

impl Treatment {
    /// Returns the treatment of a customer. A seller without a VAT number charges no VAT at all. Customers in the VAT
    /// territory of Switzerland pay Swiss VAT. In that of the European Union, businesses with a verified number owe the
    /// VAT themselves; all others pay the VAT of their territory, if the seller is registered to charge it. A seller
    /// without that registration may not put it on a bill: for Switzerland the service is supplied abroad (MWSTG,
    /// article 8), and so outside its scope.
    pub fn of(seller: Seller, customer: Customer) -> Self {
        let is_business = customer.kind == CustomerKind::Business;
        match customer.area {
            Area::Switzerland(territory) if seller.is_registered => Self::Taxed(territory),
            Area::Union(_) if !seller.is_registered => Self::OutsideScope,
            Area::Union(_) if is_business && customer.has_verified_number => Self::ReverseCharge,
            Area::Union(territory) if seller.oss_eu => Self::Taxed(territory),
            Area::Switzerland(_) | Area::Union(_) | Area::Elsewhere => Self::OutsideScope,
        }
    }

    /// Returns the treatment from the columns of a bill.
    pub fn from_columns(category: Category, territory: Option<Territory>) -> Option<Self> {
        match (category, territory) {
            (Category::Standard, Some(territory)) => Some(Self::Taxed(territory)),
            (Category::ReverseCharge, None) => Some(Self::ReverseCharge),
            (Category::OutsideScope, None) => Some(Self::OutsideScope),
            _ => None,
        }
    }

    /// Returns the code on records and bills.
    pub const fn category(self) -> Category {
        match self {
            Self::Taxed(_) => Category::Standard,
            Self::ReverseCharge => Category::ReverseCharge,
            Self::OutsideScope => Category::OutsideScope,
        }
    }

    /// Returns the territory whose rates apply; `None` if the rate is always zero.
    pub const fn territory(self) -> Option<Territory> {
        match self {
            Self::Taxed(territory) => Some(territory),
            Self::ReverseCharge | Self::OutsideScope => None,
        }
    }

    /// Returns the rate of a service supplied at time `t`.
    pub fn rate_at(self, rates: &RateTable, t: DateTime<Utc>) -> Result<Rate, RateTableError> {
        self.territory().map_or(Ok(Rate::ZERO), |territory| rates.rate_at(territory, t))
    }
}

/// The VAT treatments of a customer over time: that of the address which was valid when a service was supplied counts.
#[derive(Debug, Clone)]
pub struct TreatmentHistory(Vec<(DateTime<Utc>, Treatment)>);

impl TreatmentHistory {
    /// Returns a history from treatments and the times since which they apply, in ascending order; `None` without any.
    /// The first one applies before its time too: nothing else is known.
    pub fn new(versions: impl IntoIterator<Item = (DateTime<Utc>, Treatment)>) -> Option<Self> {
        let mut steps: Vec<(DateTime<Utc>, Treatment)> = Vec::new();
        for (since, treatment) in versions {
            steps.pop_if(|(last_since, _)| *last_since == since);
            if steps.last().is_none_or(|(_, last)| *last != treatment) {
                steps.push((since, treatment));
            }
        }
        if steps.is_empty() { None } else { Some(Self(steps)) }
    }

    /// Returns the treatment of a service supplied at time `t`, and the time at which another one follows.
    pub fn at(&self, t: DateTime<Utc>) -> (Treatment, Option<DateTime<Utc>>) {
        let next = self.0.partition_point(|(since, _)| *since <= t).max(1);
        (self.0[next - 1].1, self.0.get(next).map(|(since, _)| *since))
    }
}

/// The VAT group of a bill: all records of one rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VatGroup {
    /// The VAT rate.
    pub rate: Rate,
    /// The sum of the records' nets.
    pub base: Amount,
    /// The VAT on the sum, rounded once.
    pub tax: Amount,
}

/// Returns the VAT groups of a bill's records, by rate.
pub fn groups(records: impl IntoIterator<Item = (Rate, Amount)>) -> Result<Vec<VatGroup>, AmountError> {
    let mut groups: Vec<VatGroup> = Vec::new();
    for (rate, net) in records {
        match groups.iter_mut().find(|group| group.rate == rate) {
            Some(group) => group.base = group.base.try_add(net)?,
            None => groups.push(VatGroup { rate, base: net, tax: Amount::ZERO }),
        }
    }
    for group in &mut groups {
        group.tax = group.rate.of(group.base);
    }
    groups.sort_unstable_by_key(|group| group.rate);
    Ok(groups)
}

/// The totals of a bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// The total before VAT.
    pub net: Amount,
    /// The sum of the VAT of all groups.
    pub tax: Amount,
    /// The total with VAT.
    pub gross: Amount,
    /// The amount that rounding adds or subtracts.
    pub rounding: Amount,
    /// The amount to be paid.
    pub amount_due: Amount,
}

impl Totals {
    /// Returns the totals of the groups; with `cash_rounding`, the amount due is the nearest multiple of 0.05.
    pub fn of(groups: &[VatGroup], cash_rounding: bool) -> Result<Self, AmountError> {
        let net = Amount::try_sum(groups.iter().map(|group| group.base))?;
        let tax = Amount::try_sum(groups.iter().map(|group| group.tax))?;
        let gross = net.try_add(tax)?;
        let amount_due = if cash_rounding { gross.to_five_cents()? } else { gross };
        Ok(Self { net, tax, gross, rounding: amount_due.try_sub(gross)?, amount_due })
    }
}

#[cfg(test)]
mod tests;
