//! Generates the bills of one customer as of a time, from the items due. Reads nothing but its arguments.

use chrono::{DateTime, Utc};

use super::{
    amount::{Amount, AmountError, Currency, Rate},
    charge::Terms,
    order::{Billed, Order},
    vat::{Category, Totals, Treatment, VatGroup, groups},
    vat_rates::{RateTable, RateTableError},
};

/// The items of a customer that are to be billed.
#[derive(Debug)]
pub struct BillableItems {
    /// The open orders, by id.
    pub orders: Vec<Order>,
    /// The earlier charges of those orders that end before the time up to which they are billed.
    pub charged: Vec<Charged>,
    /// The items that staff added manually.
    pub manual: Vec<ManualItem>,
}

/// A charge on an earlier bill.
#[derive(Debug, Clone, Copy)]
pub struct Charged {
    /// The order that was charged.
    pub order_id: i64,
    /// The first second of the span.
    pub from: DateTime<Utc>,
    /// The first second after the span.
    pub to: DateTime<Utc>,
    /// The VAT category of the charge.
    pub category: Category,
    /// The VAT rate of the charge.
    pub rate: Rate,
}

/// An item that staff added manually.
#[derive(Debug, Clone, Copy)]
pub struct ManualItem {
    /// Identifies the item.
    pub item_id: i64,
    /// The currency of the amount.
    pub currency: Currency,
    /// The amount before VAT; negative in the customer's favour.
    pub net: Amount,
    /// The time of supply, which determines the VAT rate.
    pub service_at: DateTime<Utc>,
}

/// The kind of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A span of an order; `prev_to` is the end of the previous record, `None` for the first.
    Recurring {
        /// The end of the order's previous record.
        prev_to: Option<DateTime<Utc>>,
        /// The length of a whole period in seconds.
        period_seconds: i64,
    },
    /// A proration credit: takes back the end of an earlier charge.
    Credit {
        /// The length of a whole period in seconds.
        period_seconds: i64,
    },
    /// An order's one-time price.
    OneTime,
    /// An item that staff added.
    Manual {
        /// Identifies the item.
        item_id: i64,
    },
}

/// A record: one line of a bill.
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
    /// The amount before VAT.
    pub net: Amount,
    /// The VAT category.
    pub category: Category,
    /// The VAT rate.
    pub rate: Rate,
}

/// A generated bill that is not yet written.
#[derive(Debug, PartialEq, Eq)]
pub struct Draft {
    /// The currency of the bill.
    pub currency: Currency,
    /// The records, ordered by order and time; items of staff last.
    pub records: Vec<Record>,
    /// The VAT groups of the bill.
    pub vat: Vec<VatGroup>,
    /// The totals of the bill.
    pub totals: Totals,
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

/// The reason for which a customer can't be billed. Nothing of the customer is billed; a later run bills everything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// A VAT rate is missing.
    #[error(transparent)]
    Rate(#[from] RateTableError),
    /// An amount is too large.
    #[error("an amount is too large for a bill: {0}")]
    Amount(#[from] AmountError),
}

/// Generates one bill for each currency with something due, and the updates of the orders' billing state. The
/// sequence in which the orders are given does not matter.
pub fn generate_bills(
    mut due: BillableItems,
    treatment: Treatment,
    rates: &RateTable,
    cash_rounding: bool,
    as_of: DateTime<Utc>,
) -> Result<(Vec<Draft>, Vec<CursorUpdate>), DraftError> {
    due.orders.sort_unstable_by_key(|order| order.order_id);
    let mut records: Vec<(Currency, Record)> = Vec::new();
    let mut cursor_updates = Vec::with_capacity(due.orders.len());
    let taxes = Taxes { treatment, rates };
    for mut order in due.orders {
        let before = order.billed;
        let mut add = |record| records.push((order.currency, record));
        if !order.void && order.one_time > Amount::ZERO && !before.one_time && order.starts_at <= as_of {
            add(taxes.record(Kind::OneTime, Some(order.order_id), order.starts_at, order.one_time)?);
            order.billed.one_time = true;
        }
        if let Some(terms) = order.terms() {
            if let Some(end) = order.ends_at.filter(|_| terms.is_billed_past_end(order.charged_from(), as_of)) {
                credit(&order, &terms, &due.charged, &mut add)?;
                order.billed.through = Some(end);
            } else {
                let until = terms.due_until(as_of, order.zone);
                if until > order.charged_from() {
                    charge(&order, &terms, until, &taxes, &mut add)?;
                    order.billed.through = Some(until);
                }
            }
        }
        cursor_updates.push(CursorUpdate {
            order_id: order.order_id,
            before,
            after: order.billed,
            due_at: order.due_at(),
        });
    }
    due.manual.sort_unstable_by_key(|item| item.item_id);
    for item in due.manual {
        let kind = Kind::Manual { item_id: item.item_id };
        records.push((item.currency, taxes.record(kind, None, item.service_at, item.net)?));
    }
    Ok((bills(records, cash_rounding)?, cursor_updates))
}

/// The VAT of a customer's charges.
struct Taxes<'a> {
    treatment: Treatment,
    rates: &'a RateTable,
}

impl Taxes<'_> {
    fn rate_at(&self, t: DateTime<Utc>) -> Result<Rate, RateTableError> {
        self.treatment.rate_at(self.rates, t)
    }

    fn changes(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> &[DateTime<Utc>] {
        self.treatment.territory().map_or(&[], |territory| self.rates.changes(territory, from, to))
    }

    /// Adds a record without a span.
    fn record(
        &self,
        kind: Kind,
        order_id: Option<i64>,
        t: DateTime<Utc>,
        net: Amount,
    ) -> Result<Record, RateTableError> {
        Ok(Record { kind, order_id, from: t, to: t, net, category: self.treatment.category(), rate: self.rate_at(t)? })
    }
}

fn charge(
    order: &Order,
    terms: &Terms,
    until: DateTime<Utc>,
    taxes: &Taxes<'_>,
    add: &mut impl FnMut(Record),
) -> Result<(), DraftError> {
    let mut prev_to = order.billed.through;
    let from = order.charged_from();
    for charge in terms.charges(from, until, order.zone, taxes.changes(from, until)) {
        let charge = charge?;
        add(Record {
            kind: Kind::Recurring { prev_to, period_seconds: charge.period_seconds },
            order_id: Some(order.order_id),
            from: charge.from,
            to: charge.to,
            net: charge.net,
            category: taxes.treatment.category(),
            rate: taxes.rate_at(charge.from)?,
        });
        prev_to = Some(charge.to);
    }
    Ok(())
}

/// Credits unused charges at the VAT rates of the charges, regardless of today's rates, because a credit corrects
/// them.
fn credit(order: &Order, terms: &Terms, charged: &[Charged], add: &mut impl FnMut(Record)) -> Result<(), DraftError> {
    for charge in charged.iter().filter(|charge| charge.order_id == order.order_id) {
        if let Some(credit) = terms.credit(charge.from, charge.to, order.zone)? {
            add(Record {
                kind: Kind::Credit { period_seconds: credit.period_seconds },
                order_id: Some(order.order_id),
                from: credit.from,
                to: credit.to,
                net: credit.net,
                category: charge.category,
                rate: charge.rate,
            });
        }
    }
    Ok(())
}

/// Groups records, which come ordered by order and time, into bills; the sequence is kept.
fn bills(mut records: Vec<(Currency, Record)>, cash_rounding: bool) -> Result<Vec<Draft>, AmountError> {
    records.sort_by_key(|(currency, record)| (*currency, record.order_id.is_none(), record.order_id, record.from));
    records
        .chunk_by(|(currency, _), (other, _)| currency == other)
        .map(|chunk| {
            let currency = chunk[0].0;
            let records: Vec<Record> = chunk.iter().map(|(_, record)| *record).collect();
            let vat = groups(records.iter().map(|record| (record.category, record.rate, record.net)))?;
            let totals = Totals::of(&vat, cash_rounding && currency.as_str() == "CHF")?;
            Ok(Draft { currency, records, vat, totals })
        })
        .collect()
}

#[cfg(test)]
mod tests;
