//! An order, and the time from which a run has something to bill for it.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::{
    amount::Currency,
    charge::{BillingMode, Terms, UpgradeCredit},
    period::{LAST, RecurringPeriod},
    unit_price::UnitPrice,
};

/// An order, as far as its price and its end are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Identifies the order.
    pub order_id: i64,
    /// The customer.
    pub user_id: i64,
    /// The currency of the prices.
    pub currency: Currency,
    /// The one-time price, due by the first run at or after the start.
    pub one_time: UnitPrice,
    /// The price of each period.
    pub recurring: UnitPrice,
    /// The recurring period; `None` for a one-time order.
    pub period: Option<RecurringPeriod>,
    /// The time at which a period is billed.
    pub billing_mode: BillingMode,
    /// The number of periods that cannot be cancelled.
    pub commitment_periods: u32,
    /// The end of the commitment that this order has taken over from the one that it upgraded.
    pub carried_commitment_ends_at: Option<DateTime<Utc>>,
    /// The treatment of the time already paid when the order is upgraded.
    pub upgrade_credit: UpgradeCredit,
    /// The time zone of calendar periods.
    pub zone: Tz,
    /// The first second that is charged.
    pub starts_at: DateTime<Utc>,
    /// The first second that is no longer charged; `None`: no end is set.
    pub ends_at: Option<DateTime<Utc>>,
    /// The order that this one replaces.
    pub replaces: Option<i64>,
    /// True if the order never took effect: nothing is due.
    pub void: bool,
    /// The part of the order that is already billed.
    pub billed: Billed,
}

/// The part of an order that is already billed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Billed {
    /// The time up to which charges less credits cover everything since the start, but for what comes to 0.00; `None`:
    /// nothing is billed yet.
    pub through: Option<DateTime<Utc>>,
    /// True if the one-time price is on a bill.
    pub one_time: bool,
}

impl Order {
    /// Returns the terms that determine the recurring charges; `None` without a recurring price.
    pub fn terms(&self) -> Option<Terms> {
        self.period.filter(|_| self.recurring > UnitPrice::ZERO).map(|period| self.terms_with(period))
    }

    pub(crate) fn terms_with(&self, period: RecurringPeriod) -> Terms {
        Terms {
            starts_at: self.starts_at,
            ends_at: self.ends_at,
            price: self.recurring,
            period,
            billing_mode: self.billing_mode,
            commitment_periods: self.commitment_periods,
            carried_commitment_ends_at: self.carried_commitment_ends_at,
        }
    }

    /// Returns the start of the order's next charge.
    pub fn charged_from(&self) -> DateTime<Utc> {
        self.billed.through.unwrap_or(self.starts_at)
    }

    /// Returns the earliest time as of which a run has something to bill for the order; `None`: the order is closed,
    /// and no run will ever read it again.
    pub fn due_at(&self) -> Option<DateTime<Utc>> {
        let one_time =
            (!self.void && self.one_time > UnitPrice::ZERO && !self.billed.one_time).then_some(self.starts_at);
        let recurring = self.terms().and_then(|terms| self.recurring_due_at(&terms));
        one_time.into_iter().chain(recurring).min()
    }

    fn recurring_due_at(&self, terms: &Terms) -> Option<DateTime<Utc>> {
        let from = self.charged_from();
        if let Some(end) = self.ends_at
            && from >= end
        {
            return (from > end).then_some(end); // billed past its end: a credit is due
        }
        // Beyond the largest amount there is nothing to bill; a run that tries says so.
        Some(terms.next_due_at(from, self.zone).unwrap_or(LAST))
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::money::period::Unit;

    fn at(text: &str) -> DateTime<Utc> {
        format!("{text}T00:00:00Z").parse().expect("RFC 3339")
    }

    fn order(one_time: &str, recurring: &str, billing_mode: BillingMode) -> Order {
        Order {
            order_id: 1,
            user_id: 1,
            currency: "CHF".parse().expect("a currency"),
            one_time: one_time.parse().expect("a price"),
            recurring: recurring.parse().expect("a price"),
            period: Some(RecurringPeriod::new(Unit::Day, 30).expect("a period")),
            billing_mode,
            commitment_periods: 1,
            carried_commitment_ends_at: None,
            upgrade_credit: UpgradeCredit::Prorate,
            zone: Tz::Europe__Zurich,
            starts_at: at("2025-03-01"),
            ends_at: None,
            replaces: None,
            void: false,
            billed: Billed::default(),
        }
    }

    /// Asserts that a run as of `due` has something to bill, and that a run as of the second before has not.
    fn assert_due(order: &Order, due: Option<&str>) {
        assert_eq!(order.due_at(), due.map(at), "{order:?}");
        let Some((terms, due)) = order.terms().zip(order.due_at()) else { return };
        if order.ends_at.is_none_or(|end| order.charged_from() < end) {
            let before = due - TimeDelta::seconds(1);
            assert!(terms.due_until(before, order.zone) <= order.charged_from());
            assert!(terms.due_until(due, order.zone) > order.charged_from());
        }
    }

    #[test]
    fn due_at_of_order_is_when_a_run_has_something_to_bill() {
        for (billing_mode, days) in [
            (BillingMode::Advance, ["2025-03-01", "2025-03-31", "2025-03-31"]),
            (BillingMode::Arrears, ["2025-03-31", "2025-04-30", "2025-04-10"]),
        ] {
            let mut order = order("0.00", "10.00", billing_mode);
            assert_due(&order, Some(days[0]));
            order.billed.through = Some(at("2025-03-31"));
            assert_due(&order, Some(days[1]));
            order.ends_at = Some(at("2025-04-10"));
            assert_due(&order, Some(days[2]));
            order.billed.through = order.ends_at;
            assert_due(&order, None);
            order.billed.through = Some(at("2025-04-30"));
            assert_due(&order, Some("2025-04-10"));
        }
    }

    #[test]
    fn due_at_of_order_below_a_cent_is_when_a_cent_is_reached() {
        // 0.001 for 30 days: 0.005 are reached at the end of the fifth period, 0.015 at that of the fifteenth.
        let mut order = order("0.00", "0.001", BillingMode::Arrears);
        assert_eq!(order.due_at(), Some(at("2025-03-01") + TimeDelta::days(150)));
        order.billed.through = Some(at("2025-03-01") + TimeDelta::days(150));
        assert_eq!(order.due_at(), Some(at("2025-03-01") + TimeDelta::days(450)));
        (order.billing_mode, order.billed.through) = (BillingMode::Advance, None);
        assert_eq!(order.due_at(), Some(at("2025-03-01") + TimeDelta::days(120)));
        order.ends_at = Some(at("2025-04-01"));
        assert_eq!(order.due_at(), Some(at("2025-04-01")), "then it can be closed");
    }

    #[test]
    fn due_at_of_free_or_void_order_is_none() {
        assert_due(&order("0.00", "0.00", BillingMode::Advance), None);
        let mut once = Order { period: None, ..order("5.00", "0.00", BillingMode::Advance) };
        assert_due(&once, Some("2025-03-01"));
        once.billed.one_time = true;
        assert_due(&once, None);
        let mut void = order("5.00", "10.00", BillingMode::Advance);
        (void.void, void.ends_at) = (true, Some(void.starts_at));
        assert_due(&void, None);
        void.billed.through = Some(at("2025-03-31"));
        assert_due(&void, Some("2025-03-01"));
    }
}
