//! One customer: what the next bill would be, and staff's bill now. Both are `run::bill_one`'s, as every run's bills are.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, PgPool};

use super::{
    bill::{BillFilter, WholeBill},
    db,
    problem::Problem,
    run, whole_bills,
};
use crate::{
    error::{Error, FieldError},
    request_context,
};

/// Further ahead nobody needs to know; a bill of a thousand years is work all the same.
const LONGEST_PREVIEW: TimeDelta = TimeDelta::days(2 * 366);

/// What a customer is or would be billed.
#[derive(Debug)]
pub struct Billed {
    /// As of when.
    pub as_of: DateTime<Utc>,
    /// One for each currency with something due.
    pub bills: Vec<WholeBill>,
    /// Why there is none.
    pub problem: Option<Problem>,
}

/// What the customer would be billed as of then, or now. Nothing is written.
pub async fn preview(pool: &PgPool, user_id: i64, as_of: Option<DateTime<Utc>>) -> Result<Billed, Error> {
    let mut tx = request_context::begin(pool).await?;
    db::require_user(&mut tx, user_id).await?;
    let now = crate::clock::now(&mut *tx).await?;
    let as_of = crate::billing::bill_run::second(as_of.unwrap_or(now));
    if as_of > now + LONGEST_PREVIEW {
        return Err(Error::Parameters(vec![FieldError::of("query", "as_of", "must lie at most two years ahead")]));
    }
    let billed = match run::draw_up_one(&mut tx, user_id, as_of, None).await {
        Ok((run, problem)) => Billed { as_of, bills: of_run(&mut tx, run.run_id).await?, problem },
        Err(Error::Conflict { code, detail, .. }) => {
            Billed { as_of, bills: Vec::new(), problem: Some(Problem::new(user_id, code, detail)) }
        }
        Err(error) => return Err(error),
    };
    tx.rollback().await?;
    Ok(billed)
}

/// Bills a customer what is due as of then, or now. Where nothing is due or something is wrong, nothing is written.
pub async fn bill(
    pool: &PgPool,
    user_id: i64,
    as_of: Option<DateTime<Utc>>,
    requested_by: Option<i64>,
) -> Result<Billed, Error> {
    let mut tx = request_context::begin(pool).await?;
    db::require_user(&mut tx, user_id).await?;
    let as_of = past(crate::clock::now(&mut *tx).await?, as_of)?;
    let (run, problem) = run::bill_one(&mut tx, user_id, as_of, requested_by).await?;
    let bills = of_run(&mut tx, run.run_id).await?;
    if bills.is_empty() {
        tx.rollback().await?;
    } else {
        tx.commit().await?;
    }
    Ok(Billed { as_of, bills, problem })
}

/// Bills carry the time as of which they are made, and none is dated ahead.
pub(super) fn past(now: DateTime<Utc>, as_of: Option<DateTime<Utc>>) -> Result<DateTime<Utc>, Error> {
    let as_of = crate::billing::bill_run::second(as_of.unwrap_or(now));
    if as_of > now {
        return Err(Error::field("as_of", "must not lie in the future; a preview may look there"));
    }
    Ok(as_of)
}

async fn of_run(tx: &mut PgConnection, run_id: i64) -> Result<Vec<WholeBill>, Error> {
    whole_bills(tx, &BillFilter { run_id: Some(run_id), drafts: true, ..BillFilter::default() }).await
}
