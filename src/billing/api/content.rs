//! The content of a bill: one response suffices to recompute it.

use chrono::{DateTime, TimeDelta, Utc};
use poem_openapi::Object;

use crate::{
    billing::bill::{BillRecord, BillVat, Parties, Party, RecordKind},
    money::{
        amount::{Amount, Rate},
        vat::{Category, REVERSE_CHARGE_NOTE},
    },
};

/// The content of a bill.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct BillContent {
    /// The seller at the time of the bill.
    seller: BillParty,
    /// The customer at the time of the bill.
    customer: BillParty,
    /// The records, ordered by order and time; items of staff last.
    records: Vec<RecordBody>,
    /// The VAT, rounded once for each category and rate.
    vat: Vec<VatBody>,
    /// A note required by law.
    note: Option<String>,
}

/// The seller or the customer.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct BillParty {
    /// The name of the person or of the seller.
    name: String,
    /// The company's name, for a business.
    company: Option<String>,
    /// The street and house number.
    street: String,
    /// The postal code.
    postal_code: String,
    /// The city.
    city: String,
    /// The ISO 3166-1 alpha-2 code of the country.
    country: String,
    /// The VAT number.
    vat_number: Option<String>,
}

/// A record: one line of a bill.
///
/// The net is round(unit_price x (elapsed_seconds + seconds) / period_seconds) - round(unit_price x elapsed_seconds /
/// period_seconds), each rounded to two decimals, half away from zero; the negative of it for a credit; the unit
/// price for a record without a period. All records of an order therefore add up to the cent, however its life is
/// divided.
#[derive(Debug, Object)]
#[oai(rename = "BillRecord", skip_serializing_if_is_none)]
struct RecordBody {
    /// The kind of the record.
    kind: RecordKind,
    /// The order; absent for an item of staff.
    order_id: Option<i64>,
    /// The product's name; absent for individually negotiated terms.
    product: Option<String>,
    /// The order's description, or the text that staff entered.
    description: String,
    /// The first second of the span.
    from: DateTime<Utc>,
    /// The first second after the span; equal to `from` for a record without a span.
    to: DateTime<Utc>,
    /// The last second of the span.
    last_second: Option<DateTime<Utc>>,
    /// The length of the span, from `from` to `to`.
    seconds: i64,
    /// The seconds of the period that had elapsed at `from`.
    elapsed_seconds: Option<i64>,
    /// The length of a whole period in seconds.
    period_seconds: Option<i32>,
    /// The number of periods: seconds / period_seconds with six decimals.
    quantity: String,
    /// The price of one period, or the one-time price.
    unit_price: Amount,
    /// The amount before VAT.
    net: Amount,
    /// A readable reason for the record.
    reason: String,
    /// The VAT category of UNCL 5305: S at a standard rate, AE reverse charge, O outside scope.
    vat_category: String,
    /// The VAT rate as a fraction: 0.081 is 8.1 %.
    vat_rate: Rate,
    /// A readable reason for the VAT category.
    vat_reason: String,
}

/// The VAT group of a bill: all records of one category and rate.
#[derive(Debug, Object)]
#[oai(rename = "BillVat")]
struct VatBody {
    /// The VAT category of UNCL 5305.
    category: String,
    /// The VAT rate as a fraction.
    rate: Rate,
    /// The sum of the records' nets.
    taxable_amount: Amount,
    /// The VAT: taxable_amount x rate, rounded once to two decimals, half away from zero.
    tax_amount: Amount,
    /// A readable reason for the VAT category.
    reason: String,
}

impl BillContent {
    pub(super) fn new(parties: Parties, records: &[BillRecord], vat: &[BillVat]) -> Self {
        let is_reversed = vat.iter().any(|group| group.category == Category::ReverseCharge);
        Self {
            records: records.iter().map(|record| RecordBody::new(record, &parties)).collect(),
            vat: vat.iter().map(|group| VatBody::new(group, &parties)).collect(),
            note: is_reversed.then(|| REVERSE_CHARGE_NOTE.to_owned()),
            seller: parties.seller.into(),
            customer: parties.customer.into(),
        }
    }
}

impl From<Party> for BillParty {
    fn from(party: Party) -> Self {
        let Party { name, company, street, postal_code, city, country, vat_number } = party;
        Self { name, company, street, postal_code, city, country, vat_number }
    }
}

impl RecordBody {
    fn new(record: &BillRecord, parties: &Parties) -> Self {
        Self {
            kind: record.kind,
            order_id: record.order_id,
            product: record.product.clone(),
            description: record.description.clone(),
            from: record.from,
            to: record.to,
            last_second: (record.from < record.to).then(|| record.to - TimeDelta::seconds(1)),
            seconds: record.secs(),
            elapsed_seconds: record.period_seconds.map(|_| record.elapsed_seconds),
            period_seconds: record.period_seconds,
            quantity: record.quantity(),
            unit_price: record.unit_price,
            net: record.net,
            reason: record.reason(),
            vat_category: record.category.to_string(),
            vat_rate: record.rate,
            vat_reason: parties.vat_reason(record.category, record.rate),
        }
    }
}

impl VatBody {
    fn new(group: &BillVat, parties: &Parties) -> Self {
        Self {
            category: group.category.to_string(),
            rate: group.rate,
            taxable_amount: group.taxable_amount,
            tax_amount: group.tax_amount,
            reason: parties.vat_reason(group.category, group.rate),
        }
    }
}
