use proptest::prelude::*;

use std::collections::BTreeMap;

use super::*;
use crate::{
    catalog::product::{Component, ParameterPrice},
    money::charge::BillingMode,
    services::Delivery,
};

fn money(text: &str) -> UnitPrice {
    text.parse().expect("an amount")
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("RFC 3339")
}

fn period(text: &str) -> Option<RecurringPeriod> {
    (!text.is_empty()).then(|| text.parse().expect("a period"))
}

fn parameter(name: &str, unit: &str, minimum: i32, maximum: i32, step: i32) -> Parameter {
    Parameter { name: name.into(), unit: unit.into(), words: BTreeMap::new(), minimum, maximum, step }
}

/// Builds a price from the recurring price of each parameter; their one-time prices are 0.10 each.
fn price_row(periods: &str, currency: &str, base: &str, parameters: &[(&str, &str)]) -> Price {
    let of_parameter = |(name, recurring): &(&str, &str)| ParameterPrice {
        parameter: (*name).into(),
        one_time: money("0.10"),
        recurring: money(recurring),
    };
    Price {
        period: period(periods),
        currency: currency.parse().expect("a currency"),
        one_time: money("1.00"),
        recurring: money(base),
        commitment_periods: 1,
        parameters: parameters.iter().map(of_parameter).collect(),
    }
}

fn product(id: i64, name: &str, parameters: Vec<Parameter>, prices: Vec<Price>) -> Product {
    Product {
        product_id: id,
        name: name.into(),
        title: name.to_uppercase(),
        titles: BTreeMap::new(),
        description: String::new(),
        delivery: Delivery::Manual,
        billing_mode: BillingMode::Advance,
        sale_from: at("2025-01-01T00:00:00Z"),
        sale_until: None,
        created_at: at("2025-01-01T00:00:00Z"),
        parameters,
        prices,
        vat: None,
        requires: Vec::new(),
        components: Vec::new(),
    }
}

fn vm() -> Product {
    let parameters = vec![parameter("cores", "cores", 1, 48, 1), parameter("memory_gb", "GB", 2, 512, 2)];
    let per = [("cores", "3.00"), ("memory_gb", "4.00")];
    let prices = vec![price_row("P30D", "CHF", "8.00", &per), price_row("P1D", "EUR", "0.40", &[("cores", "0.15")])];
    product(1, "ipv6-vm", parameters, prices)
}

fn address() -> Product {
    let prices = vec![price_row("P30D", "CHF", "8.00", &[]), price_row("P1D", "EUR", "0.40", &[])];
    Product { requires: vec![vm().reference()], ..product(2, "ipv4-address", Vec::new(), prices) }
}

/// Builds a bundle with two SSDs and a one-time product.
fn bundle() -> Product {
    let ssd = product(
        3,
        "ssd",
        vec![parameter("ssd_gb", "GB", 10, 100, 10)],
        vec![price_row("P30D", "CHF", "0.00", &[("ssd_gb", "0.35")])],
    );
    let setup = product(
        4,
        "setup",
        Vec::new(),
        vec![Price { recurring: UnitPrice::ZERO, ..price_row("", "CHF", "0.00", &[]) }],
    );
    let prices = vec![
        Price { commitment_periods: 3, ..price_row("P30D", "CHF", "0.00", &[]) },
        price_row("P1D", "EUR", "0.00", &[]),
    ];
    let components: Vec<Component> = [(vm(), 1), (address(), 1), (ssd, 2), (setup, 1)]
        .iter()
        .map(|(part, count)| part.as_component(*count))
        .collect();
    Product { components, ..product(5, "dual-stack-vm", Vec::new(), prices) }
}

fn choice(periods: &str, currency: &str, parameters: &[(&str, i64)]) -> Choice {
    Choice {
        recurring_period: period(periods),
        currency: currency.parse().expect("a currency"),
        parameters: parameters.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
    }
}

fn now() -> DateTime<Utc> {
    at("2025-06-01T00:00:00Z")
}

/// Returns the errors as `pointer message`.
#[track_caller]
fn refused(product: &Product, choice: &Choice) -> Vec<String> {
    let errors = price(product, choice, now()).expect_err("refused");
    errors.into_iter().map(|error| format!("{} {}", error.pointer, error.message)).collect()
}

#[test]
fn price_of_product_is_sum_of_listed_parts() {
    let priced = price(&vm(), &choice("P30D", "CHF", &[("cores", 2), ("memory_gb", 4)]), now()).expect("priced");
    let parts: Vec<_> =
        priced.parts.iter().map(|part| (part.parameter.as_deref(), part.quantity, part.recurring)).collect();
    let expected = [(None, 1, money("8.00")), (Some("cores"), 2, money("3.00")), (Some("memory_gb"), 4, money("4.00"))];
    assert_eq!(parts, expected);
    assert_eq!((priced.one_time, priced.recurring), (money("1.60"), money("30.00")));
    assert_eq!(priced.commitment_periods, 1);
    let without_price = price(&vm(), &choice("P1D", "EUR", &[("cores", 1), ("memory_gb", 4)]), now()).expect("priced");
    assert_eq!(without_price.recurring, money("0.55"), "a parameter without a price is free and listed");
    assert_eq!(without_price.parts.len(), 3);
}

#[test]
fn price_of_bundle_includes_components() {
    let values = [("cores", 1), ("memory_gb", 2), ("ssd_gb", 30)];
    let priced = price(&bundle(), &choice("P30D", "CHF", &values), now()).expect("priced");
    let parts: Vec<_> = priced
        .parts
        .iter()
        .map(|part| (part.product.name.as_str(), part.parameter.as_deref(), part.quantity))
        .collect();
    let expected = [
        ("dual-stack-vm", None, 1),
        ("ipv6-vm", None, 1),
        ("ipv6-vm", Some("cores"), 1),
        ("ipv6-vm", Some("memory_gb"), 2),
        ("ipv4-address", None, 1),
        ("ssd", None, 2),
        ("ssd", Some("ssd_gb"), 60),
        ("setup", None, 1),
    ];
    assert_eq!(parts, expected);
    assert_eq!(priced.recurring, money("48.00"), "8 + 3 + 8 for the VM, 8 for the address, 60 x 0.35 for the SSDs");
    assert_eq!(priced.one_time, money("12.30"), "6 x 1.00, and 63 x 0.10 for the parameters");
    assert_eq!(priced.commitment_periods, 3, "the bundle's own");
    let offers: Vec<Offer> = bundle().offers().collect();
    assert_eq!(offers, [(period("P30D"), "CHF".parse().expect("a currency"))], "SSDs are not sold by the day");
}

#[test]
fn requirements_of_bundle_exclude_contained_products() {
    assert_eq!(bundle().requirements().count(), 0);
    assert_eq!(address().requirements().collect::<Vec<_>>(), [&vm().reference()]);
    let mut without_vm = bundle();
    without_vm.components.remove(0);
    assert_eq!(without_vm.requirements().collect::<Vec<_>>(), [&vm().reference()]);
}

#[test]
fn price_with_several_errors_returns_all_with_hints() {
    let off_sale = Product { sale_until: Some(now()), ..bundle() };
    let wrong = choice("P1D", "USD", &[("cores", 0), ("memory_gb", 3), ("disk_gb", 1)]);
    assert_eq!(
        refused(&off_sale, &wrong),
        [
            "/product is no longer on sale, since 2025-06-01T00:00:00Z",
            "/currency USD is not offered; choose from: CHF",
            "/parameters/disk_gb is unknown; known are: cores, memory_gb, ssd_gb",
            "/parameters/cores is 0; must be from 1 to 48 cores",
            "/parameters/memory_gb is 3; must be 2, 4, and so on in steps of 2 up to 512 GB",
            "/parameters/ssd_gb is missing; must be 10, 20, and so on in steps of 10 up to 100 GB",
        ]
    );
}

#[test]
fn price_for_unoffered_period_lists_offered_periods() {
    let values = [("cores", 1), ("memory_gb", 2)];
    let says = |product: &Product, periods, currency| refused(product, &choice(periods, currency, &values)).join("\n");
    assert_eq!(says(&vm(), "P1D", "CHF"), "/recurring_period P1D is not offered in CHF; choose from: P30D");
    assert_eq!(says(&vm(), "", "CHF"), "/recurring_period is missing; choose from: P30D");
    let mut once = vm();
    once.prices = vec![Price { recurring: UnitPrice::ZERO, ..price_row("", "CHF", "0.00", &[]) }];
    assert_eq!(says(&once, "P1D", "CHF"), "/recurring_period must be omitted: this is paid once");
    once.prices.extend(vm().prices);
    let either = "/recurring_period P1D is not offered in CHF; choose from: P30D; or omit it to pay once";
    assert_eq!(says(&once, "P1D", "CHF"), either);
    once.prices.clear();
    assert_eq!(says(&once, "P1D", "CHF"), "/product has no price yet; contact the provider");
    assert_eq!(
        refused(&address(), &choice("P30D", "CHF", &values))[0],
        "/parameters/cores is unknown; this product has no parameters"
    );
}

#[test]
fn product_sale_span_includes_start_and_excludes_end() {
    let product = Product { sale_until: Some(at("2025-07-01T00:00:00Z")), ..address() };
    let sells = |t: &str| price(&product, &choice("P30D", "CHF", &[]), at(t)).is_ok();
    assert!(!sells("2024-12-31T23:59:59Z") && sells("2025-01-01T00:00:00Z"));
    assert!(sells("2025-06-30T23:59:59Z") && !sells("2025-07-01T00:00:00Z"));
}

#[test]
fn price_beyond_largest_amount_is_refused() {
    let mut dear = vm();
    dear.prices[0].parameters[0].recurring = money("999999999999.99");
    let values = [("cores", 2), ("memory_gb", 2)];
    assert_eq!(
        refused(&dear, &choice("P30D", "CHF", &values)),
        ["/parameters add up to more than can be billed; order less"]
    );
}

proptest! {
    /// Accepts a value if and only if it is the minimum plus whole steps, up to the maximum, and counts it exactly.
    #[test]
    fn parameter_value_not_a_whole_step_is_refused(minimum in 0..1000_i32, steps in 0..1000_i32, step in 1..50_i32, value in -10..60_000_i64) {
        let maximum = minimum + steps * step;
        let mut product = address();
        product.parameters = vec![parameter("gb", "GB", minimum, maximum, step)];
        product.prices[0].parameters = vec![ParameterPrice { parameter: "gb".into(), one_time: UnitPrice::ZERO, recurring: money("0.07") }];
        let right = (0..=steps).any(|taken| i64::from(minimum + taken * step) == value);
        match price(&product, &choice("P30D", "CHF", &[("gb", value)]), now()) {
            Ok(priced) => {
                prop_assert!(right);
                prop_assert_eq!(priced.recurring.micros(), 10_000 * (800 + 7 * value));
            }
            Err(errors) => {
                prop_assert!(!right);
                prop_assert_eq!(&errors[0].pointer, "/parameters/gb");
            }
        }
    }

    /// Checks that the totals are the sums of the parts, as the database does.
    #[test]
    fn price_totals_equal_sums_of_parts(cores in 1..48_i64, memory in 1..256_i64, disk in 1..10_i64) {
        let values = [("cores", cores), ("memory_gb", 2 * memory), ("ssd_gb", 10 * disk)];
        let priced = price(&bundle(), &choice("P30D", "CHF", &values), now()).expect("priced");
        let sum = |one: fn(&PriceComponent) -> UnitPrice| priced.parts.iter().map(|part| i64::from(part.quantity) * one(part).micros()).sum::<i64>();
        prop_assert_eq!(priced.one_time.micros(), sum(|part| part.one_time));
        prop_assert_eq!(priced.recurring.micros(), sum(|part| part.recurring));
    }
}
