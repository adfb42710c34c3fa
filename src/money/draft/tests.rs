//! Properties of bill generation: the sums are the same for all changes of orders, all moves of the customer, and all
//! divisions into runs.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::money::{
    charge::{BillingMode, UpgradeCredit},
    order::Billed,
    period::{RecurringPeriod, Unit},
    vat_rates::RateRow,
};

/// A time after all generated events.
const END: i64 = 1000 * 86_400;

fn at(secs: i64) -> DateTime<Utc> {
    let start: DateTime<Utc> = "2023-01-01T00:00:00Z".parse().expect("a time");
    start + TimeDelta::seconds(secs)
}

fn taxed(country: &str) -> Treatment {
    Treatment::Taxed(country.parse().expect("a territory"))
}

/// Returns Swiss and German rates; the Swiss change of 2024 lies within the generated times.
fn rates() -> RateTable {
    let row = |territory: &str, from: &str, to: Option<&str>, rate: &str| RateRow {
        territory: territory.parse().expect("a territory"),
        from: from.parse().expect("a date"),
        to: to.map(|to| to.parse().expect("a date")),
        rate: rate.parse().expect("a rate"),
    };
    RateTable::new([
        row("CH", "2018-01-01", Some("2024-01-01"), "0.077"),
        row("CH", "2024-01-01", None, "0.081"),
        row("DE", "2021-01-01", None, "0.19"),
    ])
    .expect("a table")
}

/// A change that ends an order.
#[derive(Debug, Clone, Copy)]
enum Change {
    Cancel,
    Replace(UnitPrice),
}

/// An order, its change, and the time of the change.
#[derive(Debug, Clone)]
struct Life {
    order: Order,
    change: Option<(i64, Change)>,
}

/// Generates prices in millionths: of whole cents, and below a cent.
fn price() -> impl Strategy<Value = i64> {
    prop_oneof![(0..100_000i64).prop_map(|cents| cents * 10_000), 0..30_000i64, 0..2_000_000i64]
}

/// Generates moves of the customer between two VAT territories and a country outside of them.
fn moves() -> impl Strategy<Value = Vec<(i64, Treatment)>> {
    let place = select(vec![taxed("CH"), taxed("DE"), Treatment::OutsideScope]);
    vec((0..END, place), 1..4).prop_map(|mut moves| {
        moves.sort_by_key(|(secs, _)| *secs);
        moves
    })
}

prop_compose! {
    fn order()(
        starts in 0..400 * 86_400i64,
        (unit, count) in select(&[(Unit::Hour, 1), (Unit::Hour, 5), (Unit::Day, 1), (Unit::Day, 30), (Unit::Month, 1), (Unit::Year, 1)][..]),
        micros in price(),
        once in prop_oneof![Just(0), 1..100_000_000i64],
        currency in select(&["CHF", "EUR"][..]),
        billing_mode in select(&[BillingMode::Advance, BillingMode::Arrears][..]),
        commitment_periods in 0..4u32,
        upgrade_credit in select(&[UpgradeCredit::Prorate, UpgradeCredit::None][..]),
    ) -> Order {
        Order {
            order_id: 0,
            user_id: 1,
            currency: currency.parse().expect("a currency"),
            one_time: once.try_into().expect("a price"),
            recurring: micros.try_into().expect("a price"),
            period: Some(RecurringPeriod::new(unit, count).expect("a period")),
            billing_mode,
            commitment_periods,
            carried_commitment_ends_at: None,
            upgrade_credit,
            zone: Tz::Europe__Zurich,
            starts_at: at(starts),
            ends_at: None,
            replaces: None,
            void: false,
            billed: Billed::default(),
        }
    }
}

prop_compose! {
    fn life()(
        order in order(),
        change in proptest::option::of((0..900 * 86_400i64, prop_oneof![
            Just(Change::Cancel),
            price().prop_map(|micros| Change::Replace(micros.try_into().expect("a price"))),
        ])),
    ) -> Life {
        Life { order, change }
    }
}

/// The state of a customer: the current orders and everything that was billed for them.
struct World {
    history: TreatmentHistory,
    orders: Vec<Order>,
    charged: Vec<Charged>,
    records: Vec<Record>,
    bills: usize,
}

impl World {
    fn new(moves: &[(i64, Treatment)]) -> Self {
        let history = TreatmentHistory::new(moves.iter().map(|(secs, place)| (at(*secs), *place))).expect("a place");
        Self { history, orders: Vec::new(), charged: Vec::new(), records: Vec::new(), bills: 0 }
    }

    /// Applies a change, as `orders::replace` and `orders::cancel` do.
    fn change(&mut self, place: usize, change: Change, now: DateTime<Utc>) {
        let old = &self.orders[place];
        let Some(terms) = old.period.map(|period| old.terms_with(period)) else { return };
        let (ends_at, successor) = match change {
            Change::Cancel => (terms.cancelled_at(now, old.zone), None),
            Change::Replace(price) => {
                let handover = terms.replaced_by((price, terms.period), old.upgrade_credit, now, old.zone);
                let new = Order {
                    order_id: old.order_id + 1000,
                    recurring: price,
                    one_time: UnitPrice::ZERO,
                    starts_at: handover.starts_at,
                    ends_at: None,
                    replaces: Some(old.order_id),
                    billed: Billed::default(),
                    ..old.clone()
                };
                (handover.ends_at, Some(new))
            }
        };
        let old = &mut self.orders[place];
        old.ends_at = Some(ends_at);
        old.void = ends_at == old.starts_at;
        self.orders.extend(successor);
    }

    /// Simulates a run; `seed` determines the sequence in which the orders are read.
    fn run(&mut self, as_of: DateTime<Utc>, seed: u64) {
        let mut due: Vec<Order> =
            self.orders.iter().filter(|order| order.due_at().is_some_and(|due| due <= as_of)).cloned().collect();
        due.sort_by_key(|order| (seed ^ order.order_id.unsigned_abs()).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let charged = self.charged.clone();
        let due = BillableItems { orders: due, charged, ..BillableItems::default() };
        let (drafts, moved) = generate_bills(due, &self.history, &rates(), true, as_of).expect("rates are known");
        let situations: Vec<_> = drafts.iter().map(|draft| (draft.currency, draft.treatment)).collect();
        assert!(situations.is_sorted_by(|one, other| one < other), "one bill for each situation");
        // A customer's records are noted in the order of time, from whatever bill.
        let mut records: Vec<(Treatment, Record)> = Vec::new();
        for draft in drafts {
            assert!(!draft.records.is_empty(), "an empty bill");
            assert!(draft.records.iter().all(|record| record.net != Amount::ZERO), "a record of nothing");
            let net = Amount::try_sum(draft.records.iter().map(|record| record.net)).expect("small");
            assert_eq!(draft.totals.net, net);
            records.extend(draft.records.into_iter().map(|record| (draft.treatment, record)));
            self.bills += 1;
        }
        records.sort_by_key(|(_, record)| (record.order_id, record.from));
        for (treatment, record) in records {
            self.note(treatment, record);
        }
        for moved in moved {
            let order = self.orders.iter_mut().find(|order| order.order_id == moved.order_id).expect("one of ours");
            assert_eq!(order.billed, moved.before);
            order.billed = moved.after;
            assert_eq!(order.due_at(), moved.due_at);
            assert!(moved.due_at.is_none_or(|due| due > as_of), "something was left: {order:?} as of {as_of}");
        }
    }

    fn note(&mut self, treatment: Treatment, record: Record) {
        let order_id = record.order_id.expect("an order's");
        let Record { from, to, rate, .. } = record;
        if record.kind == Kind::Recurring {
            let last = self.charged.iter().rfind(|charged| charged.order_id == order_id).map(|charged| charged.to);
            let order = self.orders.iter().find(|order| order.order_id == order_id).expect("one of ours");
            assert_eq!(last.unwrap_or(order.starts_at), from, "no second is charged twice or left out");
            assert_eq!(self.history.at(to - TimeDelta::seconds(1)).0, treatment, "taxed where it was supplied");
            self.charged.push(Charged { order_id, from, to, bill_id: 0, treatment, rate });
        }
        if matches!(record.kind, Kind::Credit { .. }) {
            let credited = self.charged.iter().find(|charged| charged.order_id == order_id && charged.to == to);
            assert_eq!(credited.map(|charged| (charged.treatment, charged.rate)), Some((treatment, rate)));
        }
        self.records.push(record);
    }

    fn net(&self, order_id: i64, once: bool) -> Amount {
        let of_order = |record: &&Record| record.order_id == Some(order_id) && (record.kind == Kind::OneTime) == once;
        Amount::try_sum(self.records.iter().filter(of_order).map(|record| record.net)).expect("small")
    }

    /// Asserts that charges less credits equal round(C) of the terms, and that the one-time price is charged at most
    /// once.
    fn assert_sound(&self) {
        for order in &self.orders {
            let until = order.billed.through;
            let expected = match order.terms().zip(until) {
                Some((terms, until)) => terms.charge_until(until, order.zone).expect("small"),
                None => Amount::ZERO,
            };
            assert_eq!(self.net(order.order_id, false), expected, "{order:?}");
            let once = if order.billed.one_time { order.one_time } else { UnitPrice::ZERO };
            assert_eq!(Ok(self.net(order.order_id, true)), once.to_amount(), "{order:?}");
        }
    }
}

/// Simulates lives with runs at these times; all times differ.
fn play(moves: &[(i64, Treatment)], lives: &[Life], runs: &[i64], seed: u64) -> World {
    play_by_clock(moves, lives, runs, seed, &[0])
}

/// Simulates lives with a clock that is off by a given number of seconds at each event, regardless of what it showed
/// before.
fn play_by_clock(moves: &[(i64, Treatment)], lives: &[Life], runs: &[i64], seed: u64, wrong_by: &[i64]) -> World {
    #[derive(PartialEq, Eq, PartialOrd, Ord)]
    enum Event {
        Change(usize),
        Run,
    }
    let mut world = World::new(moves);
    let mut events: Vec<(i64, Event)> = runs.iter().map(|at| (*at, Event::Run)).collect();
    for (place, life) in lives.iter().enumerate() {
        world.orders.push(Order { order_id: i64::try_from(place).expect("few") + 1, ..life.order.clone() });
        events.extend(life.change.map(|(at, _)| (at, Event::Change(place))));
    }
    events.sort();
    for ((secs, event), wrong_by) in events.into_iter().zip(wrong_by.iter().cycle()) {
        let secs = secs + wrong_by;
        match event {
            Event::Run => world.run(at(secs), seed ^ secs.unsigned_abs()),
            Event::Change(place) => {
                let (_, change) = lives[place].change.expect("it has one");
                world.change(place, change, at(secs));
            }
        }
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn runs_at_any_times_give_the_same_sums(
        moves in moves(),
        lives in vec(life(), 1..5),
        runs in vec(0..END, 0..12),
        seed in any::<u64>(),
    ) {
        let once = play(&moves, &lives, &[END], 0);
        let cut = play(&moves, &lives, &[runs, vec![END]].concat(), seed);
        once.assert_sound();
        cut.assert_sound();
        prop_assert_eq!(once.orders.len(), cut.orders.len());
        for (one, other) in once.orders.iter().zip(&cut.orders) {
            // A span that came to 0.00 may still wait for the next record.
            let billed = Billed { through: other.billed.through, ..one.billed };
            prop_assert_eq!(&Order { billed, ..one.clone() }, other);
            for only_once in [false, true] {
                prop_assert_eq!(once.net(one.order_id, only_once), cut.net(one.order_id, only_once));
            }
        }
    }

    #[test]
    fn generate_bills_from_reordered_orders_gives_the_same_bills(
        moves in moves(),
        lives in vec(life(), 1..8),
        runs in vec(0..END, 1..4),
        seeds in (any::<u64>(), any::<u64>()),
    ) {
        prop_assert_eq!(play(&moves, &lives, &runs, seeds.0).records, play(&moves, &lives, &runs, seeds.1).records);
    }

    #[test]
    fn runs_with_a_jumping_clock_bill_each_second_once(
        moves in moves(),
        lives in vec(life(), 1..5),
        runs in vec(0..END, 0..12),
        wrong_by in vec(-90 * 86_400..90 * 86_400i64, 1..16),
    ) {
        let mut world = play_by_clock(&moves, &lives, &[runs, vec![END]].concat(), 0, &wrong_by);
        world.run(at(2 * END), 1);
        world.assert_sound();
        let ended = |order: &&Order| order.ends_at.is_some();
        prop_assert!(world.orders.iter().filter(ended).all(|order| order.due_at().is_none()), "nothing is left open");
    }

    #[test]
    fn run_repeated_or_as_of_earlier_generates_no_bills(
        moves in moves(),
        lives in vec(life(), 1..5),
        run in 0..END,
        earlier in 0..END,
    ) {
        let mut world = play(&moves, &lives, &[run], 0);
        // Later decisions are not known yet.
        world.orders.retain(|order| order.ends_at.is_none() && order.replaces.is_none());
        let bills = world.bills;
        for as_of in [run, run.min(earlier), run] {
            world.run(at(as_of), 1);
        }
        prop_assert_eq!(world.bills, bills);
    }
}
