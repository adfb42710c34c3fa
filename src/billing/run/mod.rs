//! Bill runs: all customers with something due, in parts that any number of workers share, with numbers assigned at
//! the end.
//!
//! A batch of customers is one transaction, which also moves its part's cursor: a crash leaves whole customers done
//! or undone, and the next worker continues from there. Numbers are assigned when all parts are done, in the order of
//! the customers, so they do not depend on the timing or on the crashes of workers.

mod batch;

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Datelike as _, Months, NaiveTime, Utc};
use futures_util::future::try_join_all;
use sqlx::{Connection as _, PgConnection, PgPool};

use self::batch::{BATCH, bill_batch, bill_each_or_all};
use super::{db, problem::Problem};
use crate::{
    billing::bill_run::{Progress, Run, Summary, second},
    code::Code,
    error::Error,
    money, parties, request_context,
};

/// The number of parts: many more than workers, so that none waits long for the last one.
const PARTS: i64 = 32;

/// Starts a run as of `as_of`, or joins the run that has not ended, whatever its time: it has to end first. If
/// nothing is due, the run ends at once, and repeated requests return the same run.
pub async fn begin_in(tx: &mut PgConnection, as_of: DateTime<Utc>, requested_by: Option<i64>) -> Result<Run, Error> {
    let as_of = second(as_of);
    db::lock_beginning(tx).await?;
    if let Some(run) = db::open_run(tx).await? {
        return Ok(run);
    }
    let waiting = db::waiting(tx, as_of).await?;
    let customers = waiting.as_ref().map_or(0, |waiting| waiting.customers);
    if waiting.is_none()
        && let Some(run) = db::ended_run(tx, as_of).await?
    {
        return Ok(run);
    }
    let run = db::insert_run(tx, as_of, None, requested_by, customers).await?;
    if let Some(waiting) = waiting {
        db::insert_parts(tx, &run, &spans(waiting.first, waiting.last)).await?;
    }
    tracing::info!(run = run.run_id, %as_of, customers, "bill run started");
    Ok(run)
}

/// Returns the time up to which a run bills that names none: `now`, or the begin of the seller's last billing day.
pub async fn cut_off(db: &mut PgConnection, now: DateTime<Utc>) -> Result<DateTime<Utc>, Error> {
    let Some((zone, Some(day))) = parties::billing_day(db).await? else { return Ok(now) };
    let today = now.with_timezone(&zone).date_naive();
    let this_month = today.with_day(day).unwrap_or(today);
    let last =
        if this_month > today { this_month.checked_sub_months(Months::new(1)).unwrap_or(today) } else { this_month };
    Ok(money::period::instant(last.and_time(NaiveTime::MIN), zone))
}

/// Bills, in the transaction that places them, orders that are paid in advance, if the seller bills at once. A customer
/// who can't be billed now is billed by the next run, which reports why.
pub async fn bill_placed(tx: &mut PgConnection, user_id: i64, orders: &[i64], now: DateTime<Utc>) -> Result<(), Error> {
    if !parties::bills_at_order(tx).await? {
        return Ok(());
    }
    let mut attempt = tx.begin().await?;
    let request = OneCustomer { orders: Some(orders), ..OneCustomer::all_due(user_id, now) };
    let refused = match bill_one(&mut attempt, request, now).await {
        Ok((run, None)) if !summary(&mut attempt, run.run_id).await?.is_empty() => return Ok(attempt.commit().await?),
        Ok((_, problem)) => problem.map(|problem| problem.code),
        Err(Error::Conflict { code, .. }) => Some(code),
        Err(error) => return Err(error),
    };
    attempt.rollback().await?;
    if let Some(code) = refused {
        tracing::warn!(user = user_id, code = code.name(), "an order is not billed when it is placed");
    }
    Ok(())
}

/// Splits the customers from `first` to `last` into spans `(after, last]` of about equal width.
fn spans(first: i64, last: i64) -> Vec<(i64, i64)> {
    let width = ((last - first) / PARTS + 1).max(1);
    let mut after = first - 1;
    let mut spans = Vec::new();
    while after < last {
        spans.push((after, (after + width).min(last)));
        after += width;
    }
    spans
}

/// Processes a run until no unclaimed part is left. Calls `report` after each batch.
pub async fn work(pool: &PgPool, run: &Run, mut report: impl FnMut(Progress)) -> Result<(), Error> {
    let mut connection = pool.acquire().await?;
    let rates = parties::rate_table(&mut connection).await?;
    while bill_batch(&mut connection, run, &rates).await? {
        report(db::progress(&mut *connection, run.run_id).await?);
    }
    Ok(())
}

/// Ends a run whose parts are all done: its bills get their numbers. Returns false if some part is not done; fails if
/// the run was aborted.
pub async fn finish(pool: &PgPool, run: &Run) -> Result<bool, Error> {
    let mut tx = request_context::begin(pool).await?;
    if !db::progress(&mut *tx, run.run_id).await?.parts_done {
        return Ok(false);
    }
    if db::end(&mut tx, run).await? {
        let now = crate::clock::now(&mut *tx).await?;
        db::number(&mut tx, run, now).await?;
        tx.commit().await?;
        tracing::info!(run = run.run_id, "bill run ended");
    } else if db::run(&mut *tx, run.run_id).await?.is_some_and(|run| run.aborted) {
        let detail = format!("bill run {} was aborted; the next run bills its items", run.run_id);
        return Err(Error::Conflict { code: Code::BillRunEnded, detail, field: None });
    }
    Ok(true)
}

/// The bills to be made for one customer.
#[derive(Debug, Clone, Copy)]
pub struct OneCustomer<'a> {
    /// The customer.
    pub user_id: i64,
    /// The only orders to bill; `None`: everything that is due.
    pub orders: Option<&'a [i64]>,
    /// The time up to which to bill what is due.
    pub as_of: DateTime<Utc>,
    /// The user who requested the bills.
    pub requested_by: Option<i64>,
}

impl OneCustomer<'_> {
    /// Returns the request for everything that is due of a customer.
    pub const fn all_due(user_id: i64, as_of: DateTime<Utc>) -> Self {
        Self { user_id, orders: None, as_of, requested_by: None }
    }
}

/// Bills one customer in a transaction of the caller, which commits it or not. The bills have their numbers, and are
/// issued at `now`.
pub async fn bill_one(
    tx: &mut PgConnection,
    request: OneCustomer<'_>,
    now: DateTime<Utc>,
) -> Result<(Run, Option<Problem>), Error> {
    let (run, problem) = generate_one(tx, request).await?;
    db::number(tx, &run, now).await?;
    Ok((run, problem))
}

/// Bills one customer without assigning numbers, for a caller that rolls back: only one transaction at a time can
/// assign numbers.
pub(super) async fn generate_one(
    tx: &mut PgConnection,
    request: OneCustomer<'_>,
) -> Result<(Run, Option<Problem>), Error> {
    let OneCustomer { user_id, orders, as_of, requested_by } = request;
    let run = db::insert_run(tx, second(as_of), Some(user_id), requested_by, 1).await?;
    db::lock_customers(tx, &[user_id]).await?;
    if db::has_drafts(tx, user_id).await? {
        let detail = "is on a bill run that has not ended; wait for its end, or abort it";
        return Ok((run, Some(Problem::new(user_id, Code::BillRunOpen, detail))));
    }
    let rates = parties::rate_table(tx).await?;
    let problem = bill_each_or_all(tx, &run, &rates, &[user_id], orders).await?.pop();
    Ok((run, problem))
}

/// Completes a whole run in this process with this many transactions at a time; first completes a run that has not
/// ended. Cooperates with all workers on the same run.
pub async fn complete(pool: &PgPool, as_of: DateTime<Utc>, workers: usize, report: fn(Progress)) -> Result<i64, Error> {
    let as_of = second(as_of);
    loop {
        let mut tx = request_context::begin(pool).await?;
        let run = begin_in(&mut tx, as_of, None).await?;
        tx.commit().await?;
        try_join_all((0..workers).map(|_| work(pool, &run, report))).await?;
        while !finish(pool, &run).await? {
            // Other workers hold the last batches. If they die, the parts become available again.
            tokio::time::sleep(Duration::from_millis(100)).await;
            work(pool, &run, report).await?;
        }
        if run.as_of == as_of {
            return Ok(run.run_id);
        }
    }
}

/// Computes the totals of a run as of a time, customer by customer in transactions that are rolled back.
pub async fn dry_run(
    pool: &PgPool,
    as_of: DateTime<Utc>,
    customer: Option<i64>,
) -> Result<(Vec<Summary>, Vec<Problem>), Error> {
    let (mut summaries, mut problems): (BTreeMap<String, Summary>, Vec<Problem>) = (BTreeMap::new(), Vec::new());
    let mut part = match customer {
        Some(customer) => db::Claimed { part: 0, after_user_id: customer - 1, last_user_id: customer },
        None => db::Claimed { part: 0, after_user_id: 0, last_user_id: i64::MAX },
    };
    loop {
        let mut tx = request_context::begin(pool).await?;
        let run = db::insert_run(&mut tx, as_of, None, None, 0).await?;
        let users = db::next_customers(&mut tx, &run, &part, BATCH).await?;
        let Some(&last) = users.last() else { break };
        let rates = parties::rate_table(&mut tx).await?;
        problems.extend(bill_each_or_all(&mut tx, &run, &rates, &users, None).await?);
        for batch in summary(&mut tx, run.run_id).await? {
            match summaries.get_mut(&batch.currency) {
                Some(summary) => summary.add(&batch).map_err(anyhow::Error::new)?,
                None => _ = summaries.insert(batch.currency.clone(), batch),
            }
        }
        tx.rollback().await?;
        part.after_user_id = last;
    }
    Ok((summaries.into_values().collect(), problems))
}

/// Aborts a run that has not ended: its bills, which have no numbers, are undone, and the next run bills their items.
/// A run that was aborted before stays so; fails if the run has ended otherwise.
pub async fn abort(pool: &PgPool, run_id: i64, by: Option<i64>) -> Result<(), Error> {
    let mut tx = request_context::begin(pool).await?;
    // Waits for the batches at work; their workers find no part left then.
    if !db::abort(&mut tx, run_id, by).await? {
        return match db::run(&mut *tx, run_id).await? {
            Some(run) if run.aborted => Ok(()),
            Some(_) => {
                let detail = format!("bill run {run_id} has ended; its bills have their numbers");
                Err(Error::Conflict { code: Code::BillRunEnded, detail, field: None })
            }
            None => Err(Error::NotFound(format!("bill run {run_id} not found").into())),
        };
    }
    while db::undo_customers(&mut tx, run_id, BATCH).await? > 0 {}
    tx.commit().await?;
    tracing::info!(run = run_id, "bill run aborted");
    Ok(())
}

/// Returns the progress of a run.
pub async fn progress(pool: &PgPool, run_id: i64) -> Result<Progress, Error> {
    Ok(db::progress(pool, run_id).await?)
}

/// Returns the totals of a run, by currency.
pub async fn summary(tx: &mut PgConnection, run_id: i64) -> Result<Vec<Summary>, Error> {
    Ok(db::summary(tx, run_id).await?)
}

/// Returns the customers that a run could not bill.
pub async fn problems(pool: &PgPool, run_id: i64) -> Result<Vec<Problem>, Error> {
    Ok(db::problems(pool, run_id).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_any_range_cover_each_customer_once() {
        for (first, last) in [(1, 1), (1, 2), (5, 36), (5, 37), (1, 400_000), (7, 1_000_003)] {
            let spans = spans(first, last);
            assert!(spans.len() <= 32, "{first} {last}: {}", spans.len());
            assert_eq!((spans[0].0, spans[spans.len() - 1].1), (first - 1, last));
            assert!(spans.windows(2).all(|pair| pair[0].1 == pair[1].0));
            assert!(spans.iter().all(|(after, last)| after < last));
        }
    }
}
