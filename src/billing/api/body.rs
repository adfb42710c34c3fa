//! Bills as they are answered. One answer suffices to compute a bill again by hand.

use chrono::{DateTime, TimeDelta, Utc};
use poem_openapi::Object;

use crate::billing::{
    bill::{Bill, BillRecord, BillVat, Parties, Party, RecordKind, WholeBill},
    customer::Problem,
    money::{Amount, Rate},
    one::Billed,
    vat::{Category, REVERSE_CHARGE_NOTE},
};

/// What a bill comes to.
#[derive(Debug, Object)]
pub(super) struct BillTotals {
    /// `invoice`, or `credit_note` if it is negative.
    document: String,
    /// As of when it was made.
    issued_at: DateTime<Utc>,
    /// What it is in.
    currency: String,
    /// The sum of the records.
    net: Amount,
    /// The VAT of all groups.
    tax: Amount,
    /// Both.
    gross: Amount,
    /// What rounding to the smallest coin adds.
    rounding: Amount,
    /// To be paid, or if negative to be paid back.
    payable: Amount,
}

/// A bill without its lines.
#[derive(Debug, Object)]
#[oai(rename = "BillSummary", skip_serializing_if_is_none)]
pub(super) struct BillBody {
    /// Identifies the bill.
    id: i64,
    /// Gapless in each year; absent while its run is under way.
    number: Option<String>,
    /// Whose.
    user_id: i64,
    /// The customer's name here.
    username: String,
    #[oai(flatten)]
    totals: BillTotals,
}

/// A page of bills.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct BillList {
    /// By id.
    pub(super) items: Vec<BillBody>,
    /// Cursor of the next page; absent on the last.
    pub(super) next: Option<String>,
}

/// A bill.
#[derive(Debug, Object)]
#[oai(rename = "Bill")]
pub(super) struct BillDetail {
    #[oai(flatten)]
    bill: BillBody,
    #[oai(flatten)]
    content: BillContent,
}

/// What a bill would be.
#[derive(Debug, Object)]
struct BillDraft {
    #[oai(flatten)]
    totals: BillTotals,
    #[oai(flatten)]
    content: BillContent,
}

/// What is on a bill.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct BillContent {
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
/// Its net is round(unit_price x (passed_seconds + seconds) / period_seconds) - round(unit_price x passed_seconds /
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
    passed_seconds: Option<i64>,
    /// Seconds of a whole period.
    period_seconds: Option<i32>,
    /// How many periods: seconds / period_seconds with six decimals.
    quantity: String,
    /// For one period, or once.
    unit_price: Amount,
    /// Before VAT.
    net: Amount,
    /// Why it is on the bill.
    why: String,
    /// UNCL 5305: S at a standard rate, AE reverse charge, O outside scope.
    vat_category: String,
    /// A fraction: 0.081 is 8.1 %.
    vat_rate: Rate,
    /// Why it is taxed so.
    vat_why: String,
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
    base: Amount,
    /// base x rate, rounded once to two decimals, half away from zero.
    tax: Amount,
    /// Why it is taxed so.
    why: String,
}

/// What the next bills would be.
#[derive(Debug, Object)]
#[oai(rename = "BillPreview")]
pub(super) struct PreviewBody {
    /// As of when.
    as_of: DateTime<Utc>,
    /// One for each currency with something due.
    bills: Vec<BillDraft>,
    /// Why there is none although something is due.
    problems: Vec<ProblemBody>,
}

/// Why a customer can't be billed.
#[derive(Debug, Object)]
#[oai(rename = "BillProblem")]
pub(super) struct ProblemBody {
    /// Whose bill is missing.
    user_id: i64,
    /// Stable, for programs.
    code: String,
    /// What is wrong and what would mend it.
    detail: String,
}

/// What one customer was billed.
#[derive(Debug, Object)]
#[oai(rename = "BilledNow", skip_serializing_if_is_none)]
pub(super) struct BilledBody {
    /// As of when.
    as_of: DateTime<Utc>,
    /// One for each currency.
    bills: Vec<BillDetail>,
    /// Why there is none.
    reason: Option<String>,
}

impl From<&Bill> for BillTotals {
    fn from(bill: &Bill) -> Self {
        Self {
            document: bill.document.clone(),
            issued_at: bill.issued_at,
            currency: bill.currency.clone(),
            net: bill.net,
            tax: bill.tax,
            gross: bill.gross,
            rounding: bill.rounding,
            payable: bill.payable,
        }
    }
}

impl From<Bill> for BillBody {
    fn from(bill: Bill) -> Self {
        let totals = (&bill).into();
        Self { id: bill.bill_id, number: bill.number, user_id: bill.user_id, username: bill.username, totals }
    }
}

impl From<WholeBill> for BillDetail {
    fn from(whole: WholeBill) -> Self {
        let content = BillContent::new(whole.parties, &whole.records, &whole.vat);
        Self { bill: whole.bill.into(), content }
    }
}

impl BillContent {
    fn new(parties: Parties, records: &[BillRecord], vat: &[BillVat]) -> Self {
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
            passed_seconds: record.period_secs.map(|_| record.passed_secs),
            period_seconds: record.period_secs,
            quantity: record.quantity(),
            unit_price: record.unit_price,
            net: record.net,
            why: record.reason(),
            vat_category: record.category.to_string(),
            vat_rate: record.rate,
            vat_why: parties.vat_reason(record.category, record.rate),
        }
    }
}

impl VatBody {
    fn new(group: &BillVat, parties: &Parties) -> Self {
        Self {
            category: group.category.to_string(),
            rate: group.rate,
            base: group.base,
            tax: group.tax,
            why: parties.vat_reason(group.category, group.rate),
        }
    }
}

impl From<Problem> for ProblemBody {
    fn from(problem: Problem) -> Self {
        Self { user_id: problem.user_id, code: problem.code.name().to_owned(), detail: problem.detail }
    }
}

impl From<Billed> for PreviewBody {
    fn from(billed: Billed) -> Self {
        let draft = |whole: WholeBill| BillDraft {
            totals: (&whole.bill).into(),
            content: BillContent::new(whole.parties, &whole.records, &whole.vat),
        };
        Self {
            as_of: billed.as_of,
            bills: billed.bills.into_iter().map(draft).collect(),
            problems: billed.problem.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Billed> for BilledBody {
    fn from(billed: Billed) -> Self {
        let nothing = "nothing is due; the preview tells what will be, with as_of ahead";
        Self {
            as_of: billed.as_of,
            reason: billed.bills.is_empty().then(|| nothing.to_owned()),
            bills: billed.bills.into_iter().map(Into::into).collect(),
        }
    }
}
