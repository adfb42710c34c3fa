//! Bill runs, from start to end.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uncloud_wire::JobId;

use crate::{
    billing::{
        bill_run::{Progress, Run, Summary},
        problem::Problem,
    },
    code::Code,
    error::Error,
    money::{amount::Amount, language::Language},
    parties,
};

/// The customers with something to bill.
pub(in crate::billing) struct Waiting {
    pub customers: i32,
    pub first: i64,
    pub last: i64,
}

/// Takes the lock that is held while a run is started, so that two simultaneous starts yield one run.
pub(in crate::billing) async fn lock_beginning(tx: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('bill_run', 0))").execute(tx).await.map(drop)
}

/// Returns the run that has not ended.
pub(in crate::billing) async fn open_run(tx: &mut PgConnection) -> Result<Option<Run>, Error> {
    let run_id = sqlx::query_scalar!("select run_id from bill_run where finished_at is null").fetch_optional(&mut *tx);
    match run_id.await? {
        Some(run_id) => run(tx, run_id).await,
        None => Ok(None),
    }
}

/// Returns the last run for all customers as of this time that has ended, and was not aborted.
pub(in crate::billing) async fn ended_run(tx: &mut PgConnection, as_of: DateTime<Utc>) -> Result<Option<Run>, Error> {
    let run_id = sqlx::query_scalar!(
        r#"select max(run_id) from bill_run where as_of = $1 and user_id is null and aborted_at is null"#,
        as_of
    )
    .fetch_one(&mut *tx)
    .await?;
    match run_id {
        Some(run_id) => run(tx, run_id).await,
        None => Ok(None),
    }
}

/// Returns when a job was enqueued, and its requester.
pub(in crate::billing) async fn request_of(
    db: impl PgExecutor<'_>,
    job_id: JobId,
) -> sqlx::Result<(DateTime<Utc>, Option<i64>)> {
    let job = sqlx::query!(
        "select created_at, (select min(user_id) from job_requester where job_id = $1) as requester
         from job where job_id = $1",
        job_id
    )
    .fetch_one(db)
    .await?;
    Ok((job.created_at, job.requester))
}

pub(in crate::billing) async fn run(db: impl PgExecutor<'_>, run_id: i64) -> Result<Option<Run>, Error> {
    let row = sqlx::query!(
        r#"select run_id, as_of, customers, finished_at is not null as "ended!",
                  aborted_at is not null as "aborted!", country, time_zone,
                  vat_number is not null as "is_registered!", oss_eu, cash_rounding_cents,
                  language as "language: Language", payment_days
           from bill_run join seller using (seller_id) where run_id = $1"#,
        run_id
    )
    .fetch_optional(db)
    .await?;
    let run = row.map(|row| -> anyhow::Result<Run> {
        Ok(Run {
            run_id: row.run_id,
            as_of: row.as_of,
            customers: row.customers,
            seller: parties::vat_seller(&row.country, &row.time_zone, row.is_registered, row.oss_eu)?,
            cash_rounding: row.cash_rounding_cents.is_some(),
            language: row.language,
            payment_days: row.payment_days,
            ended: row.ended,
            aborted: row.aborted,
        })
    });
    Ok(run.transpose()?)
}

/// Returns the number and the id range of the customers with something to bill as of this time.
pub(in crate::billing) async fn waiting(tx: &mut PgConnection, as_of: DateTime<Utc>) -> sqlx::Result<Option<Waiting>> {
    let row = sqlx::query!(
        r#"select count(*)::integer as "customers!", min(user_id) as first, max(user_id) as last
           from (select user_id from order_cursor where not closed and due_at <= $1
                 union
                 select user_id from rate_correction where not billed
                 union
                 select user_id from bill_item where not billed and voided_at is null and service_at <= $1) as due"#,
        as_of
    )
    .fetch_one(tx)
    .await?;
    Ok(row.first.zip(row.last).map(|(first, last)| Waiting { customers: row.customers, first, last }))
}

/// Inserts a run. A run for one customer alone ends with its transaction. It keeps the seller's details as they are now.
pub(in crate::billing) async fn insert_run(
    tx: &mut PgConnection,
    as_of: DateTime<Utc>,
    user_id: Option<i64>,
    requested_by: Option<i64>,
    customers: i32,
) -> Result<Run, Error> {
    let inserted = sqlx::query!(
        r#"insert into bill_run (as_of, user_id, requested_by, seller_id, seller, customers, finished_at)
           select $1, $2, $3, seller_id, json_strip_nulls((to_jsonb(seller) - array['seller_id', 'is_placeholder', 'created_at',
                   'created_by', 'billing_day', 'bill_at_order'])::json),
               $4, case when $2::bigint is null and $4 > 0 then null else now() end
           from seller order by seller_id desc limit 1
           returning run_id, (select is_placeholder from seller where seller.seller_id = bill_run.seller_id) as "is_placeholder!""#,
        as_of,
        user_id,
        requested_by,
        customers
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = inserted.filter(|row| !row.is_placeholder) else {
        let detail = "the seller's details are missing, or placeholders; set them with PUT /v1/admin/seller";
        return Err(Error::Conflict { code: Code::NoSeller, detail: detail.to_owned(), field: None });
    };
    run(tx, row.run_id).await?.ok_or_else(|| anyhow::anyhow!("bill run {} not found", row.run_id).into())
}

/// Marks a run as ended; returns false if it was already.
pub(in crate::billing) async fn end(tx: &mut PgConnection, run: &Run) -> sqlx::Result<bool> {
    let ended =
        sqlx::query!("update bill_run set finished_at = now() where run_id = $1 and finished_at is null", run.run_id)
            .execute(tx)
            .await?;
    Ok(ended.rows_affected() == 1)
}

/// Assigns the numbers to a run's bills, with the civil date of `now` at the seller's place, or that of the last number
/// if it is later: only in the transaction that has ended the run, or inserted it as ended.
pub(in crate::billing) async fn number(tx: &mut PgConnection, run: &Run, now: DateTime<Utc>) -> sqlx::Result<()> {
    // Numbers continue where the last one stopped, so one transaction at a time assigns them.
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('bill_number', 0))").execute(&mut *tx).await?;
    // The bills of a large run are sorted in memory.
    sqlx::query("set local work_mem = '64MB'").execute(&mut *tx).await?;
    let today = now.with_timezone(&run.seller.zone()).date_naive();
    // No filter for bills without a number: either all bills of the run have one or none, and a filter would search
    // the table that grows meanwhile.
    sqlx::query!(
        "with last as (
             select greatest($2::date, (select issue_date from bill_number order by year desc, sequence desc limit 1)) as day)
         insert into bill_number (bill_id, year, sequence, issue_date)
         select bill_id, extract(year from day),
                (select coalesce(max(sequence), 0) from bill_number where year = extract(year from day))
                    + row_number() over (order by user_id, currency, territory, vat_category), day
         from bill cross join last where run_id = $1",
        run.run_id,
        today
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Returns the progress of a run.
pub(in crate::billing) async fn progress(db: impl PgExecutor<'_>, run_id: i64) -> sqlx::Result<Progress> {
    sqlx::query_as!(
        Progress,
        r#"select customers as "customers!", finished_at is not null as "ended!",
                  (select coalesce(sum(customers_done), 0) from bill_run_part where run_id = $1)::integer as "customers_done!",
                  not exists (select from bill_run_part where run_id = $1 and not done) as "parts_done!"
           from bill_run where run_id = $1"#,
        run_id
    )
    .fetch_one(db)
    .await
}

/// Returns the totals of a run, by currency.
pub(in crate::billing) async fn summary(db: impl PgExecutor<'_>, run_id: i64) -> sqlx::Result<Vec<Summary>> {
    sqlx::query_as!(
        Summary,
        r#"select currency, count(*) as "bills!", sum(net_cents)::bigint as "net!: Amount",
                  sum(tax_cents)::bigint as "tax!: Amount", sum(gross_cents)::bigint as "gross!: Amount"
           from bill where run_id = $1 group by currency order by currency"#,
        run_id
    )
    .fetch_all(db)
    .await
}

/// Returns the customers that a run could not bill.
pub(in crate::billing) async fn problems(db: impl PgExecutor<'_>, run_id: i64) -> sqlx::Result<Vec<Problem>> {
    let rows =
        sqlx::query!("select user_id, code, detail from bill_run_problem where run_id = $1 order by user_id", run_id)
            .fetch_all(db)
            .await?;
    Ok(rows
        .into_iter()
        .map(|row| Problem { user_id: row.user_id, code: Code::of_bill_problem(&row.code), detail: row.detail })
        .collect())
}
