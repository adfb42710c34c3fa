//! Generates the bills of one customer as of a time, from the items due. Reads nothing but its arguments.

mod billable;
mod record;

use std::borrow::Cow;

use chrono::{DateTime, Utc};

pub use self::{
    billable::{BillableItems, Charged, ManualItem, RateCorrection, Reversed},
    record::{CursorUpdate, Draft, Kind, Record},
};
use super::{
    amount::{Amount, AmountError, Currency, Rate, round},
    charge::Terms,
    order::Order,
    unit_price::UnitPrice,
    vat::{Totals, Treatment, TreatmentHistory, groups},
    vat_rates::{RateTable, RateTableError},
};

/// The quantity 1, in millionths.
const ONE: i64 = 1_000_000;

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

/// Generates one bill for each currency and VAT treatment with something due, and the updates of the orders' billing
/// state. The sequence in which the orders are given does not matter.
pub fn generate_bills(
    mut due: BillableItems,
    history: &TreatmentHistory,
    rates: &RateTable,
    cash_rounding: bool,
    as_of: DateTime<Utc>,
) -> Result<(Vec<Draft>, Vec<CursorUpdate>), DraftError> {
    due.orders.sort_unstable_by_key(|order| order.order_id);
    let mut lines = Lines { taxes: Taxes { history, rates }, lines: Vec::new() };
    let mut cursor_updates = Vec::with_capacity(due.orders.len());
    for mut order in due.orders {
        let before = order.billed;
        if !order.void && order.one_time > UnitPrice::ZERO && !before.one_time && order.starts_at <= as_of {
            let net = order.one_time.to_amount()?;
            let taxed = lines.taxes.at(order.starts_at)?;
            lines.once(Kind::OneTime, Some(order.order_id), order.currency, order.starts_at, net, taxed);
            order.billed.one_time = true;
        }
        if let Some(terms) = order.terms() {
            order.billed.through = lines.recurring(&order, &terms, &due.charged, as_of)?;
        }
        cursor_updates.push(CursorUpdate {
            order_id: order.order_id,
            before,
            after: order.billed,
            due_at: order.due_at(),
        });
    }
    due.corrections.sort_unstable_by_key(|correction| correction.correction_id);
    for correction in due.corrections {
        lines.correct(correction);
    }
    due.manual.sort_unstable_by_key(|item| item.item_id);
    for ManualItem { item_id, currency, net, service_at, reverses } in due.manual {
        let kind = Kind::Manual { item_id, corrects: reverses.map(|reversed| reversed.bill_id) };
        let taxed = match reverses {
            Some(Reversed { treatment, rate, .. }) => (treatment, rate),
            None => lines.taxes.at(service_at)?,
        };
        lines.once(kind, None, currency, service_at, net, taxed);
    }
    Ok((bills(lines.lines, cash_rounding)?, cursor_updates))
}

/// A record with what decides the bill that it goes on.
struct Line {
    currency: Currency,
    treatment: Treatment,
    record: Record,
}

/// The records of all bills of a customer.
struct Lines<'a> {
    taxes: Taxes<'a>,
    lines: Vec<Line>,
}

impl Lines<'_> {
    /// Adds a record without a span, unless it comes to 0.00.
    fn once(
        &mut self,
        kind: Kind,
        order_id: Option<i64>,
        currency: Currency,
        t: DateTime<Utc>,
        net: Amount,
        (treatment, rate): (Treatment, Rate),
    ) {
        if net == Amount::ZERO {
            return;
        }
        let quantity = if net < Amount::ZERO { -ONE } else { ONE };
        let record = Record { kind, order_id, from: t, to: t, period_seconds: None, quantity, net, rate };
        self.lines.push(Line { currency, treatment, record });
    }

    /// Adds what a run charges for an order, or credits after its end; returns the time up to which it is billed then.
    fn recurring(
        &mut self,
        order: &Order,
        terms: &Terms,
        charged: &[Charged],
        as_of: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, DraftError> {
        if let Some(end) = order.ends_at.filter(|_| terms.is_billed_past_end(order.charged_from(), as_of)) {
            self.credit(order, terms, charged)?;
            return Ok(Some(end));
        }
        let until = terms.due_until(as_of, order.zone);
        if until <= order.charged_from() {
            return Ok(order.billed.through);
        }
        let through = self.charge(order, terms, until)?;
        // The tail of an order that has ended waits for no other record.
        let is_over = order.ends_at.is_some_and(|end| end <= as_of && end == until);
        Ok(if is_over { Some(until) } else { through })
    }

    /// Charges an order up to `until`; returns the time up to which it is charged then. Spans that come to 0.00 are
    /// left to the record after them.
    fn charge(
        &mut self,
        order: &Order,
        terms: &Terms,
        until: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, DraftError> {
        let mut through = order.billed.through;
        let from = order.charged_from();
        let (mut waiting_from, mut quantity) = (None, 0);
        for charge in terms.charges(from, until, order.zone, &self.taxes.changes(from, until)) {
            let charge = charge?;
            quantity += millionths(charge.secs, charge.period_seconds);
            let from = *waiting_from.get_or_insert(charge.from);
            if charge.net == Amount::ZERO {
                continue;
            }
            let (treatment, rate) = self.taxes.at(charge.from)?;
            let (kind, order_id) = (Kind::Recurring, Some(order.order_id));
            let period_seconds = Some(charge.period_seconds);
            let record =
                Record { kind, order_id, from, to: charge.to, period_seconds, quantity, net: charge.net, rate };
            self.lines.push(Line { currency: order.currency, treatment, record });
            (waiting_from, quantity) = (None, 0);
            through = Some(charge.to);
        }
        Ok(through)
    }

    /// Credits unused charges with the VAT of the charges, regardless of today's, because a credit corrects them.
    fn credit(&mut self, order: &Order, terms: &Terms, charged: &[Charged]) -> Result<(), DraftError> {
        for charge in charged.iter().filter(|charge| charge.order_id == order.order_id) {
            if let Some(credit) = terms.credit(charge.from, charge.to, order.zone)? {
                let record = Record {
                    kind: Kind::Credit { corrects: charge.bill_id },
                    order_id: Some(order.order_id),
                    from: credit.from,
                    to: credit.to,
                    period_seconds: Some(credit.period_seconds),
                    quantity: -millionths(credit.secs, credit.period_seconds),
                    net: credit.net,
                    rate: charge.rate,
                };
                self.lines.push(Line { currency: order.currency, treatment: charge.treatment, record });
            }
        }
        Ok(())
    }

    fn correct(&mut self, correction: RateCorrection) {
        let RateCorrection { correction_id, order_id, currency, from, to, net, treatment, .. } = correction;
        let kind = Kind::Correction { correction_id, corrects: correction.bill_id };
        for (quantity, net, rate) in [(-ONE, -net, correction.old_rate), (ONE, net, correction.new_rate)] {
            let record = Record { kind, order_id, from, to, period_seconds: None, quantity, net, rate };
            self.lines.push(Line { currency, treatment, record });
        }
    }
}

/// Returns seconds as a part of a period, in millionths.
fn millionths(secs: i64, period_seconds: i64) -> i64 {
    let quantity = round(i128::from(secs) * i128::from(ONE), period_seconds.into());
    i64::try_from(quantity).expect("the hours until the year 9999 fit in millionths")
}

/// The VAT of a customer's charges.
struct Taxes<'a> {
    history: &'a TreatmentHistory,
    rates: &'a RateTable,
}

impl Taxes<'_> {
    fn at(&self, t: DateTime<Utc>) -> Result<(Treatment, Rate), RateTableError> {
        let (treatment, _) = self.history.at(t);
        Ok((treatment, treatment.rate_at(self.rates, t)?))
    }

    /// Returns the times in `(from, to)` at which the treatment or its rate changes, in ascending order.
    fn changes(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Cow<'_, [DateTime<Utc>]> {
        let of_rate = |treatment: Treatment, from, to| {
            treatment.territory().map_or(&[][..], |territory| self.rates.changes(territory, from, to))
        };
        let (treatment, next) = self.history.at(from);
        let Some(mut moved) = next.filter(|next| *next < to) else { return of_rate(treatment, from, to).into() };
        let mut changes = of_rate(treatment, from, moved).to_vec();
        loop {
            changes.push(moved);
            let (treatment, next) = self.history.at(moved);
            let end = next.map_or(to, |next| next.min(to));
            changes.extend(of_rate(treatment, moved, end));
            if end == to {
                return changes.into();
            }
            moved = end;
        }
    }
}

/// Groups records into bills, one for each currency and treatment, ordered by order and time.
fn bills(mut lines: Vec<Line>, cash_rounding: bool) -> Result<Vec<Draft>, AmountError> {
    lines.sort_by_key(|line| {
        let Record { order_id, from, .. } = line.record;
        (line.currency, line.treatment, order_id.is_none(), order_id, from)
    });
    lines
        .chunk_by(|line, other| (line.currency, line.treatment) == (other.currency, other.treatment))
        .map(|chunk| {
            let Line { currency, treatment, .. } = chunk[0];
            let records: Vec<Record> = chunk.iter().map(|line| line.record).collect();
            let vat = groups(records.iter().map(|record| (record.rate, record.net)))?;
            let totals = Totals::of(&vat, cash_rounding && currency.as_str() == "CHF")?;
            Ok(Draft { currency, treatment, records, vat, totals })
        })
        .collect()
}

#[cfg(test)]
mod tests;
