//! The bills of one customer as of a time, from what is due. Reads nothing but its arguments.

use chrono::{DateTime, Utc};

use super::{
    amount::{Amount, AmountError, Currency, Rate},
    charge::Terms,
    order::{Billed, Order},
    vat::{Category, Totals, Treatment, VatGroup, groups},
    vat_rates::{RateTable, RateTableError},
};

/// What of a customer is to be billed.
#[derive(Debug)]
pub struct BillableItems {
    /// Open orders, by id.
    pub orders: Vec<Order>,
    /// What earlier bills charged of those orders that end before what is billed.
    pub charged: Vec<Charged>,
    /// Lines that staff added by hand.
    pub manual: Vec<ManualLine>,
}

/// A charge on an earlier bill.
#[derive(Debug, Clone, Copy)]
pub struct Charged {
    /// Of which order.
    pub order_id: i64,
    /// Its first second.
    pub from: DateTime<Utc>,
    /// The first second after it.
    pub to: DateTime<Utc>,
    /// How it was taxed.
    pub category: Category,
    /// At which rate.
    pub rate: Rate,
}

/// A line that staff added by hand.
#[derive(Debug, Clone, Copy)]
pub struct ManualLine {
    /// Identifies it.
    pub item_id: i64,
    /// What it is in.
    pub currency: Currency,
    /// Before VAT; negative in the customer's favour.
    pub net: Amount,
    /// Decides the VAT rate.
    pub service_at: DateTime<Utc>,
}

/// What a record is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A span of an order; `prev_to` is the end of the one before, none for the first.
    Recurring {
        /// The end of the order's record before.
        prev_to: Option<DateTime<Utc>>,
        /// Seconds of a whole period.
        period_secs: i64,
    },
    /// Takes back the end of an earlier charge.
    Credit {
        /// Seconds of a whole period.
        period_secs: i64,
    },
    /// An order's one-time price.
    OneTime,
    /// A line that staff added.
    Manual {
        /// Which.
        item_id: i64,
    },
}

/// A line of a bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// What for.
    pub kind: Kind,
    /// For which order; none: a manual line.
    pub order_id: Option<i64>,
    /// Its first second.
    pub from: DateTime<Utc>,
    /// The first second after it; the same where it is for no span.
    pub to: DateTime<Utc>,
    /// Before VAT.
    pub net: Amount,
    /// How it is taxed.
    pub category: Category,
    /// At which rate.
    pub rate: Rate,
}

/// A bill to be.
#[derive(Debug, PartialEq, Eq)]
pub struct Draft {
    /// What it is in.
    pub currency: Currency,
    /// By order and time; lines of staff last.
    pub records: Vec<Record>,
    /// Its VAT.
    pub vat: Vec<VatGroup>,
    /// What it comes to.
    pub totals: Totals,
}

/// What becomes of an order with this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CursorUpdate {
    /// Which.
    pub order_id: i64,
    /// What was billed of it.
    pub before: Billed,
    /// What is billed of it now.
    pub after: Billed,
    /// When it is due next; none: it is closed.
    pub due_at: Option<DateTime<Utc>>,
}

/// Why a customer can't be billed. Nothing of the customer is; a later run bills it all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// No rate.
    #[error(transparent)]
    Rate(#[from] RateTableError),
    /// Too much.
    #[error("an amount is too large for a bill: {0}")]
    Amount(#[from] AmountError),
}

/// One bill for each currency with something in it, and what becomes of the orders. The order in which the orders come
/// does not matter.
pub fn generate_bills(
    mut due: BillableItems,
    treatment: Treatment,
    rates: &RateTable,
    cash_rounding: bool,
    as_of: DateTime<Utc>,
) -> Result<(Vec<Draft>, Vec<CursorUpdate>), DraftError> {
    due.orders.sort_unstable_by_key(|order| order.order_id);
    let mut lines: Vec<(Currency, Record)> = Vec::new();
    let mut moved = Vec::with_capacity(due.orders.len());
    let taxes = Taxes { treatment, rates };
    for mut order in due.orders {
        let before = order.billed;
        let mut add = |record| lines.push((order.currency, record));
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
        moved.push(CursorUpdate { order_id: order.order_id, before, after: order.billed, due_at: order.due_at() });
    }
    due.manual.sort_unstable_by_key(|line| line.item_id);
    for line in due.manual {
        let kind = Kind::Manual { item_id: line.item_id };
        lines.push((line.currency, taxes.record(kind, None, line.service_at, line.net)?));
    }
    Ok((bills(lines, cash_rounding)?, moved))
}

/// How a customer's charges are taxed.
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

    /// A record without a span.
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
            kind: Kind::Recurring { prev_to, period_secs: charge.period_secs },
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

/// At the rates of the charges, whatever holds today: it corrects them.
fn credit(order: &Order, terms: &Terms, charged: &[Charged], add: &mut impl FnMut(Record)) -> Result<(), DraftError> {
    for charge in charged.iter().filter(|charge| charge.order_id == order.order_id) {
        if let Some(credit) = terms.credit(charge.from, charge.to, order.zone)? {
            add(Record {
                kind: Kind::Credit { period_secs: credit.period_secs },
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

/// The lines come by order and time, and stay like that.
fn bills(mut lines: Vec<(Currency, Record)>, cash_rounding: bool) -> Result<Vec<Draft>, AmountError> {
    lines.sort_by_key(|(currency, record)| (*currency, record.order_id.is_none(), record.order_id, record.from));
    lines
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
