//! Bills a batch of customers in one transaction.

use sqlx::{Connection as _, PgConnection};

use crate::{
    billing::{bill_run::Run, customer::bill_customers, db, problem::Problem},
    code::Code,
    error::{AsConstraint as _, Error},
    money::vat_rates::RateTable,
};

/// The number of customers in one transaction.
pub(super) const BATCH: i64 = 1000;

/// Bills the next batch of a part that no other worker holds; returns false if there is none.
pub(super) async fn bill_batch(connection: &mut PgConnection, run: &Run, rates: &RateTable) -> Result<bool, Error> {
    let mut tx = connection.begin().await?;
    // A crash may take the last batches with it, whole: they are billed again. The numbers are given in a transaction that
    // is safe on disk, and so are all bills before it then.
    db::commit_without_waiting(&mut tx).await?;
    let Some(part) = db::claim_part(&mut tx, run).await? else { return Ok(false) };
    let users = db::next_customers(&mut tx, run, &part, BATCH).await?;
    let done = i64::try_from(users.len()).is_ok_and(|users| users < BATCH);
    if let Some(&last) = users.last() {
        let problems = bill_each_or_all(&mut tx, run, rates, &users, None).await?;
        db::note_problems(&mut tx, run, &problems).await?;
        let customers = i32::try_from(users.len()).unwrap_or(i32::MAX);
        db::move_part(&mut tx, run, part.part, last, done, customers).await?;
    } else {
        db::move_part(&mut tx, run, part.part, part.last_user_id, true, 0).await?;
    }
    tx.commit().await?;
    Ok(true)
}

/// Bills all customers at once. If one of them can't be billed, or the database refuses it, bills them one by one,
/// so that the others are not held up.
pub(super) async fn bill_each_or_all(
    tx: &mut PgConnection,
    run: &Run,
    rates: &RateTable,
    users: &[i64],
    orders: Option<&[i64]>,
) -> Result<Vec<Problem>, Error> {
    let mut all = tx.begin().await?;
    match bill_customers(&mut all, run, rates, users, orders).await {
        Ok(problems) => {
            all.commit().await?;
            return Ok(problems);
        }
        Err(Error::Unavailable(reason)) => return Err(Error::Unavailable(reason)),
        Err(_) => all.rollback().await?,
    }
    let mut problems = Vec::new();
    for user in users {
        let mut one = tx.begin().await?;
        match bill_customers(&mut one, run, rates, &[*user], orders).await {
            Ok(problem) => {
                one.commit().await?;
                problems.extend(problem);
            }
            Err(Error::Unavailable(reason)) => return Err(Error::Unavailable(reason)),
            Err(error) => {
                one.rollback().await?;
                problems.push(fault(*user, error));
            }
        }
    }
    Ok(problems)
}

/// Returns the problem of a customer whose rows are not what the program would write.
fn fault(user: i64, error: Error) -> Problem {
    let (code, what) = match error.constraint() {
        Some(constraint) => (Code::InconsistentRecords, format!("the database refused the bill ({constraint})")),
        None => (Code::Internal, "the bill could not be generated; the cause is in the log".to_owned()),
    };
    tracing::error!(user, error = uncloud_wire::logging::one_line(&error.into()), "a customer is not billed");
    Problem::new(user, code, format!("{what}; the customer's orders, address or bills were changed manually"))
}
