//! The content of a bill: one response suffices to read it, and to recompute it.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use poem_openapi::Object;

use crate::{
    billing::{
        bill::{BillRecord, BillVat, WholeBill},
        content::{Corrected, Line, Party, RecordKind, VatText},
    },
    money::{
        amount::{Amount, Rate},
        language::Language,
        unit_price::UnitPrice,
    },
};

/// The content of a bill.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct BillContent {
    /// The language of all texts.
    language: Language,
    /// The seller at the time of the bill.
    seller: BillParty,
    /// The customer at the time of the bill.
    customer: BillParty,
    /// The lines for people, as the bill was issued; one or several records each.
    lines: Vec<LineBody>,
    /// The records, ordered by order and time; those without an order last.
    records: Vec<RecordBody>,
    /// The VAT, rounded once for each rate.
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
    /// The house number, if it is not part of the street.
    house_number: Option<String>,
    /// The reference that the customer wants to find on its bills.
    buyer_reference: Option<String>,
    /// The number of the customer's own order.
    order_reference: Option<String>,
    /// The address to which electronic bills are delivered.
    electronic_address: Option<String>,
}

/// A line of a bill, for people. It never changes once the bill has its number.
#[derive(Debug, Object)]
#[oai(rename = "BillLine", skip_serializing_if_is_none)]
struct LineBody {
    /// The whole text.
    text: String,
    /// The name of the ordered product, or the text that staff entered; part of `text`.
    description: Option<String>,
    /// The reason for the amount, on bills of earlier versions, whose `text` does not contain it.
    reason: Option<String>,
    /// The kind of the line.
    kind: RecordKind,
    /// The order; absent for an item of staff.
    order_id: Option<i64>,
    /// The product's name; absent for individually negotiated terms.
    product: Option<String>,
    /// The first second of the span.
    from: DateTime<Utc>,
    /// The first second after the span; equal to `from` for a line without a span.
    to: DateTime<Utc>,
    /// The number of units with six decimals, negative in the customer's favour.
    quantity: String,
    /// The unit, as in `30 days`; absent for a line without a span.
    unit: Option<String>,
    /// The price of one unit; negative for items in the customer's favour on bills of earlier versions.
    unit_price: String,
    /// The amount before VAT: quantity x unit_price, except for the rounding of sums.
    net: Amount,
    /// The VAT rate in per cent: 8.1.
    vat_percent: String,
    /// The bill that the line corrects.
    corrects: Option<CorrectedBody>,
}

/// A bill that another one corrects.
#[derive(Debug, Object)]
#[oai(rename = "CorrectedBill")]
struct CorrectedBody {
    /// The number.
    number: String,
    /// The issue date.
    issue_date: NaiveDate,
}

/// A record: what a bill charges for one order over one span.
///
/// With C(n) = unit_price x n periods, the net is round(C(elapsed_periods + (elapsed_seconds + seconds) /
/// period_seconds)) - round(C(elapsed_periods + elapsed_seconds / period_seconds)), each rounded to two decimals, half
/// away from zero; the negative of it for a credit; the unit price for a record without a period. All records of an
/// order therefore add up to the cent, however its life is divided.
#[derive(Debug, Object)]
#[oai(rename = "BillRecord", skip_serializing_if_is_none)]
struct RecordBody {
    /// The kind of the record.
    kind: RecordKind,
    /// The order; absent for an item of staff.
    order_id: Option<i64>,
    /// The first second of the span.
    from: DateTime<Utc>,
    /// The first second after the span; equal to `from` for a record without a span.
    to: DateTime<Utc>,
    /// The last second of the span.
    last_second: Option<DateTime<Utc>>,
    /// The length of the span, from `from` to `to`.
    seconds: i64,
    /// The whole periods of the order that had elapsed at `from`.
    elapsed_periods: Option<u32>,
    /// The seconds of the running period that had elapsed at `from`.
    elapsed_seconds: Option<i64>,
    /// The length of the running period in seconds.
    period_seconds: Option<i64>,
    /// The price of one period, or of what is charged once.
    unit_price: UnitPrice,
    /// The amount before VAT.
    net: Amount,
    /// The VAT category of UNCL 5305: S at a standard rate, AE reverse charge, O outside scope.
    vat_category: String,
    /// The territory whose rate applies; absent without VAT.
    vat_territory: Option<String>,
    /// The VAT rate as a fraction: 0.081 is 8.1 %.
    vat_rate: Rate,
    /// The id of the bill that the record corrects.
    corrects: Option<i64>,
}

/// The VAT group of a bill: all records of one rate.
#[derive(Debug, Object)]
#[oai(rename = "BillVat", skip_serializing_if_is_none)]
struct VatBody {
    /// The VAT category of UNCL 5305.
    category: String,
    /// The territory whose rate applies; absent without VAT.
    territory: Option<String>,
    /// The VAT rate as a fraction.
    rate: Rate,
    /// The sum of the records' nets.
    taxable_amount: Amount,
    /// The VAT: taxable_amount x rate, rounded once to two decimals, half away from zero.
    tax_amount: Amount,
    /// A readable reason for the VAT category.
    reason: String,
}

impl From<WholeBill> for BillContent {
    fn from(whole: WholeBill) -> Self {
        let WholeBill { seller, content, records, vat, .. } = whole;
        let percent = |line: &Line| {
            let place = usize::try_from(line.vat_group - 1).ok();
            place.and_then(|place| vat.get(place)).map_or_else(String::new, |group| group.rate.percent())
        };
        let notes = Some(content.notes.join(" ")).filter(|notes| !notes.is_empty());
        Self {
            language: content.language,
            lines: content.lines.iter().map(|line| LineBody::new(line.clone(), percent(line))).collect(),
            records: records.into_iter().map(Into::into).collect(),
            vat: vat.iter().zip(content.vat).map(|(group, text)| VatBody::new(group, text)).collect(),
            note: notes,
            seller: seller.into(),
            customer: content.customer.into(),
        }
    }
}

impl From<Party> for BillParty {
    fn from(party: Party) -> Self {
        Self {
            name: party.name,
            company: party.company,
            street: party.street,
            postal_code: party.postal_code,
            city: party.city,
            country: party.country,
            vat_number: party.vat_number,
            house_number: party.house_number,
            buyer_reference: party.buyer_reference,
            order_reference: party.order_reference,
            electronic_address: party.electronic_address,
        }
    }
}

impl LineBody {
    fn new(line: Line, vat_percent: String) -> Self {
        let corrects = line.corrects.map(|Corrected { number, issue_date }| CorrectedBody { number, issue_date });
        Self {
            text: line.text,
            description: line.description,
            reason: line.reason,
            kind: line.kind,
            order_id: line.order_id,
            product: line.product,
            from: line.from,
            to: line.to,
            quantity: line.quantity,
            unit: line.unit,
            unit_price: line.unit_price,
            net: line.net,
            vat_percent,
            corrects,
        }
    }
}

impl From<BillRecord> for RecordBody {
    fn from(record: BillRecord) -> Self {
        Self {
            kind: record.kind,
            order_id: record.order_id,
            from: record.from,
            to: record.to,
            last_second: (record.from < record.to).then(|| record.to - TimeDelta::seconds(1)),
            seconds: record.secs(),
            elapsed_periods: record.position.map(|position| position.whole),
            elapsed_seconds: record.position.map(|position| position.into_seconds),
            period_seconds: record.position.map(|position| position.period_seconds),
            unit_price: record.unit_price,
            net: record.net,
            vat_category: record.category.to_string(),
            vat_territory: record.territory,
            vat_rate: record.rate,
            corrects: record.corrects,
        }
    }
}

impl VatBody {
    fn new(group: &BillVat, text: VatText) -> Self {
        Self {
            category: group.category.to_string(),
            territory: group.territory.clone(),
            rate: group.rate,
            taxable_amount: group.taxable_amount,
            tax_amount: group.tax_amount,
            reason: text.reason,
        }
    }
}
