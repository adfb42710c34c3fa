//! The catalogue of a new installation.

use std::collections::BTreeMap;

use sqlx::PgPool;

use super::{
    db,
    draft::ProductDraft,
    product::{Parameter, ParameterPrice, Price},
    write,
};
use crate::{
    error::Error,
    money::{
        amount::Amount,
        charge::BillingMode,
        language::Language,
        period::{RecurringPeriod, Unit},
        unit_price::UnitPrice,
    },
    services::Delivery,
};

/// The divisor for the price of a day: thirty days cost as much as twenty single days.
const DAY_DIVISOR: i64 = 20;
const CURRENCIES: [&str; 2] = ["CHF", "EUR"];

/// The words after a quantity of one and of more on bills, in the order of [`Language::ALL`].
type Words = [[&'static str; 2]; 4];

const CORES: Words = [["Kern", "Kerne"], ["cœur", "cœurs"], ["core", "core"], ["core", "cores"]];
const MEMORY: Words = [
    ["GB Arbeitsspeicher", "GB Arbeitsspeicher"],
    ["Go de mémoire", "Go de mémoire"],
    ["GB di memoria", "GB di memoria"],
    ["GB memory", "GB memory"],
];
const SSD: Words = [["GB SSD", "GB SSD"], ["Go SSD", "Go SSD"], ["GB SSD", "GB SSD"], ["GB SSD", "GB SSD"]];

/// Adds the periods and products below that are missing. Existing ones stay as they are, even if they are no longer on
/// sale.
pub async fn add_defaults(pool: &PgPool) -> Result<(), Error> {
    let day = period(Unit::Day, 1)?;
    let thirty_days = period(Unit::Day, 30)?;
    for period in [thirty_days, day, period(Unit::Month, 1)?, period(Unit::Year, 1)?] {
        db::insert_period(pool, period).await?;
    }
    for (name, draft) in products(thirty_days, day)? {
        write::add(pool, name, &draft).await?;
    }
    Ok(())
}

fn period(unit: Unit, count: i32) -> Result<RecurringPeriod, Error> {
    RecurringPeriod::new(unit, count).map_err(|error| Error::Internal(error.into()))
}

/// Returns the default products by name; components come before bundles.
fn products(thirty_days: RecurringPeriod, day: RecurringPeriod) -> anyhow::Result<Vec<(&'static str, ProductDraft)>> {
    let by_time = |base: i64, parameters: &[(&str, i64)]| -> anyhow::Result<Vec<Price>> {
        let in_currency = |currency: &&str| {
            let by_day = |cents: i64| (cents + DAY_DIVISOR - 1) / DAY_DIVISOR;
            let parameters_by_day: Vec<(&str, i64)> =
                parameters.iter().map(|(name, cents)| (*name, by_day(*cents))).collect();
            [
                price(Some(thirty_days), currency, 0, base, parameters),
                price(Some(day), currency, 0, by_day(base), &parameters_by_day),
            ]
        };
        CURRENCIES.iter().flat_map(in_currency).collect()
    };
    let free = |currency: &&str| Ok(Price { commitment_periods: 0, ..price(Some(thirty_days), currency, 0, 0, &[])? });
    let once = |currency: &&str| price(None, currency, 5000, 0, &[]);
    let titles = |de: &str, fr: &str, it: &str| -> BTreeMap<Language, String> {
        [(Language::De, de), (Language::Fr, fr), (Language::It, it)]
            .map(|(language, title)| (language, title.to_owned()))
            .into()
    };
    let vpn = ProductDraft {
        titles: titles("VPN-Netz", "Réseau VPN", "Rete VPN"),
        delivery: Delivery::VpnNetwork,
        prices: CURRENCIES.iter().map(free).collect::<anyhow::Result<_>>()?,
        ..draft("VPN network", "A prefix of your own, routed to you through a WireGuard tunnel.")
    };
    let vm = ProductDraft {
        titles: titles("VM nur mit IPv6", "VM IPv6 uniquement", "VM solo IPv6"),
        parameters: vec![parameter("cores", "cores", CORES, 1, 48, 1), parameter("memory_gb", "GB", MEMORY, 1, 512, 1)],
        prices: by_time(600, &[("cores", 300), ("memory_gb", 400)])?,
        ..draft("IPv6-only VM", "A virtual machine with an IPv6 address; storage is ordered besides.")
    };
    let address = ProductDraft {
        titles: titles("IPv4-Adresse", "Adresse IPv4", "Indirizzo IPv4"),
        prices: by_time(800, &[])?,
        requires: vec!["ipv6-vm".to_owned()],
        ..draft("IPv4 address", "A public IPv4 address for a virtual machine.")
    };
    let ssd = ProductDraft {
        titles: titles("SSD-Speicher", "Stockage SSD", "Spazio SSD"),
        parameters: vec![parameter("ssd_gb", "GB", SSD, 10, 10_000, 10)],
        prices: by_time(0, &[("ssd_gb", 35)])?,
        requires: vec!["ipv6-vm".to_owned()],
        ..draft("SSD storage", "Storage on SSDs for a virtual machine.")
    };
    let dual_stack = ProductDraft {
        titles: titles("VM mit IPv4 und IPv6", "VM double pile", "VM dual stack"),
        prices: by_time(0, &[])?,
        components: ["ipv6-vm", "ipv4-address", "ssd"].map(|name| (name.to_owned(), 1)).into(),
        ..draft("Dual-stack VM", "A virtual machine with IPv6, an IPv4 address and SSD storage.")
    };
    let setup = ProductDraft {
        titles: titles("Einrichtung", "Installation", "Installazione"),
        prices: CURRENCIES.iter().map(once).collect::<anyhow::Result<_>>()?,
        ..draft("Set-up", "We install and configure what you ordered, once.")
    };
    Ok(vec![
        ("vpn-network", vpn),
        ("ipv6-vm", vm),
        ("ipv4-address", address),
        ("ssd", ssd),
        ("dual-stack-vm", dual_stack),
        ("setup", setup),
    ])
}

fn draft(title: &str, description: &str) -> ProductDraft {
    ProductDraft {
        title: title.to_owned(),
        titles: BTreeMap::new(),
        description: description.to_owned(),
        delivery: Delivery::Manual,
        billing_mode: BillingMode::Advance,
        sale_from: None,
        sale_until: None,
        parameters: Vec::new(),
        prices: Vec::new(),
        requires: Vec::new(),
        components: Vec::new(),
    }
}

fn parameter(name: &str, unit: &str, words: Words, minimum: i32, maximum: i32, step: i32) -> Parameter {
    let words = Language::ALL.into_iter().zip(words);
    let words = words.map(|(language, words)| (language, words.map(str::to_owned))).collect();
    Parameter { name: name.to_owned(), unit: unit.to_owned(), words, minimum, maximum, step }
}

fn of_cents(cents: i64) -> anyhow::Result<UnitPrice> {
    Ok(Amount::try_from(cents)?.try_into()?)
}

/// Builds a price from amounts in cents.
fn price(
    period: Option<RecurringPeriod>,
    currency: &str,
    one_time: i64,
    recurring: i64,
    parameters: &[(&str, i64)],
) -> anyhow::Result<Price> {
    let of_parameter = |(name, cents): &(&str, i64)| {
        Ok(ParameterPrice { parameter: (*name).to_owned(), one_time: UnitPrice::ZERO, recurring: of_cents(*cents)? })
    };
    Ok(Price {
        period,
        currency: currency.parse()?,
        one_time: of_cents(one_time)?,
        recurring: of_cents(recurring)?,
        commitment_periods: u32::from(period.is_some()),
        parameters: parameters.iter().map(of_parameter).collect::<anyhow::Result<_>>()?,
    })
}
