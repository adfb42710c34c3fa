use super::*;
use crate::money::period::Unit;

const ZONE: Tz = Tz::Europe__Zurich;

fn at(text: &str) -> DateTime<Utc> {
    format!("{text}Z").parse().expect("RFC 3339")
}

fn money(text: &str) -> Amount {
    text.parse().expect("an amount")
}

fn price(text: &str) -> UnitPrice {
    text.parse().expect("a price")
}

fn days(count: i32) -> RecurringPeriod {
    RecurringPeriod::new(Unit::Day, count).expect("a period")
}

/// Returns terms of 10.00 for each 30 days from 1 March 2025, with a commitment of one period.
fn terms(billing_mode: BillingMode) -> Terms {
    Terms {
        starts_at: at("2025-03-01T00:00:00"),
        ends_at: None,
        price: price("10.00"),
        period: days(30),
        billing_mode,
        commitment_periods: 1,
        carried_commitment_ends_at: None,
    }
}

#[test]
fn due_until_of_a_run_is_the_end_of_this_or_the_previous_period() {
    let mut advance = terms(BillingMode::Advance);
    let mut arrears = terms(BillingMode::Arrears);
    for (run, to_end, to_start) in [
        ("2025-02-28T23:59:59", "2025-03-01T00:00:00", "2025-03-01T00:00:00"),
        ("2025-03-01T00:00:00", "2025-03-31T00:00:00", "2025-03-01T00:00:00"),
        ("2025-03-30T23:59:59", "2025-03-31T00:00:00", "2025-03-01T00:00:00"),
        ("2025-03-31T00:00:00", "2025-04-30T00:00:00", "2025-03-31T00:00:00"),
    ] {
        assert_eq!(advance.due_until(at(run), ZONE), at(to_end), "{run}");
        assert_eq!(arrears.due_until(at(run), ZONE), at(to_start), "{run}");
    }
    (advance.ends_at, arrears.ends_at) = (Some(at("2025-03-16T00:00:00")), Some(at("2025-03-16T00:00:00")));
    for (run, to_end, to_start) in [
        ("2025-03-02T00:00:00", "2025-03-16T00:00:00", "2025-03-01T00:00:00"),
        ("2025-03-16T00:00:00", "2025-03-16T00:00:00", "2025-03-16T00:00:00"),
        ("2026-01-01T00:00:00", "2025-03-16T00:00:00", "2025-03-16T00:00:00"),
    ] {
        assert_eq!(advance.due_until(at(run), ZONE), at(to_end), "{run}");
        assert_eq!(arrears.due_until(at(run), ZONE), at(to_start), "{run}");
    }
    let void = Terms { ends_at: Some(advance.starts_at), ..advance };
    assert_eq!(void.due_until(at("2026-01-01T00:00:00"), ZONE), void.starts_at);
}

#[test]
fn charges_of_a_span_end_at_boundaries_and_rate_changes() {
    let terms = terms(BillingMode::Advance);
    let moments = [at("2025-01-01T00:00:00"), at("2025-03-11T00:00:00"), at("2025-03-31T00:00:00")];
    let charges: Vec<_> = terms
        .charges(terms.starts_at, at("2025-05-30T00:00:00"), ZONE, &moments)
        .map(|charge| charge.map(|charge| (charge.secs / 86_400, charge.net.to_string(), charge.period_seconds)))
        .collect::<Result<_, _>>()
        .expect("small");
    let secs = 30 * 86_400;
    assert_eq!(
        charges,
        [(10, "3.33".into(), secs), (20, "6.67".into(), secs), (30, "10.00".into(), secs), (30, "10.00".into(), secs)]
    );
}

#[test]
fn charges_of_hourly_periods_are_combined_by_rate() {
    let hourly = Terms {
        period: RecurringPeriod::new(Unit::Hour, 1).expect("a period"),
        price: price("0.01"),
        ..terms(BillingMode::Arrears)
    };
    let change = at("2025-03-01T12:30:00");
    let charges: Vec<_> = hourly
        .charges(hourly.starts_at, at("2025-03-03T00:00:00"), ZONE, &[change])
        .collect::<Result<_, _>>()
        .expect("small");
    let [before, after] = charges[..] else { panic!("not two: {charges:?}") };
    assert_eq!((before.to, before.net, before.secs, before.period_seconds), (change, money("0.13"), 45_000, 3600));
    assert_eq!((after.from, after.net), (change, money("0.35")));
}

#[test]
fn credit_of_partly_used_charge_takes_back_the_unused_part() {
    let mut terms = Terms { price: price("0.05"), ..terms(BillingMode::Advance) };
    let (from, to) = (terms.starts_at, at("2025-03-31T00:00:00"));
    assert_eq!(terms.credit(from, to, ZONE), Ok(None));
    let end = at("2025-03-16T00:00:00");
    terms.ends_at = Some(end);
    let credit = terms.credit(from, to, ZONE).expect("small").expect("half is unused");
    assert_eq!((credit.from, credit.to, credit.net), (end, to, money("-0.02")));
    assert_eq!((credit.secs, credit.period_seconds), (15 * 86_400, 30 * 86_400));
    assert_eq!(terms.credit(from, end, ZONE), Ok(None));
    let later = terms.credit(to, at("2025-04-30T00:00:00"), ZONE).expect("small").expect("all is unused");
    assert_eq!((later.from, later.net), (to, money("-0.05")));
    assert!(terms.is_billed_past_end(to, end));
    assert!(!terms.is_billed_past_end(to, at("2025-03-15T23:59:59")), "a run as of that time does not know of the end");
    assert!(!terms.is_billed_past_end(end, to));
}

#[test]
fn replacement_with_higher_or_equal_price_per_second_is_an_upgrade() {
    let period = |unit, count| RecurringPeriod::new(unit, count).expect("a period");
    for (old, new, expected) in [
        (("10.00", days(30)), ("10.00", days(30)), Replacement::Upgrade),
        (("10.00", days(30)), ("9.99", days(30)), Replacement::Downgrade),
        (("10.00", days(30)), ("0.34", days(1)), Replacement::Upgrade),
        (("10.00", days(30)), ("0.33", days(1)), Replacement::Downgrade),
        (("10.00", period(Unit::Month, 1)), ("120.00", period(Unit::Year, 1)), Replacement::Upgrade),
        (("10.00", period(Unit::Month, 1)), ("119.99", period(Unit::Year, 1)), Replacement::Downgrade),
        (("10.00", days(30)), ("10.00", period(Unit::Month, 1)), Replacement::Downgrade),
        (("0.01", period(Unit::Hour, 1)), ("0.24", days(1)), Replacement::Upgrade),
    ] {
        let replacement = Replacement::of((price(old.0), old.1), (price(new.0), new.1));
        assert_eq!(replacement, expected, "{old:?} {new:?}");
    }
}

#[test]
fn replaced_by_starts_upgrades_now_and_downgrades_after_the_commitment() {
    let mut terms = Terms { commitment_periods: 2, ..terms(BillingMode::Advance) };
    let end_of_commitment = at("2025-04-30T00:00:00");
    let handover = |terms: &Terms, new: &str, credit, now| {
        let handover = terms.replaced_by((price(new), days(30)), credit, at(now), ZONE);
        (handover.starts_at, handover.ends_at)
    };
    let now = at("2025-03-16T00:00:00");
    let (prorate, none) = (UpgradeCredit::Prorate, UpgradeCredit::None);
    assert_eq!(handover(&terms, "20.00", prorate, "2025-03-16T00:00:00"), (now, now));
    assert_eq!(handover(&terms, "20.00", none, "2025-03-16T00:00:00"), (now, at("2025-03-31T00:00:00")));
    let both = (end_of_commitment, end_of_commitment);
    assert_eq!(handover(&terms, "5.00", prorate, "2025-03-16T00:00:00"), both);
    assert_eq!(handover(&terms, "5.00", none, "2025-03-16T00:00:00"), both);
    assert_eq!(handover(&terms, "5.00", prorate, "2025-04-30T00:00:00"), both);
    let next = at("2025-05-30T00:00:00");
    assert_eq!(handover(&terms, "5.00", prorate, "2025-04-30T00:00:01"), (next, next));
    // Before the start, an order that ends is void, and the new one does not start earlier than requested.
    let start = terms.starts_at;
    assert_eq!(handover(&terms, "20.00", prorate, "2025-02-01T00:00:00"), (start, start));
    terms.commitment_periods = 0;
    assert_eq!(handover(&terms, "5.00", prorate, "2025-02-01T00:00:00"), (start, start));
}

#[test]
fn cancelled_at_waits_for_the_commitment_but_not_for_the_start() {
    let terms = terms(BillingMode::Advance);
    for (now, end) in [
        ("2025-02-28T23:59:59", "2025-03-01T00:00:00"),
        ("2025-03-01T00:00:00", "2025-03-31T00:00:00"),
        ("2025-03-11T00:00:00", "2025-03-31T00:00:00"),
        ("2025-03-31T00:00:00", "2025-03-31T00:00:00"),
        ("2025-03-31T00:00:01", "2025-04-30T00:00:00"),
    ] {
        assert_eq!(terms.cancelled_at(at(now), ZONE), at(end), "{now}");
    }
    let carried = Terms { carried_commitment_ends_at: Some(at("2025-05-05T12:00:00")), ..terms };
    assert_eq!(
        carried.cancelled_at(at("2025-03-11T00:00:00"), ZONE),
        at("2025-05-30T00:00:00"),
        "the later one counts"
    );
    let uncommitted = Terms { commitment_periods: 0, ..terms };
    assert_eq!(uncommitted.cancelled_at(terms.starts_at, ZONE), terms.starts_at);
}

#[test]
fn next_due_at_of_a_price_below_a_cent_is_when_a_cent_is_reached() {
    let hourly = RecurringPeriod::new(Unit::Hour, 1).expect("a period");
    let terms = Terms { price: price("0.0066"), period: hourly, ..terms(BillingMode::Arrears) };
    let due = |terms: &Terms, hours| {
        let from = terms.starts_at + chrono::TimeDelta::hours(hours);
        (terms.next_due_at(from, ZONE).expect("small") - terms.starts_at).num_hours()
    };
    // 0.0066, 0.0132, 0.0198: the first and the third hour bring a cent.
    assert_eq!([0, 1, 2, 3].map(|hours| due(&terms, hours)), [1, 3, 3, 4]);
    let advance = Terms { billing_mode: BillingMode::Advance, ..terms };
    assert_eq!([0, 1, 2, 3].map(|hours| due(&advance, hours)), [0, 2, 2, 3]);
    let ending = Terms { ends_at: Some(terms.starts_at + chrono::TimeDelta::minutes(90)), ..terms };
    assert_eq!(ending.next_due_at(terms.starts_at + chrono::TimeDelta::hours(1), ZONE), Ok(at("2025-03-01T01:30:00")));
    // The third hour would bring a cent, its first ten minutes do not.
    let cut = Terms { ends_at: Some(terms.starts_at + chrono::TimeDelta::minutes(130)), ..advance };
    assert_eq!(cut.next_due_at(terms.starts_at + chrono::TimeDelta::hours(1), ZONE), Ok(at("2025-03-01T02:10:00")));
}

#[test]
fn charge_beyond_the_largest_amount_is_refused() {
    let terms = Terms { price: price("999999999999.99"), ..terms(BillingMode::Advance) };
    assert_eq!(terms.charge_until(at("2025-05-01T00:00:00"), ZONE), Err(AmountError::TooLarge));
}
