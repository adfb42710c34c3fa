use super::*;
use crate::money::territory::area;

fn money(text: &str) -> Amount {
    text.parse().expect("an amount")
}

fn treatment(oss_eu: bool, address: &str, kind: CustomerKind, has_verified_number: bool) -> Treatment {
    let seller = Seller::new(Country::CH, Tz::Europe__Zurich, true, oss_eu).expect("Swiss");
    let (country, postal_code) = address.split_once(' ').unwrap_or((address, "10000"));
    let area = area(country.parse().expect("a country"), postal_code).expect("an area");
    Treatment::of(seller, Customer { area, kind, has_verified_number })
}

#[test]
fn treatment_of_seller_and_customer_follows_their_territories() {
    use CustomerKind::{Business, Private};
    for (oss_eu, address, kind, verified, category, territory) in [
        (true, "CH", Private, false, "S", Some("CH")),
        (true, "CH", Business, true, "S", Some("CH")),
        (false, "LI", Business, false, "S", Some("LI")),
        (true, "DE", Business, true, "AE", None),
        (true, "DE", Business, false, "S", Some("DE")),
        (true, "DE", Private, false, "S", Some("DE")),
        (true, "DE", Private, true, "S", Some("DE")),
        (false, "DE", Business, true, "AE", None),
        (false, "DE", Business, false, "O", None),
        (false, "DE", Private, false, "O", None),
        (true, "GR", Private, false, "S", Some("GR")),
        (true, "GB", Business, true, "O", None),
        (true, "NO", Private, false, "O", None),
        (true, "US", Business, false, "O", None),
        (true, "MC", Business, true, "AE", None),
        (true, "MC", Private, false, "S", Some("FR")),
        (false, "DE 78266", Business, true, "S", Some("CH")),
        (true, "ES 35001", Business, true, "O", None),
        (true, "PT 9500-100", Private, false, "S", Some("PT-20")),
    ] {
        let treatment = treatment(oss_eu, address, kind, verified);
        assert_eq!(treatment.category().as_str(), category, "{oss_eu} {address} {kind:?} {verified}");
        assert_eq!(treatment.territory().map(String::from), territory.map(String::from), "{address}");
    }
    let germany = "DE".parse().expect("a country");
    assert_eq!(Seller::new(germany, Tz::Europe__Berlin, true, true), Err(SellerError));
    let unregistered = Seller::new(Country::CH, Tz::Europe__Zurich, false, true).expect("Swiss");
    let swiss = Area::Switzerland(Country::CH.into());
    let customer = Customer { area: swiss, kind: Private, has_verified_number: false };
    assert_eq!(Treatment::of(unregistered, customer), Treatment::OutsideScope);
}

#[test]
fn treatment_history_yields_treatment_valid_at_time_of_supply() {
    let at = |day: &str| format!("2025-0{day}T00:00:00Z").parse::<DateTime<Utc>>().expect("a time");
    let taxed = |country: &str| Treatment::Taxed(country.parse().expect("a territory"));
    assert!(TreatmentHistory::new([]).is_none());
    let moves = [
        (at("3-01"), taxed("DE")),
        (at("3-05"), taxed("DE")), // within the country
        (at("3-10"), taxed("FR")),
        (at("3-10"), taxed("CY")), // a slip, corrected in the same second
    ];
    let history = TreatmentHistory::new(moves).expect("some");
    assert_eq!(history.at(at("1-01")), (taxed("DE"), Some(at("3-10"))), "before the first address");
    assert_eq!(history.at(at("3-09")), (taxed("DE"), Some(at("3-10"))));
    assert_eq!(history.at(at("3-10")), (taxed("CY"), None));
}

#[test]
fn groups_of_records_round_vat_once_per_group() {
    let rate = |text: &str| text.parse::<Rate>().expect("a rate");
    let taxed = |text, net| (rate(text), money(net));
    // 0.05 x 0.1 is half a cent, three times over 0.015; rounding each record separately would yield 0.03.
    let records = [
        taxed("0.255", "10.00"),
        taxed("0.1", "0.05"),
        taxed("0.000", "7.00"),
        taxed("0.1", "0.05"),
        taxed("0.1", "0.05"),
        taxed("0.255", "-12.00"),
    ];
    let groups = groups(records).expect("small");
    let texts: Vec<_> = groups.iter().map(|g| format!("{} {} {}", g.rate, g.base, g.tax)).collect();
    assert_eq!(texts, ["0.000 7.00 0.00", "0.100 0.15 0.02", "0.255 -2.00 -0.51"]);
    let totals = Totals::of(&groups, false).expect("small");
    assert_eq!((totals.net, totals.tax, totals.gross), (money("5.15"), money("-0.49"), money("4.66")));
    assert_eq!((totals.rounding, totals.amount_due), (Amount::ZERO, money("4.66")));
    let cash = Totals::of(&groups, true).expect("small");
    assert_eq!((cash.gross, cash.rounding, cash.amount_due), (money("4.66"), money("-0.01"), money("4.65")));
}

#[test]
fn category_as_written_is_read_back() {
    for text in ["AE", "O", "S"] {
        assert_eq!(text.parse::<Category>().map(|category| category.to_string()), Ok(text.into()));
        assert_eq!(serde_json::to_value(text.parse::<Category>().expect("one")).expect("JSON"), text);
    }
    assert_eq!("Z".parse::<Category>(), Err(CategoryError));
}
