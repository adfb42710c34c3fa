//! Queries for listing runs, and for exporting bills.

use chrono::NaiveDate;
use sqlx::{PgExecutor, types::Json};

use crate::{
    billing::{bill_run::RunView, content::Party, exported_bill::ExportedBill, problem::Problem},
    code::Code,
    http::{PageQuery, in_order},
    money::amount::Amount,
};

/// Returns a page of the runs.
pub(in crate::billing) async fn runs(db: impl PgExecutor<'_>, window: PageQuery) -> sqlx::Result<Vec<RunView>> {
    in_order!(
        window,
        db,
        query_as<RunView>,
        id "run_id",
        r#"select run_id, as_of, user_id, username as "username?", customers,
                  case when user_id is null
                       then (select coalesce(sum(customers_done), 0) from bill_run_part part where part.run_id = bill_run.run_id)
                       else customers end::integer as "customers_done!",
                  (select count(*) from bill_run_problem problem where problem.run_id = bill_run.run_id) as "problems!",
                  started_at, finished_at, aborted_at
           from bill_run left join users using (user_id)
           where true"#,
    )
}

/// Returns a page of the customers that a run could not bill, ordered by customer.
pub(in crate::billing) async fn problems_page(
    db: impl PgExecutor<'_>,
    run_id: i64,
    window: PageQuery,
) -> sqlx::Result<Vec<Problem>> {
    let rows = sqlx::query!(
        "select user_id, code, detail from bill_run_problem where run_id = $1 and user_id > $2 order by user_id limit $3",
        run_id,
        window.bound(),
        window.fetch()
    )
    .fetch_all(db)
    .await?;
    let problem = |user_id, code: &str, detail| Problem { user_id, code: Code::of_bill_problem(code), detail };
    Ok(rows.into_iter().map(|row| problem(row.user_id, &row.code, row.detail)).collect())
}

/// Returns a page of the numbered bills of a period, in the order of their numbers, without their VAT.
pub(in crate::billing) async fn exported(
    db: impl PgExecutor<'_>,
    (from, to): (NaiveDate, NaiveDate),
    (year, sequence): (i16, i32),
    limit: i64,
) -> sqlx::Result<Vec<ExportedBill>> {
    let rows = sqlx::query!(
        r#"select bill.bill_id, year, sequence, bill_number_text(year, sequence) as "number!", issue_date, bill.payment_days,
                  bill.user_id, username, content -> 'customer' as "customer!: Json<Party>", currency,
                  net_cents as "net: Amount", tax_cents as "tax: Amount", gross_cents as "gross: Amount",
                  rounding_cents as "rounding: Amount", amount_due_cents as "amount_due: Amount"
           from bill_number join bill using (bill_id) join users using (user_id)
           where issue_date >= $1 and issue_date < $2 and (year, sequence) > ($3, $4)
               and year between extract(year from $1::date) and extract(year from $2::date)
           order by year, sequence limit $5"#,
        from,
        to,
        year,
        sequence,
        limit
    )
    .fetch_all(db)
    .await?;
    let bills = rows.into_iter().map(|row| ExportedBill {
        bill_id: row.bill_id,
        place: (row.year, row.sequence),
        number: row.number,
        issue_date: row.issue_date,
        payment_days: row.payment_days,
        user_id: row.user_id,
        username: row.username,
        customer: row.customer.0,
        currency: row.currency,
        net: row.net,
        tax: row.tax,
        gross: row.gross,
        rounding: row.rounding,
        amount_due: row.amount_due,
        vat: Vec::new(),
    });
    Ok(bills.collect())
}
