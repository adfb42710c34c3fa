//! What an order costs from one time to another, and when it ends.
//!
//! C(t), the charge up to `t`, is the price times the periods that have passed, the running one by its seconds: an exact
//! fraction. What is charged for `[a, b)` is round(C(b)) - round(C(a)), so the sum is the same to the cent however an
//! order's life is cut into records and runs.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::{
    amount::{Amount, AmountError},
    period::{Position, RecurringPeriod, plus_secs, secs_between},
};

/// When a period is billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "lowercase")]
#[sqlx(rename_all = "lowercase", type_name = "text")]
pub enum Timing {
    /// By the first run in it.
    Advance,
    /// By the first run after it.
    Arrears,
}

/// What of an order decides its recurring charges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The first second that is charged.
    pub starts_at: DateTime<Utc>,
    /// The first second that no longer is; none while nobody ends it.
    pub ends_at: Option<DateTime<Utc>>,
    /// For each period.
    pub price: Amount,
    /// How often.
    pub period: RecurringPeriod,
    /// When a period is billed.
    pub timing: Timing,
    /// The periods that can't be cancelled.
    pub commitment_periods: u32,
}

/// The charge for a span, or if `net` is negative the credit for it: `net` is the price times `secs / period_secs`, but
/// for the rounding of sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    /// Its first second.
    pub from: DateTime<Utc>,
    /// The first second after it.
    pub to: DateTime<Utc>,
    /// Before VAT.
    pub net: Amount,
    /// From `from` to `to`.
    pub secs: i64,
    /// The seconds of the period that it lies in, or of each one that it covers.
    pub period_secs: i64,
}

/// What a replacement is to the order that it replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacement {
    /// Costs as much or more per second: takes effect now.
    Upgrade,
    /// Costs less: takes effect at a boundary.
    Downgrade,
}

/// What becomes of the period that an upgrade interrupts: the handbook has both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "lowercase")]
#[sqlx(rename_all = "lowercase", type_name = "text")]
pub enum UpgradeCredit {
    /// What is not used of it is not charged: 5 + 20.
    Prorate,
    /// It is charged to its end: 10 + 20.
    None,
}

/// From when the new order is charged, and until when the old one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplacementSchedule {
    /// Upgrade or downgrade.
    pub replacement: Replacement,
    /// When the new order starts.
    pub starts_at: DateTime<Utc>,
    /// When the old order ends. At its start, the old order is void.
    pub ends_at: DateTime<Utc>,
}

impl Replacement {
    /// Compares prices per second, exactly, by the nominal lengths of months and years.
    pub fn of(old: (Amount, RecurringPeriod), new: (Amount, RecurringPeriod)) -> Self {
        let per_second =
            |price: Amount, other: RecurringPeriod| i128::from(price.cents()) * i128::from(other.nominal_secs());
        if per_second(new.0, old.1) >= per_second(old.0, new.1) { Self::Upgrade } else { Self::Downgrade }
    }
}

impl Terms {
    fn position(&self, t: DateTime<Utc>, zone: Tz) -> Position {
        self.period.position(self.starts_at, t, zone)
    }

    /// round(C) so many seconds after a position; not past the end of its period, unless all periods are as long.
    fn charge_after(&self, position: Position, secs: i64) -> Result<Amount, AmountError> {
        let Position { whole, into_secs, period_secs } = position;
        let passed = i128::from(whole) * i128::from(period_secs) + i128::from(into_secs + secs);
        Amount::rounded(i128::from(self.price.cents()) * passed, period_secs.into())
    }

    /// round(C(t)): what all charges up to `t` less all credits come to. Nothing before the start.
    pub fn charge_until(&self, t: DateTime<Utc>, zone: Tz) -> Result<Amount, AmountError> {
        self.charge_after(self.position(t, zone), 0)
    }

    /// What is charged for a span.
    pub fn net(&self, from: DateTime<Utc>, to: DateTime<Utc>, zone: Tz) -> Result<Amount, AmountError> {
        self.charge_until(to, zone)?.try_sub(self.charge_until(from, zone)?)
    }

    /// How far a run as of `t` bills; the start if nothing is due.
    ///
    /// In advance to the end of the period that contains `t`, in arrears to the last boundary that is not after `t`, or to
    /// the order's end when that has come; never past the order's end. Earlier than what is billed already is nothing to do.
    pub fn due_until(&self, t: DateTime<Utc>, zone: Tz) -> DateTime<Utc> {
        if t < self.starts_at {
            return self.starts_at;
        }
        let Position { into_secs, period_secs, .. } = self.position(t, zone);
        match (self.ends_at, self.timing) {
            (Some(end), _) if end <= t => end.max(self.starts_at),
            (end, Timing::Advance) => {
                let to = plus_secs(t, period_secs - into_secs);
                end.map_or(to, |end| end.min(to))
            }
            (_, Timing::Arrears) => plus_secs(t, -into_secs),
        }
    }

    /// The charges for a span, one for each period and VAT rate; those for periods shorter than a day are one for each
    /// VAT rate. `rate_changes` are the times at which the VAT rate changes, in order; those outside the span do no harm.
    pub const fn charges<'a>(
        &'a self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        zone: Tz,
        rate_changes: &'a [DateTime<Utc>],
    ) -> Charges<'a> {
        Charges { terms: self, from, to, zone, rate_changes }
    }

    /// Whether a run as of `t` has to credit something: the order has ended, and is billed past its end.
    pub fn is_billed_past_end(&self, billed_through: DateTime<Utc>, t: DateTime<Utc>) -> bool {
        self.ends_at.is_some_and(|end| end <= t && end < billed_through)
    }

    /// The credit for what the order's end leaves unused of a charge `[from, to)`, to be given at that charge's VAT rate. None
    /// if it is used to its end.
    pub fn credit(&self, from: DateTime<Utc>, to: DateTime<Utc>, zone: Tz) -> Result<Option<Charge>, AmountError> {
        let Some(from) = self.ends_at.map(|end| end.max(from)).filter(|from| *from < to) else { return Ok(None) };
        let charged = self.charges(from, to, zone, &[]).next().transpose()?;
        Ok(charged.map(|charge| Charge { net: -charge.net, ..charge }))
    }

    /// When the time that can't be cancelled is over.
    pub fn commitment_ends_at(&self, zone: Tz) -> DateTime<Utc> {
        self.period.boundary(self.starts_at, self.commitment_periods, zone)
    }

    /// When a downgrade takes effect that is ordered `now`: at the first boundary that is neither before now nor before
    /// the commitment's end.
    pub fn downgraded_at(&self, now: DateTime<Utc>, zone: Tz) -> DateTime<Utc> {
        self.period.boundary_from(self.starts_at, now.max(self.commitment_ends_at(zone)), zone)
    }

    /// When charging ends if the order is cancelled `now`: as with a downgrade, but before the start at the start, and
    /// with it the order is void.
    pub fn cancelled_at(&self, now: DateTime<Utc>, zone: Tz) -> DateTime<Utc> {
        if now < self.starts_at { self.starts_at } else { self.downgraded_at(now, zone) }
    }

    /// How an order with another price or period takes over from this one if it is placed `now`.
    ///
    /// An upgrade takes effect at once, or if this order has not started when it would have; committed time does not hold
    /// it up. Without a credit, this order is charged up to the first boundary that is not before now.
    pub fn replaced_by(
        &self,
        (price, period): (Amount, RecurringPeriod),
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

/// See [`Terms::charges`].
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
            to = to.min(plus_secs(from, position.period_secs - position.into_secs));
        }
        to = self.rate_changes.iter().find(|change| **change > from).map_or(to, |change| to.min(*change));
        self.from = to;
        let secs = secs_between(from, to);
        let net = || self.terms.charge_after(position, secs)?.try_sub(self.terms.charge_after(position, 0)?);
        Some(net().map(|net| Charge { from, to, net, secs, period_secs: position.period_secs }))
    }
}

#[cfg(test)]
mod tests;
