//! An order on a bill.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Offset as _, Utc};

use crate::money::{language::Language, order::Order, period::Unit};

/// An order and what bills call it.
#[derive(Debug)]
pub(in crate::billing) struct Ordered {
    pub order: Order,
    pub description: String,
    /// The description in other languages.
    pub descriptions: BTreeMap<Language, String>,
    pub product: Option<String>,
    /// The order that replaced it.
    pub replaced_by: Option<i64>,
}

impl Ordered {
    /// Returns the civil day of a time. Periods of days last 24 hours each, so the days of such an order are counted from its
    /// start: when the clocks change, none appears twice and none is left out.
    pub fn day(&self, t: DateTime<Utc>) -> NaiveDate {
        let Order { period, starts_at, zone, .. } = self.order;
        if period.is_some_and(|period| period.unit() == Unit::Day) {
            t.with_timezone(&starts_at.with_timezone(&zone).offset().fix()).date_naive()
        } else {
            t.with_timezone(&zone).date_naive()
        }
    }
}
