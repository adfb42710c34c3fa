//! The charges of an order for any span of time, and the end of an order.
//!
//! C(t), the charge up to `t`, is the price times the number of elapsed periods, counting the current one by its
//! elapsed seconds: an exact fraction. The charge for `[a, b)` is round(C(b)) - round(C(a)), so the sum is the same
//! to the cent however an order's life is divided into records and runs.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::{
    amount::{Amount, AmountError},
    period::{Position, RecurringPeriod, plus_seconds, secs_between},
    unit_price::{MICROS_PER_CENT, UnitPrice},
};

/// The time at which a period is billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "lowercase")]
#[sqlx(rename_all = "lowercase", type_name = "text")]
pub enum BillingMode {
    /// In advance: by the first run within the period.
    Advance,
    /// In arrears: by the first run after the period.
    Arrears,
}

/// The terms of an order that determine its recurring charges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The first second that is charged.
    pub starts_at: DateTime<Utc>,
    /// The first second that is no longer charged; `None` while no end is set.
    pub ends_at: Option<DateTime<Utc>>,
    /// The price of each period.
    pub price: UnitPrice,
    /// The recurring period.
    pub period: RecurringPeriod,
    /// The time at which a period is billed.
    pub billing_mode: BillingMode,
    /// The number of periods that cannot be cancelled.
    pub commitment_periods: u32,
    /// The end of an earlier order's commitment, which this order, its upgrade, carries on; `None`: there is none.
    pub carried_commitment_ends_at: Option<DateTime<Utc>>,
}

/// A charge for a span, or a credit if `net` is negative: `net` is the price times `secs / period_seconds`, except for
/// the rounding of sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    /// The first second of the span.
    pub from: DateTime<Utc>,
    /// The first second after the span.
    pub to: DateTime<Utc>,
    /// The amount before VAT.
    pub net: Amount,
    /// The length of the span in seconds, from `from` to `to`.
    pub secs: i64,
    /// The length in seconds of the period that contains the span, or of each period that the span covers.
    pub period_seconds: i64,
}

/// The relation of a replacement to the order that it replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacement {
    /// An upgrade: costs as much or more per second and takes effect now.
    Upgrade,
    /// A downgrade: costs less and takes effect at a boundary.
    Downgrade,
}

/// The treatment of the period that an upgrade interrupts; the handbook has both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "lowercase")]
#[sqlx(rename_all = "lowercase", type_name = "text")]
pub enum UpgradeCredit {
    /// Prorates: the unused part of the period is not charged: 5 + 20.
    Prorate,
    /// Charges the period to its end: 10 + 20.
    None,
}

/// The start of the new order's charges and the end of the old order's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplacementSchedule {
    /// The kind of the replacement.
    pub replacement: Replacement,
    /// The time at which the new order starts.
    pub starts_at: DateTime<Utc>,
    /// The time at which the old order ends; if that is its start, the old order is void.
    pub ends_at: DateTime<Utc>,
}

impl Replacement {
    /// Compares the prices per second, exactly, by the nominal lengths of months and years.
    pub fn of(old: (UnitPrice, RecurringPeriod), new: (UnitPrice, RecurringPeriod)) -> Self {
        let per_second =
            |price: UnitPrice, other: RecurringPeriod| i128::from(price.micros()) * i128::from(other.nominal_seconds());
        if per_second(new.0, old.1) >= per_second(old.0, new.1) { Self::Upgrade } else { Self::Downgrade }
    }
}

impl Terms {
    fn position(&self, t: DateTime<Utc>, zone: Tz) -> Position {
        self.period.position(self.starts_at, t, zone)
    }

    /// Returns round(C) `secs` seconds after a position; not past the end of its period, unless all periods have the
    /// same length.
    fn charge_after(&self, position: Position, secs: i64) -> Result<Amount, AmountError> {
        let Position { whole, into_seconds, period_seconds } = position;
        let passed = i128::from(whole) * i128::from(period_seconds) + i128::from(into_seconds + secs);
        let denominator = i128::from(period_seconds) * i128::from(MICROS_PER_CENT);
        Amount::rounded(i128::from(self.price.micros()) * passed, denominator)
    }

    /// Returns round(C(t)): all charges up to `t` less all credits. Zero before the start.
    pub fn charge_until(&self, t: DateTime<Utc>, zone: Tz) -> Result<Amount, AmountError> {
        self.charge_after(self.position(t, zone), 0)
    }

    /// Returns the charge for a span.
    pub fn net(&self, from: DateTime<Utc>, to: DateTime<Utc>, zone: Tz) -> Result<Amount, AmountError> {
        self.charge_until(to, zone)?.try_sub(self.charge_until(from, zone)?)
    }

    /// Returns the time up to which a run as of `t` bills; the start if nothing is due.
    ///
    /// In advance, that is the end of the period that contains `t`; in arrears, the last boundary that is not after
    /// `t`, or the order's end once it has passed; never later than the order's end. If the result is not later than
    /// the time already billed, there is nothing to do.
    pub fn due_until(&self, t: DateTime<Utc>, zone: Tz) -> DateTime<Utc> {
        if t < self.starts_at {
            return self.starts_at;
        }
        let Position { into_seconds, period_seconds, .. } = self.position(t, zone);
        match (self.ends_at, self.billing_mode) {
            (Some(end), _) if end <= t => end.max(self.starts_at),
            (end, BillingMode::Advance) => {
                let to = plus_seconds(t, period_seconds - into_seconds);
                end.map_or(to, |end| end.min(to))
            }
            (_, BillingMode::Arrears) => plus_seconds(t, -into_seconds),
        }
    }

    /// Returns the charges for a span, one for each period and VAT rate; periods shorter than a day are combined into
    /// one charge for each VAT rate. `rate_changes` are the times at which the VAT rate changes, in ascending order;
    /// times outside the span are ignored.
    pub const fn charges<'a>(
        &'a self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        zone: Tz,
        rate_changes: &'a [DateTime<Utc>],
    ) -> Charges<'a> {
        Charges { terms: self, from, to, zone, rate_changes }
    }

    /// Returns true if a run as of `t` has to give a credit: the order has ended, and is billed past its end.
    pub fn is_billed_past_end(&self, billed_through: DateTime<Utc>, t: DateTime<Utc>) -> bool {
        self.ends_at.is_some_and(|end| end <= t && end < billed_through)
    }

    /// Returns the credit for the part of a charge `[from, to)` that the order's end leaves unused, to be given at
    /// that charge's VAT rate; `None` if the charge is used to its end, or if the part comes to 0.00.
    pub fn credit(&self, from: DateTime<Utc>, to: DateTime<Utc>, zone: Tz) -> Result<Option<Charge>, AmountError> {
        let Some(from) = self.ends_at.map(|end| end.max(from)).filter(|from| *from < to) else { return Ok(None) };
        let net = self.net(from, to, zone)?;
        let Position { period_seconds, .. } = self.position(from, zone);
        let credit = Charge { from, to, net: -net, secs: secs_between(from, to), period_seconds };
        Ok(Some(credit).filter(|credit| credit.net != Amount::ZERO))
    }

    /// Returns the first period, counted from 1, whose end adds at least a cent to what is charged up to `from`. The
    /// periods of a price below a cent do not all.
    fn next_charged_period(&self, from: DateTime<Utc>, zone: Tz) -> Result<u32, AmountError> {
        let position = self.position(from, zone);
        let half_cents = 2 * i128::from(self.charge_after(position, 0)?.cents()) + 1;
        let (micros, price) = (half_cents * i128::from(MICROS_PER_CENT / 2), i128::from(self.price.micros()));
        let periods = (micros + price - 1) / price;
        Ok(u32::try_from(periods).unwrap_or(u32::MAX - 1).max(position.whole + 1))
    }

    /// Returns the earliest time as of which a run has something to charge, for an order that is charged up to `from`
    /// and has not ended then.
    pub fn next_due_at(&self, from: DateTime<Utc>, zone: Tz) -> Result<DateTime<Utc>, AmountError> {
        // What is left until the end may come to 0.00 although a whole period would not.
        if let Some(end) = self.ends_at
            && self.net(from, end, zone)? == Amount::ZERO
        {
            return Ok(end);
        }
        let next = self.next_charged_period(from, zone)?;
        let due = match self.billing_mode {
            BillingMode::Advance => from.max(self.period.boundary(self.starts_at, next - 1, zone)),
            BillingMode::Arrears => self.period.boundary(self.starts_at, next, zone),
        };
        Ok(self.ends_at.map_or(due, |end| end.min(due)))
    }

    /// Returns the end of the commitment, the time that cannot be cancelled: an upgrade does not shorten it.
    pub fn commitment_ends_at(&self, zone: Tz) -> DateTime<Utc> {
        let own = self.period.boundary(self.starts_at, self.commitment_periods, zone);
        self.carried_commitment_ends_at.map_or(own, |carried| carried.max(own))
    }

    /// Returns when a downgrade ordered `now` takes effect: at the first boundary that is neither before now nor
    /// before the end of the commitment.
    pub fn downgraded_at(&self, now: DateTime<Utc>, zone: Tz) -> DateTime<Utc> {
        self.period.boundary_from(self.starts_at, now.max(self.commitment_ends_at(zone)), zone)
    }

    /// Returns when charging ends if the order is cancelled `now`: as with a downgrade, but before the start it ends
    /// at the start, and the order is void.
    pub fn cancelled_at(&self, now: DateTime<Utc>, zone: Tz) -> DateTime<Utc> {
        if now < self.starts_at { self.starts_at } else { self.downgraded_at(now, zone) }
    }

    /// Returns the schedule by which an order with another price or period, placed `now`, replaces this one.
    ///
    /// An upgrade takes effect at once, or at the start of this order if that is still to come; a commitment does not
    /// delay it. Without a credit, this order is charged up to the first boundary that is not before now.
    pub fn replaced_by(
        &self,
        (price, period): (UnitPrice, RecurringPeriod),
        credit: UpgradeCredit,
        now: DateTime<Utc>,
        zone: Tz,
    ) -> ReplacementSchedule {
        let replacement = Replacement::of((self.price, self.period), (price, period));
        let (starts_at, ends_at) = match (replacement, credit) {
            (Replacement::Downgrade, _) => {
                let boundary = self.downgraded_at(now, zone);
                (boundary, boundary)
            }
            (Replacement::Upgrade, UpgradeCredit::Prorate) => (now.max(self.starts_at), now.max(self.starts_at)),
            (Replacement::Upgrade, UpgradeCredit::None) => {
                (now.max(self.starts_at), self.period.boundary_from(self.starts_at, now, zone))
            }
        };
        ReplacementSchedule { replacement, starts_at, ends_at }
    }
}

/// The iterator that [`Terms::charges`] returns.
#[derive(Debug, Clone)]
pub struct Charges<'a> {
    terms: &'a Terms,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    zone: Tz,
    rate_changes: &'a [DateTime<Utc>],
}

impl Iterator for Charges<'_> {
    type Item = Result<Charge, AmountError>;

    fn next(&mut self) -> Option<Self::Item> {
        let from = self.from.max(self.terms.starts_at);
        if from >= self.to {
            return None;
        }
        let position = self.terms.position(from, self.zone);
        let mut to = self.to;
        if !self.terms.period.is_shorter_than_a_day() {
            to = to.min(plus_seconds(from, position.period_seconds - position.into_seconds));
        }
        to = self.rate_changes.iter().find(|change| **change > from).map_or(to, |change| to.min(*change));
        self.from = to;
        let secs = secs_between(from, to);
        let net = || self.terms.charge_after(position, secs)?.try_sub(self.terms.charge_after(position, 0)?);
        Some(net().map(|net| Charge { from, to, net, secs, period_seconds: position.period_seconds }))
    }
}

#[cfg(test)]
mod tests;
