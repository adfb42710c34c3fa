//! Bills as they are answered.

use chrono::{DateTime, Utc};
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
    http::Shown,
    money::amount::Amount,
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
    amount_due: Amount,
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
    /// In the order asked for.
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
            amount_due: bill.amount_due,
        }
    }
}

impl From<Bill> for BillBody {
    fn from(bill: Bill) -> Self {
        let totals = (&bill).into();
        Self { id: bill.bill_id, number: bill.number, user_id: bill.user_id, username: bill.username, totals }
    }
}

impl Shown for Bill {
    fn shown(self) -> Option<Value> {
        BillBody::from(self).to_json()
    }
}

impl From<WholeBill> for BillDetail {
    fn from(whole: WholeBill) -> Self {
        let content = BillContent::new(whole.parties, &whole.records, &whole.vat);
        Self { bill: whole.bill.into(), content }
    }
}

impl Shown for WholeBill {
    fn shown(self) -> Option<Value> {
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
