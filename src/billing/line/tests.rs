use chrono_tz::Tz;

use super::*;
use crate::money::{
    charge::{BillingMode, UpgradeCredit},
    order::{Billed, Order},
    period::{RecurringPeriod, Unit},
    vat::{Totals, Treatment, VatGroup},
};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("RFC 3339")
}

fn order(period: (Unit, i32), recurring: &str) -> Order {
    Order {
        order_id: 1,
        user_id: 1,
        currency: "CHF".parse().expect("a currency"),
        one_time: UnitPrice::ZERO,
        recurring: recurring.parse().expect("a price"),
        period: Some(RecurringPeriod::new(period.0, period.1).expect("a period")),
        billing_mode: BillingMode::Advance,
        commitment_periods: 1,
        carried_commitment_ends_at: None,
        upgrade_credit: UpgradeCredit::Prorate,
        zone: Tz::Europe__Zurich,
        starts_at: at("2026-03-14T23:00:00Z"),
        ends_at: None,
        replaces: None,
        void: false,
        billed: Billed::default(),
    }
}

/// Returns what is known of an order 1 and of the bill 7.
fn texts(order: Order, replaced_by: Option<i64>) -> Texts {
    let ordered = Ordered {
        order,
        description: "IPv6-only VM (2 cores)".into(),
        descriptions: BTreeMap::new(),
        product: Some("ipv6-vm".into()),
        replaced_by,
    };
    let corrected = Corrected { number: "2026-000001".into(), issue_date: "2026-03-15".parse().expect("a date") };
    Texts { orders: [(1, ordered)].into(), numbers: [(7, corrected)].into(), ..Texts::default() }
}

fn record(kind: Kind, (from, to): (&str, &str), quantity: i64, net: &str) -> Record {
    let (from, to) = (at(from), at(to));
    let rate = "0.081".parse().expect("a rate");
    let net = net.parse().expect("an amount");
    Record { kind, order_id: Some(1), from, to, period_seconds: Some(2_592_000), quantity, net, rate }
}

fn draft(records: Vec<Record>) -> Draft {
    let rate = "0.081".parse().expect("a rate");
    let vat = vec![VatGroup { rate, base: Amount::ZERO, tax: Amount::ZERO }];
    let totals = Totals::of(&vat, false).expect("zero");
    let treatment = Treatment::Taxed("CH".parse().expect("a territory"));
    Draft { currency: "CHF".parse().expect("a currency"), treatment, records, vat, totals }
}

#[test]
fn line_of_a_credit_names_days_orders_and_corrected_bill_in_four_languages() {
    let mut order = order((Unit::Day, 30), "10.00");
    order.ends_at = Some(at("2026-03-14T23:10:00Z"));
    let credit = Kind::Credit { corrects: 7 };
    let span = ("2026-03-14T23:10:00Z", "2026-04-13T23:00:00Z");
    let draft = draft(vec![record(credit, span, -999_769, "-10.00")]);
    let texts = texts(order, Some(2));
    let text = |language| texts.lines(&draft, language).expect("lines").remove(0).text;
    assert_eq!(
        text(Language::En),
        "Credit for unused time 15 Mar - 13 Apr 2026 (29.99 of 30 days): IPv6-only VM (2 cores), \
         order 1 replaced by order 2; corrects 2026-000001"
    );
    assert_eq!(
        text(Language::De),
        "Gutschrift für nicht genutzte Zeit 15. März - 13. April 2026 (29.99 von 30 Tagen): IPv6-only VM (2 cores), \
         Bestellung 1 ersetzt durch Bestellung 2; berichtigt 2026-000001"
    );
    assert_eq!(
        text(Language::Fr),
        "Crédit pour le temps non utilisé 15 mars - 13 avril 2026 (29.99 sur 30 jours) : IPv6-only VM (2 cores), \
         commande 1 remplacée par la commande 2 ; corrige 2026-000001"
    );
    assert_eq!(
        text(Language::It),
        "Accredito per il tempo non utilizzato 15 mar - 13 apr 2026 (29.99 su 30 giorni): IPv6-only VM (2 cores), \
         ordine 1 sostituito dall'ordine 2; rettifica 2026-000001"
    );
    let line = texts.lines(&draft, Language::En).expect("lines").remove(0);
    assert_eq!(
        (line.quantity.as_str(), line.unit_price.as_str(), line.net.to_string().as_str()),
        ("-0.999769", "10.00", "-10.00")
    );
    assert_eq!((line.unit.as_deref(), line.product.as_deref()), (Some("30 days"), Some("ipv6-vm")));
}

#[test]
fn line_of_what_is_charged_or_corrected_once_is_in_four_languages() {
    let instant = ("2026-03-14T23:00:00Z", "2026-03-14T23:00:00Z");
    let once = draft(vec![record(Kind::OneTime, instant, 1_000_000, "5.00")]);
    let mut texts = texts(order((Unit::Day, 30), "10.00"), None);
    let translated = BTreeMap::from([(Language::De, "VM nur mit IPv6".to_owned())]);
    let corrected =
        CorrectedText { description: "IPv6-only VM".into(), descriptions: translated, zone: Some(Tz::Europe__Zurich) };
    texts.corrections.insert(3, corrected);
    let span = ("2026-03-10T23:00:00Z", "2026-03-14T23:00:00Z");
    let correction = Kind::Correction { correction_id: 3, corrects: 7 };
    let correction = draft(vec![record(correction, span, -1_000_000, "-2.00")]);
    let text = |draft, language| texts.lines(draft, language).expect("lines").remove(0).text;
    for (language, charged, corrected) in [
        (
            Language::En,
            "One-time price: IPv6-only VM (2 cores)",
            "Correction of the VAT rate: IPv6-only VM, 11 Mar - 14 Mar 2026, credited at 8.1 %; corrects 2026-000001",
        ),
        (
            Language::De,
            "Einmalige Gebühr: IPv6-only VM (2 cores)",
            "Berichtigung des MWST-Satzes: VM nur mit IPv6, 11. März - 14. März 2026, Gutschrift zu 8.1 %; \
             berichtigt 2026-000001",
        ),
        (
            Language::Fr,
            "Frais uniques : IPv6-only VM (2 cores)",
            "Correction du taux de TVA : IPv6-only VM, 11 mars - 14 mars 2026, crédit à 8.1 % ; corrige 2026-000001",
        ),
        (
            Language::It,
            "Costo una tantum: IPv6-only VM (2 cores)",
            "Rettifica dell'aliquota IVA: IPv6-only VM, 11 mar - 14 mar 2026, accredito al 8.1 %; rettifica 2026-000001",
        ),
    ] {
        assert_eq!((text(&once, language).as_str(), text(&correction, language).as_str()), (charged, corrected));
    }
}

#[test]
fn line_of_a_whole_period_names_its_days_only() {
    let span = ("2026-03-14T23:00:00Z", "2026-04-13T23:00:00Z");
    let whole = draft(vec![record(Kind::Recurring, span, 1_000_000, "10.00")]);
    let texts = texts(order((Unit::Day, 30), "10.00"), None);
    assert_eq!(
        texts.lines(&whole, Language::En).expect("lines")[0].text,
        "IPv6-only VM (2 cores), 15 Mar - 13 Apr 2026"
    );
    let span = ("2026-03-14T23:00:00Z", "2026-03-29T22:00:00Z");
    let part = draft(vec![record(Kind::Recurring, span, 498_611, "4.99")]);
    assert_eq!(
        texts.lines(&part, Language::En).expect("lines")[0].text,
        "IPv6-only VM (2 cores), 15 Mar - 29 Mar 2026 (14.95 of 30 days); then the VAT changes"
    );
}

#[test]
fn lines_of_daily_orders_are_one_for_each_month() {
    let start = at("2026-03-14T23:00:00Z");
    let records = (0..40).map(|day| {
        let (from, to) = (start + chrono::TimeDelta::days(day), start + chrono::TimeDelta::days(day + 1));
        Record {
            from,
            to,
            ..record(Kind::Recurring, ("2026-03-14T23:00:00Z", "2026-03-15T23:00:00Z"), 1_000_000, "0.50")
        }
    });
    let draft = draft(records.collect());
    let lines = texts(order((Unit::Day, 1), "0.50"), None).lines(&draft, Language::En).expect("lines");
    let shown: Vec<_> =
        lines.iter().map(|line| (line.text.as_str(), line.quantity.as_str(), line.net.to_string())).collect();
    assert_eq!(
        shown,
        [
            ("IPv6-only VM (2 cores), 15 Mar - 31 Mar 2026", "17.000000", "8.50".to_owned()),
            ("IPv6-only VM (2 cores), 1 Apr - 23 Apr 2026", "23.000000", "11.50".to_owned()),
        ]
    );
}
