//! Response bodies of bills.

use chrono::{DateTime, NaiveDate, Utc};
use poem_openapi::Object;
use poem_openapi::types::ToJSON as _;
use serde_json::Value;

use super::content::BillContent;
use crate::{
    billing::{
        bill::{Bill, WholeBill},
        one::Billed,
        problem::Problem,
    },
    http::Representation,
    money::amount::Amount,
};

/// The totals of a bill.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct BillTotals {
    /// `invoice`, or `credit_note` if it is negative.
    document: String,
    /// The time up to which everything due is billed.
    as_of: DateTime<Utc>,
    /// The currency of all amounts.
    currency: String,
    /// The VAT category of the bill by UNCL 5305; absent on bills of earlier versions with several.
    vat_category: Option<String>,
    /// The territory whose VAT rates apply; absent without VAT.
    vat_territory: Option<String>,
    /// The sum of the records' nets.
    net: Amount,
    /// The sum of the VAT of all groups.
    tax: Amount,
    /// The sum of net and VAT.
    gross: Amount,
    /// The amount that rounding to the smallest coin adds.
    rounding: Amount,
    /// The amount to be paid; negative: to be paid back.
    amount_due: Amount,
}

/// A bill without its records.
#[derive(Debug, Object)]
#[oai(rename = "BillSummary", skip_serializing_if_is_none)]
pub(super) struct BillBody {
    /// Identifies the bill.
    id: i64,
    /// The bill's number, gapless in each year; absent while its run is in progress.
    number: Option<String>,
    /// The civil date at the seller's place on which the bill got its number.
    issue_date: Option<NaiveDate>,
    /// The day until which the bill is to be paid; absent if it names none.
    due_date: Option<NaiveDate>,
    /// The customer.
    user_id: i64,
    /// The customer's username.
    username: String,
    #[oai(flatten)]
    totals: BillTotals,
}

/// A page of bills.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct BillList {
    /// The bills, in the requested order.
    pub(super) items: Vec<BillBody>,
    /// The cursor of the next page; absent on the last.
    pub(super) next: Option<String>,
}

/// A bill with its records.
#[derive(Debug, Object)]
#[oai(rename = "Bill")]
pub(super) struct BillDetail {
    #[oai(flatten)]
    bill: BillBody,
    #[oai(flatten)]
    content: BillContent,
}

/// A bill that is not written, as a preview.
#[derive(Debug, Object)]
struct BillDraft {
    #[oai(flatten)]
    totals: BillTotals,
    #[oai(flatten)]
    content: BillContent,
}

/// A preview of the next bills.
#[derive(Debug, Object)]
#[oai(rename = "BillPreview")]
pub(super) struct PreviewBody {
    /// The time up to which everything due is included.
    as_of: DateTime<Utc>,
    /// The bills, one for each currency and VAT situation with something due.
    bills: Vec<BillDraft>,
    /// The problems due to which nothing is billed although something is due.
    problems: Vec<ProblemBody>,
}

/// A problem due to which a customer can't be billed.
#[derive(Debug, Object)]
#[oai(rename = "BillProblem")]
pub(super) struct ProblemBody {
    /// The customer without a bill.
    user_id: i64,
    /// The problem's code, stable for programs.
    code: String,
    /// The problem and its remedy.
    detail: String,
}

/// The bills that one customer got.
#[derive(Debug, Object)]
#[oai(rename = "BilledNow", skip_serializing_if_is_none)]
pub(super) struct BilledBody {
    /// The time up to which everything due was billed.
    as_of: DateTime<Utc>,
    /// The bills, one for each currency and VAT situation.
    bills: Vec<BillDetail>,
    /// The reason for which there are no bills.
    reason: Option<String>,
}

impl From<&Bill> for BillTotals {
    fn from(bill: &Bill) -> Self {
        Self {
            document: bill.document().to_owned(),
            as_of: bill.as_of,
            currency: bill.currency.clone(),
            vat_category: bill.category.map(|category| category.to_string()),
            vat_territory: bill.territory.clone(),
            net: bill.net,
            tax: bill.tax,
            gross: bill.gross,
            rounding: bill.rounding,
            amount_due: bill.amount_due,
        }
    }
}

impl From<Bill> for BillBody {
    fn from(bill: Bill) -> Self {
        let totals = (&bill).into();
        Self {
            id: bill.bill_id,
            issue_date: bill.issue_date,
            due_date: bill.due_date(),
            number: bill.number,
            user_id: bill.user_id,
            username: bill.username,
            totals,
        }
    }
}

impl Representation for Bill {
    fn representation(self) -> Option<Value> {
        BillBody::from(self).to_json()
    }
}

impl From<WholeBill> for BillDetail {
    fn from(whole: WholeBill) -> Self {
        Self { bill: whole.bill.clone().into(), content: whole.into() }
    }
}

impl Representation for WholeBill {
    fn representation(self) -> Option<Value> {
        BillDetail::from(self).to_json()
    }
}

impl From<Problem> for ProblemBody {
    fn from(problem: Problem) -> Self {
        Self { user_id: problem.user_id, code: problem.code.name().to_owned(), detail: problem.detail }
    }
}

impl From<Billed> for PreviewBody {
    fn from(billed: Billed) -> Self {
        let draft = |whole: WholeBill| BillDraft { totals: (&whole.bill).into(), content: whole.into() };
        Self {
            as_of: billed.as_of,
            bills: billed.bills.into_iter().map(draft).collect(),
            problems: billed.problem.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Billed> for BilledBody {
    fn from(billed: Billed) -> Self {
        let nothing = "nothing is due; the preview with a later as_of shows the next bill";
        Self {
            as_of: billed.as_of,
            reason: billed.bills.is_empty().then(|| nothing.to_owned()),
            bills: billed.bills.into_iter().map(Into::into).collect(),
        }
    }
}
