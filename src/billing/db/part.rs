//! The parts of runs.

use sqlx::PgConnection;

use crate::billing::{bill_run::Run, problem::Problem};

/// A part of a run that this transaction has claimed.
pub(in crate::billing) struct Claimed {
    pub part: i16,
    pub after_user_id: i64,
    pub last_user_id: i64,
}

pub(in crate::billing) async fn insert_parts(
    tx: &mut PgConnection,
    run: &Run,
    spans: &[(i64, i64)],
) -> sqlx::Result<()> {
    let (after, last): (Vec<i64>, Vec<i64>) = spans.iter().copied().unzip();
    sqlx::query!(
        "insert into bill_run_part (run_id, part, after_user_id, last_user_id)
         select $1, part, after_user_id, last_user_id
         from unnest($2::bigint[], $3::bigint[]) with ordinality as span (after_user_id, last_user_id, part)",
        run.run_id,
        &after,
        &last
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Lets this transaction's commit return before it is on disk.
pub(in crate::billing) async fn commit_without_waiting(tx: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("set local synchronous_commit = off").execute(tx).await.map(drop)
}

/// Claims a part that is not done and that no other worker holds; `None`: there is none.
pub(in crate::billing) async fn claim_part(tx: &mut PgConnection, run: &Run) -> sqlx::Result<Option<Claimed>> {
    sqlx::query_as!(
        Claimed,
        "select part, after_user_id, last_user_id from bill_run_part
         where run_id = $1 and not done order by part limit 1 for update skip locked",
        run.run_id
    )
    .fetch_optional(tx)
    .await
}

/// Returns the part's next customers, by id.
pub(in crate::billing) async fn next_customers(
    tx: &mut PgConnection,
    run: &Run,
    part: &Claimed,
    limit: i64,
) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar!(
        r#"(select user_id as "user_id!" from order_cursor
             where not closed and due_at <= $1 and user_id > $2 and user_id <= $3
             group by user_id order by user_id limit $4)
           union
           (select user_id from rate_correction where not billed and user_id > $2 and user_id <= $3
             group by user_id order by user_id limit $4)
           union
           (select user_id from bill_item
             where not billed and voided_at is null and service_at <= $1 and user_id > $2 and user_id <= $3
             group by user_id order by user_id limit $4)
           order by 1 limit $4"#,
        run.as_of,
        part.after_user_id,
        part.last_user_id,
        limit
    )
    .fetch_all(tx)
    .await
}

pub(in crate::billing) async fn move_part(
    tx: &mut PgConnection,
    run: &Run,
    part: i16,
    after_user_id: i64,
    done: bool,
    customers: i32,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update bill_run_part set after_user_id = $3, done = $4, customers_done = customers_done + $5
         where run_id = $1 and part = $2",
        run.run_id,
        part,
        after_user_id,
        done,
        customers
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Records the customers that could not be billed. A part that is processed again after a crash reports the same ones
/// again.
pub(in crate::billing) async fn note_problems(
    tx: &mut PgConnection,
    run: &Run,
    problems: &[Problem],
) -> sqlx::Result<()> {
    if problems.is_empty() {
        return Ok(());
    }
    let users: Vec<i64> = problems.iter().map(|problem| problem.user_id).collect();
    let codes: Vec<String> = problems.iter().map(|problem| problem.code.name().to_owned()).collect();
    let details: Vec<String> = problems.iter().map(|problem| problem.detail.clone()).collect();
    sqlx::query!(
        "insert into bill_run_problem (run_id, user_id, code, detail)
         select $1, * from unnest($2::bigint[], $3::text[], $4::text[])
         on conflict (run_id, user_id) do update set code = excluded.code, detail = excluded.detail",
        run.run_id,
        &users,
        &codes,
        &details
    )
    .execute(tx)
    .await
    .map(drop)
}
