//! What is on a bill: one answer suffices to compute it again by hand.

use chrono::{DateTime, TimeDelta, Utc};
use poem_openapi::Object;

use crate::{
    billing::bill::{BillRecord, BillVat, Parties, Party, RecordKind},
    money::{
        amount::{Amount, Rate},
        vat::{Category, REVERSE_CHARGE_NOTE},
    },
};

/// What is on a bill.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct BillContent {
    /// Who bills, as it was then.
    seller: BillParty,
    /// Who is billed, as it was then.
    customer: BillParty,
    /// By order and time; lines of staff last.
    records: Vec<RecordBody>,
    /// VAT, rounded once for each category and rate.
    vat: Vec<VatBody>,
    /// What the law wants to be said.
    note: Option<String>,
}

/// Who bills or is billed.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct BillParty {
    /// A name.
    name: String,
    /// Of a business.
    company: Option<String>,
    /// Street and number.
    street: String,
    /// Postal code.
    postal_code: String,
    /// City.
    city: String,
    /// ISO 3166-1 alpha-2.
    country: String,
    /// VAT number.
    vat_number: Option<String>,
}

/// A line of a bill.
///
/// Its net is round(unit_price x (elapsed_seconds + seconds) / period_seconds) - round(unit_price x elapsed_seconds /
/// period_seconds), each rounded to two decimals, half away from zero; the negative of it for a credit; the unit price for
/// what has no period. So all records of an order sum up to the cent, however its life was cut.
#[derive(Debug, Object)]
#[oai(rename = "BillRecord", skip_serializing_if_is_none)]
struct RecordBody {
    /// What it is for.
    kind: RecordKind,
    /// The order; absent for a line of staff.
    order_id: Option<i64>,
    /// The product's name; absent for what was agreed by hand.
    product: Option<String>,
    /// What was ordered, or what staff wrote.
    description: String,
    /// The first second.
    from: DateTime<Utc>,
    /// The first second after it; the same as `from` for what has no span.
    to: DateTime<Utc>,
    /// The last second of the span.
    last_second: Option<DateTime<Utc>>,
    /// From `from` to `to`.
    seconds: i64,
    /// Seconds of the period that had passed at `from`.
    elapsed_seconds: Option<i64>,
    /// Seconds of a whole period.
    period_seconds: Option<i32>,
    /// How many periods: seconds / period_seconds with six decimals.
    quantity: String,
    /// For one period, or once.
    unit_price: Amount,
    /// Before VAT.
    net: Amount,
    /// The reason why it is on the bill, for people.
    reason: String,
    /// UNCL 5305: S at a standard rate, AE reverse charge, O outside scope.
    vat_category: String,
    /// A fraction: 0.081 is 8.1 %.
    vat_rate: Rate,
    /// The reason for this taxation, for people.
    vat_reason: String,
}

/// The part of a bill that is taxed alike.
#[derive(Debug, Object)]
#[oai(rename = "BillVat")]
struct VatBody {
    /// UNCL 5305.
    category: String,
    /// A fraction.
    rate: Rate,
    /// The sum of the records' nets.
    taxable_amount: Amount,
    /// taxable_amount x rate, rounded once to two decimals, half away from zero.
    tax_amount: Amount,
    /// The reason for this taxation, for people.
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
