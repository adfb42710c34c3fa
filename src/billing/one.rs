//! The next bill of one customer: its preview, and staff's bill now. Both use `run::bill_one`, so they are computed
//! exactly like the bills of a run.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, PgPool};

use super::{
    bill::{BillFilter, WholeBill},
    db,
    problem::Problem,
    run::{self, OneCustomer},
    whole_bills,
};
use crate::{
    error::{Error, FieldError},
    http::PageQuery,
    request_context,
};

/// The furthest time ahead of a preview: two years suffice, and a preview of a thousand years would be costly.
const LONGEST_PREVIEW: TimeDelta = TimeDelta::days(2 * 366);

/// The bills that one customer got or would get.
#[derive(Debug)]
pub struct Billed {
    /// The time up to which everything due is billed.
    pub as_of: DateTime<Utc>,
    /// The bills, one for each currency and VAT situation with something due.
    pub bills: Vec<WholeBill>,
    /// The reason for which there are no bills.
    pub problem: Option<Problem>,
}

/// Previews the customer's bills as of `as_of`, or now. Nothing is written.
pub async fn preview(pool: &PgPool, user_id: i64, as_of: Option<DateTime<Utc>>) -> Result<Billed, Error> {
    let mut tx = request_context::begin(pool).await?;
    db::require_user(&mut tx, user_id).await?;
    let now = crate::clock::now(&mut *tx).await?;
    let as_of = crate::billing::bill_run::second(as_of.unwrap_or(now));
    if as_of > now + LONGEST_PREVIEW {
        return Err(Error::Parameters(vec![FieldError::of("query", "as_of", "must lie at most two years ahead")]));
    }
    let billed = match run::generate_one(&mut tx, OneCustomer::all_due(user_id, as_of)).await {
        Ok((run, problem)) => Billed { as_of, bills: of_run(&mut tx, run.run_id).await?, problem },
        Err(Error::Conflict { code, detail, .. }) => {
            Billed { as_of, bills: Vec::new(), problem: Some(Problem::new(user_id, code, detail)) }
        }
        Err(error) => return Err(error),
    };
    tx.rollback().await?;
    Ok(billed)
}

/// Bills a customer everything due as of `as_of`, or now. If nothing is due or a problem occurs, nothing is written.
pub async fn bill(
    pool: &PgPool,
    user_id: i64,
    as_of: Option<DateTime<Utc>>,
    requested_by: Option<i64>,
) -> Result<Billed, Error> {
    let mut tx = request_context::begin(pool).await?;
    db::require_user(&mut tx, user_id).await?;
    let now = crate::clock::now(&mut *tx).await?;
    let as_of = past(now, as_of)?;
    let request = OneCustomer { requested_by, ..OneCustomer::all_due(user_id, as_of) };
    let (run, problem) = run::bill_one(&mut tx, request, now).await?;
    let bills = of_run(&mut tx, run.run_id).await?;
    if bills.is_empty() {
        tx.rollback().await?;
    } else {
        tx.commit().await?;
    }
    Ok(Billed { as_of, bills, problem })
}

/// Returns the time up to which to bill in whole seconds, and fails for a time in the future.
pub(super) fn past(now: DateTime<Utc>, as_of: Option<DateTime<Utc>>) -> Result<DateTime<Utc>, Error> {
    let as_of = crate::billing::bill_run::second(as_of.unwrap_or(now));
    if as_of > now {
        return Err(Error::field("as_of", "must not lie in the future; use the preview for a later time"));
    }
    Ok(as_of)
}

async fn of_run(tx: &mut PgConnection, run_id: i64) -> Result<Vec<WholeBill>, Error> {
    let filter = BillFilter { run_id: Some(run_id), drafts: true, ..BillFilter::default() };
    whole_bills(tx, &filter, PageQuery::all()).await
}
