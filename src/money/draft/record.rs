//! Generated bills that are not yet written.

use chrono::{DateTime, Utc};

use crate::money::{
    amount::{Amount, Currency, Rate},
    order::Billed,
    vat::{Totals, Treatment, VatGroup},
};

/// The kind of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A span of an order.
    Recurring,
    /// A proration credit: takes back the end of an earlier charge.
    Credit {
        /// The bill that the charge is on.
        corrects: i64,
    },
    /// An order's one-time price.
    OneTime,
    /// An item that staff added.
    Manual {
        /// Identifies the item.
        item_id: i64,
        /// The bill with the item that this one reverses.
        corrects: Option<i64>,
    },
    /// One half of a correction of a VAT rate: the credit at the old rate, or the charge at the new one.
    Correction {
        /// Identifies the correction.
        correction_id: i64,
        /// The bill that is corrected.
        corrects: i64,
    },
}

/// A record: what a bill charges for one order over one span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// The kind of the record.
    pub kind: Kind,
    /// The order that the record charges for; `None` for a manual item.
    pub order_id: Option<i64>,
    /// The first second of the span.
    pub from: DateTime<Utc>,
    /// The first second after the span; equal to `from` for a record without a span.
    pub to: DateTime<Utc>,
    /// The length of a whole period; `None` for a record without a span.
    pub period_seconds: Option<i64>,
    /// The number of periods, or of units, in millionths; negative in the customer's favour.
    pub quantity: i64,
    /// The amount before VAT.
    pub net: Amount,
    /// The VAT rate.
    pub rate: Rate,
}

/// A generated bill that is not yet written.
#[derive(Debug, PartialEq, Eq)]
pub struct Draft {
    /// The currency of the bill.
    pub currency: Currency,
    /// The VAT treatment of all records: a bill has one.
    pub treatment: Treatment,
    /// The records, ordered by order and time; items of staff last.
    pub records: Vec<Record>,
    /// The VAT groups of the bill, by rate.
    pub vat: Vec<VatGroup>,
    /// The totals of the bill.
    pub totals: Totals,
}

impl Draft {
    /// Returns the number of the VAT group with a record's rate, from 1 on.
    ///
    /// # Panics
    ///
    /// If no record has the rate.
    pub fn vat_group(&self, rate: Rate) -> i16 {
        let place = self.vat.iter().position(|group| group.rate == rate).expect("each record's rate has a group");
        i16::try_from(place + 1).expect("few rates")
    }
}

/// The change of an order's billing state by a bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CursorUpdate {
    /// The order that changes.
    pub order_id: i64,
    /// The billing state before the bill.
    pub before: Billed,
    /// The billing state after the bill.
    pub after: Billed,
    /// The time at which the order is due next; `None`: the order is closed.
    pub due_at: Option<DateTime<Utc>>,
}
