//! Properties of periods, charges and VAT that hold for every order, tested with random orders.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use proptest::prelude::*;

use super::{
    amount::{Amount, Rate},
    charge::{BillingMode, Terms},
    period::{RecurringPeriod, Unit, instant},
    unit_price::UnitPrice,
    vat::{Totals, groups},
};

/// Time zones with summer time in the north, in the south, at midnight, and of half an hour; with a day left out;
/// with odd offsets; without summer time.
const ZONES: [Tz; 10] = [
    Tz::Europe__Zurich,
    Tz::Europe__London,
    Tz::America__New_York,
    Tz::America__Santiago,
    Tz::Asia__Beirut,
    Tz::Asia__Kathmandu,
    Tz::Australia__Lord_Howe,
    Tz::Pacific__Apia,
    Tz::Africa__Casablanca,
    Tz::UTC,
];

fn zone() -> impl Strategy<Value = Tz> {
    proptest::sample::select(&ZONES[..])
}

fn period() -> impl Strategy<Value = RecurringPeriod> {
    proptest::sample::select(vec![(Unit::Hour, 48), (Unit::Day, 90), (Unit::Month, 30), (Unit::Year, 4)]).prop_flat_map(
        |(unit, most)| (1..=most).prop_map(move |count| RecurringPeriod::new(unit, count).expect("valid")),
    )
}

/// Generates a time of 2008 to 2039; half of them in the last days of a month, in the hours in which clocks change.
fn start() -> impl Strategy<Value = (Tz, DateTime<Utc>)> {
    let secs_of_31_years = 31 * 31_557_600_i64;
    let whenever = (zone(), 0..secs_of_31_years)
        .prop_map(|(zone, secs)| (zone, DateTime::from_timestamp(1_200_000_000 + secs, 0).expect("in range")));
    let awkward = (zone(), 2008..2039_i32, 1..=12_u32, 28..=31_u32, 0..4_u32, 0..60_u32).prop_map(
        |(zone, year, month, day, hour, minute)| {
            let date = (28..=day).rev().find_map(|day| NaiveDate::from_ymd_opt(year, month, day)).expect("a 28th");
            (zone, instant(date.and_hms_opt(hour, minute, 0).expect("a time"), zone))
        },
    );
    prop_oneof![whenever, awkward]
}

/// Generates an order in the seller's time zone.
fn terms() -> impl Strategy<Value = (Tz, Terms)> {
    let billing_mode = prop_oneof![Just(BillingMode::Advance), Just(BillingMode::Arrears)];
    let cents = prop_oneof![1..200_i64, 1..1_000_000_i64];
    let price = prop_oneof![cents.prop_map(|cents| cents * 10_000), 1..100_000_i64];
    (start(), period(), billing_mode, price, 0..4_u32).prop_map(
        |((zone, starts_at), period, billing_mode, micros, commitment_periods)| {
            let (price, carried_commitment_ends_at) = (UnitPrice::try_from(micros).expect("small"), None);
            let ends_at = None;
            let terms = Terms {
                starts_at,
                ends_at,
                price,
                period,
                billing_mode,
                commitment_periods,
                carried_commitment_ends_at,
            };
            (zone, terms)
        },
    )
}

/// Generates times in the first `how_many` periods of the order and before it, in no particular order.
fn times(terms: &Terms, how_many: usize) -> impl Strategy<Value = Vec<DateTime<Utc>>> + use<> {
    let (starts_at, span) = (terms.starts_at, terms.period.nominal_seconds() * 7);
    let time = (-span / 7..span).prop_map(move |secs| starts_at + TimeDelta::seconds(secs));
    proptest::collection::vec(time, how_many)
}

/// Generates an order with times during its life.
fn life(how_many: usize) -> impl Strategy<Value = (Tz, Terms, Vec<DateTime<Utc>>)> {
    terms().prop_flat_map(move |(zone, terms)| (Just(zone), Just(terms), times(&terms, how_many)))
}

fn total(nets: impl IntoIterator<Item = Amount>) -> Amount {
    Amount::try_sum(nets).expect("small")
}

proptest! {
    #[test]
    fn position_of_boundary_is_its_inverse((zone, starts_at) in start(), period in period(), n in 0..60_u32) {
        let boundary = |n| period.boundary(starts_at, n, zone);
        let (from, to) = (boundary(n), boundary(n + 1));
        prop_assert!(boundary(0) == starts_at && from < to);
        let position = |t| {
            let position = period.position(starts_at, t, zone);
            (position.whole, position.into_seconds, position.period_seconds)
        };
        let secs = (to - from).num_seconds();
        prop_assert_eq!(position(from), (n, 0, secs));
        prop_assert_eq!(position(from + TimeDelta::seconds(secs / 3)), (n, secs / 3, secs));
        prop_assert_eq!(position(to - TimeDelta::seconds(1)), (n, secs - 1, secs));
        prop_assert_eq!(period.boundary_from(starts_at, from, zone), from);
        prop_assert_eq!(period.boundary_from(starts_at, from + TimeDelta::seconds(1), zone), to);
    }

    #[test]
    fn boundary_of_months_keeps_wall_time_and_day((zone, starts_at) in start(), n in 1..60_u32) {
        let month = RecurringPeriod::new(Unit::Month, 1).expect("valid");
        let wall = |t: DateTime<Utc>| t.with_timezone(&zone).naive_local();
        let (start, boundary) = (wall(starts_at), wall(month.boundary(starts_at, n, zone)));
        let expected = start.checked_add_months(chrono::Months::new(n)).expect("in range");
        // The boundary differs only where the zone skips that time, and by no more than was ever skipped.
        let is_skipped = chrono::TimeZone::from_local_datetime(&zone, &expected) == chrono::MappedLocalTime::None;
        prop_assert!(boundary == expected || (is_skipped && boundary > expected));
        prop_assert!(boundary - expected <= TimeDelta::days(1));
    }

    #[test]
    fn net_of_any_division_into_spans_has_the_same_sum((zone, terms, mut cuts) in life(6)) {
        cuts.sort_unstable();
        let nets = cuts.windows(2).map(|span| terms.net(span[0], span[1], zone).expect("small"));
        prop_assert_eq!(total(nets), terms.net(cuts[0], cuts[5], zone).expect("small"));
        let before = terms.starts_at - TimeDelta::days(1);
        prop_assert_eq!(terms.net(before, cuts[5], zone), terms.charge_until(cuts[5], zone));
    }

    #[test]
    fn net_of_whole_periods_equals_their_price(((zone, terms), n) in (terms(), 0..60_u32)) {
        let charged = terms.charge_until(terms.period.boundary(terms.starts_at, n, zone), zone);
        let price = terms.price.try_mul(n.into()).expect("small");
        prop_assert_eq!(charged, price.to_amount());
    }

    #[test]
    fn charges_of_a_span_end_at_boundaries_and_rate_changes(
        (zone, terms, mut times) in life(2), mut changes in life(3).prop_map(|(_, _, times)| times), near in any::<bool>(),
    ) {
        times.sort_unstable();
        if near {
            changes.iter_mut().zip([-7, 0, 7]).for_each(|(change, hours)| *change = times[1] - TimeDelta::hours(30 + hours));
        }
        changes.sort_unstable();
        let (from, to) = (times[0].max(terms.starts_at), times[1]);
        let charges: Vec<_> = terms.charges(times[0], to, zone, &changes).collect::<Result<_, _>>().expect("small");
        prop_assert_eq!(charges.is_empty(), from >= to);
        let mut next = from;
        for charge in &charges {
            prop_assert!(charge.from == next && charge.from < charge.to);
            prop_assert_eq!(charge.secs, (charge.to - charge.from).num_seconds());
            prop_assert!(changes.iter().all(|change| *change <= charge.from || *change >= charge.to));
            let position = terms.period.position(terms.starts_at, charge.from, zone);
            prop_assert_eq!(charge.period_seconds, position.period_seconds);
            if !terms.period.is_shorter_than_a_day() {
                prop_assert!(charge.secs <= position.period_seconds - position.into_seconds);
            }
            prop_assert_eq!(Ok(charge.net), terms.net(charge.from, charge.to, zone));
            next = charge.to;
        }
        prop_assert!(charges.is_empty() || next == to);
    }

    #[test]
    fn charges_less_credits_equal_the_used_time(
        (zone, mut terms, mut times) in life(3), change in life(1).prop_map(|(_, _, times)| times),
    ) {
        times.sort_unstable();
        let (through, end) = (times[2], times[1].max(terms.starts_at));
        let charges: Vec<_> = terms.charges(terms.starts_at, through, zone, &change).map(|charge| charge.expect("small")).collect();
        terms.ends_at = Some(end);
        let credits: Vec<_> =
            charges.iter().filter_map(|charge| terms.credit(charge.from, charge.to, zone).expect("small")).collect();
        let both = total(charges.iter().map(|charge| charge.net).chain(credits.iter().map(|credit| credit.net)));
        prop_assert_eq!(Ok(both), terms.charge_until(through.min(end), zone));
        // No overlap: the credits lie between the end and the billed time. What comes to 0.00 is not credited.
        let spans: Vec<_> = credits.iter().map(|credit| (credit.from, credit.to)).collect();
        prop_assert!(spans.windows(2).all(|pair| pair[0].1 <= pair[1].0));
        prop_assert!(spans.iter().all(|(from, to)| end <= *from && from < to && *to <= through));
    }

    #[test]
    fn runs_at_any_time_bill_the_same_sum((zone, mut terms, runs) in life(8), end in proptest::option::of(0..8_usize)) {
        terms.ends_at = end.map(|i| runs[i].max(terms.starts_at));
        let last = *runs.iter().max().expect("eight");
        let (mut through, mut nets) = (terms.starts_at, Vec::new());
        for run in runs.iter().chain([&last, &last]) {
            let due = terms.due_until(*run, zone);
            prop_assert!(terms.ends_at.is_none_or(|end| due <= end));
            match terms.billing_mode {
                BillingMode::Arrears => prop_assert!(due <= *run.max(&terms.starts_at)),
                BillingMode::Advance => prop_assert!(due > *run || due == terms.starts_at || Some(due) == terms.ends_at),
            }
            if due > through {
                nets.extend(terms.charges(through, due, zone, &[]).map(|charge| charge.expect("small").net));
                through = due;
            }
        }
        prop_assert_eq!(through, terms.due_until(last, zone));
        prop_assert_eq!(Ok(total(nets)), terms.charge_until(through, zone));
    }

    #[test]
    fn cancelled_at_is_a_boundary_after_the_commitment((zone, terms, times) in life(1)) {
        let (now, committed) = (times[0], terms.commitment_ends_at(zone));
        let at = terms.downgraded_at(now, zone);
        prop_assert_eq!(terms.period.position(terms.starts_at, at, zone).into_seconds, 0);
        prop_assert!(at >= now && at >= committed);
        if at > terms.starts_at {
            let before = terms.period.position(terms.starts_at, at - TimeDelta::seconds(1), zone);
            prop_assert!(at - TimeDelta::seconds(before.period_seconds) < now.max(committed), "the first of them");
        }
        prop_assert_eq!(terms.cancelled_at(now, zone), if now < terms.starts_at { terms.starts_at } else { at });
    }

    #[test]
    fn vat_groups_of_reordered_records_are_equal(
        records in proptest::collection::vec((0..3_usize, -500..500_i64), 0..12).prop_shuffle(), cash in any::<bool>(),
    ) {
        let rates = [0, 81_000, 255_000].map(|ppm| Rate::try_from(ppm).expect("a rate"));
        let record = |(rate, cents): &(usize, i64)| (rates[*rate], Amount::try_from(*cents).expect("small"));
        let forward = groups(records.iter().map(record)).expect("small");
        prop_assert_eq!(&forward, &groups(records.iter().rev().map(record)).expect("small"));
        prop_assert!(forward.iter().is_sorted_by_key(|group| group.rate));
        for group in &forward {
            // The nearest cent: twice the error is at most one.
            let error = i64::from(i32::from(group.rate)) * group.base.cents() - group.tax.cents() * 1_000_000;
            prop_assert!(2 * error.abs() <= 1_000_000);
        }
        let totals = Totals::of(&forward, cash).expect("small");
        prop_assert_eq!(totals.net, total(records.iter().map(|line| record(line).1)));
        prop_assert_eq!(totals.net.try_add(totals.tax), Ok(totals.gross));
        prop_assert_eq!(totals.gross.try_add(totals.rounding), Ok(totals.amount_due));
        prop_assert!(totals.rounding.cents().abs() <= 2 * i64::from(cash));
        prop_assert!(!cash || totals.amount_due.cents() % 5 == 0);
    }
}
