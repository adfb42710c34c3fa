//! Bill runs over HTTP; staff only.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem_openapi::types::ToJSON as _;
use poem_openapi::{
    ApiResponse, Enum, Object, OpenApi,
    param::{Path, Query},
};
use serde_json::Value;

use super::{admin_bill::BillCreate, body::ProblemBody};
use crate::{
    billing::{
        bill_run::{RunView, Summary},
        db, jobs, run,
    },
    database::Database,
    error::Error,
    http::{Body, Cursor, Id, Json, PageQuery, Representation, Sort, Staff, Tags},
    money::amount::Amount,
    queue::{JobRef, JobState, Notifier},
};

/// The status of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "BillRunStatus", rename_all = "snake_case")]
enum RunStatus {
    /// Running: the bills do not have their numbers yet.
    Running,
    /// Finished: the bills have their numbers.
    Finished,
    /// Aborted: the bills were undone, and the next run bills their items.
    Aborted,
}

/// A bill run: one pass of bill generation.
#[derive(Debug, Object)]
#[oai(rename = "BillRunSummary", skip_serializing_if_is_none)]
struct RunBody {
    /// Identifies the run.
    id: i64,
    /// The status of the run.
    status: RunStatus,
    /// The time up to which everything due is billed.
    as_of: DateTime<Utc>,
    /// The only customer that the run bills; absent: all customers.
    user_id: Option<i64>,
    /// The customer's name.
    username: Option<String>,
    /// The number of customers with something due when the run started.
    customers: i32,
    /// The number of customers that the run has processed.
    customers_done: i32,
    /// The number of customers that the run could not bill.
    problems: i64,
    /// The time at which the run started.
    started_at: DateTime<Utc>,
    /// The time at which the bills got their numbers, or at which the run was aborted; absent while it is in progress.
    finished_at: Option<DateTime<Utc>>,
}

impl From<RunView> for RunBody {
    fn from(run: RunView) -> Self {
        Self {
            id: run.run_id,
            status: match (run.aborted_at, run.finished_at) {
                (Some(_), _) => RunStatus::Aborted,
                (None, Some(_)) => RunStatus::Finished,
                (None, None) => RunStatus::Running,
            },
            as_of: run.as_of,
            user_id: run.user_id,
            username: run.username,
            customers: run.customers,
            customers_done: run.customers_done,
            problems: run.problems,
            started_at: run.started_at,
            finished_at: run.finished_at,
        }
    }
}

/// A page of runs.
#[derive(Debug, Object)]
#[oai(rename = "BillRunList", skip_serializing_if_is_none)]
struct RunList {
    /// The runs, in the requested order.
    items: Vec<RunBody>,
    /// The cursor of the next page; absent on the last.
    next: Option<String>,
}

/// A run and its totals.
#[derive(Debug, Object)]
#[oai(rename = "BillRun")]
struct RunDetail {
    #[oai(flatten)]
    run: RunBody,
    /// The totals of the run's bills, by currency.
    totals: Vec<RunTotals>,
}

/// The totals of a run in one currency.
#[derive(Debug, Object)]
#[oai(rename = "BillRunTotals")]
struct RunTotals {
    /// The currency of the totals.
    currency: String,
    /// The number of bills.
    bills: i64,
    /// The sum of the bills' nets.
    net: Amount,
    /// The sum of the bills' VAT.
    tax: Amount,
    /// The sum of net and VAT.
    gross: Amount,
}

impl From<Summary> for RunTotals {
    fn from(summary: Summary) -> Self {
        let Summary { currency, bills, net, tax, gross } = summary;
        Self { currency, bills, net, tax, gross }
    }
}

impl Representation for Summary {
    fn representation(self) -> Option<Value> {
        RunTotals::from(self).to_json()
    }
}

/// A page of customers that a run could not bill.
#[derive(Debug, Object)]
#[oai(rename = "BillProblemList", skip_serializing_if_is_none)]
struct ProblemList {
    /// The customers with their problems, ordered by customer.
    items: Vec<ProblemBody>,
    /// The cursor of the next page; absent on the last.
    next: Option<String>,
}

/// A bill run that was requested.
#[derive(Debug, Object)]
#[oai(rename = "BillRunQueued")]
struct RunQueued {
    /// The job that starts the run; its result names the run.
    job: JobRef,
}

#[derive(ApiResponse)]
enum RunStarted {
    /// A worker for the queue `billing` starts the run
    #[oai(status = 202)]
    Started(
        Json<RunQueued>,
        /// The URL of the job.
        #[oai(header = "Location")]
        String,
    ),
}

/// The operations.
pub struct BillRunApi {
    /// The database pool.
    pub pool: Database,
    /// The notifier that wakes the relay.
    pub wake: Arc<Notifier>,
}

fn not_found(id: i64) -> Error {
    Error::NotFound(format!("bill run {id} not found").into())
}

#[OpenApi(prefix_path = "/v1/admin/bill_run", tag = "Tags::Bills")]
impl BillRunApi {
    /// Bill all customers
    ///
    /// Starts a bill run. Safe at the same time as the scheduled run: nothing is billed twice.
    #[oai(path = "/", method = "post", operation_id = "admin_bill_run_create")]
    async fn create(&self, staff: Staff, body: Body<BillCreate>) -> Result<RunStarted, Error> {
        let as_of = body.0.as_of.map(|as_of| as_of.0);
        let id = jobs::request(&self.pool, as_of, staff.0.user_id).await?;
        self.wake.queued();
        let queued = RunQueued { job: JobRef { id, state: JobState::Queued } };
        Ok(RunStarted::Started(Json(queued), format!("/v1/job/{id}")))
    }

    /// List bill runs
    ///
    /// Lists the bill runs, newest first unless `sort` requests another order, in pages.
    #[oai(path = "/", method = "get", operation_id = "admin_bill_run_list")]
    async fn list(
        &self,
        _staff: Staff,
        /// Maximum number of items on the page.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")), default = "crate::http::page_size")]
        limit: Query<u8>,
        /// The cursor: `next` of the previous page.
        cursor: Query<Option<Cursor>>,
        /// The sort order.
        #[oai(default = "crate::http::newest_first")]
        sort: Query<Sort>,
    ) -> Result<Json<RunList>, Error> {
        let window = PageQuery::new(limit.0, cursor.0, sort.0)?;
        let (runs, next) = window.page(db::runs(&self.pool, window).await?, |run| run.run_id);
        Ok(Json(RunList { items: runs.into_iter().map(Into::into).collect(), next }))
    }

    /// Read a bill run
    ///
    /// Returns the run's progress, its totals in each currency, and the number of customers that could not be billed.
    #[oai(path = "/:id", method = "get", operation_id = "admin_bill_run_read")]
    async fn read(
        &self,
        _staff: Staff,
        /// Identifies the run.
        id: Path<Id>,
    ) -> Result<Json<RunDetail>, Error> {
        let run = db::runs(&self.pool, PageQuery::only(id.0.0)).await?.pop().ok_or_else(|| not_found(id.0.0))?;
        let totals = db::summary(&self.pool, id.0.0).await?;
        Ok(Json(RunDetail { run: run.into(), totals: totals.into_iter().map(Into::into).collect() }))
    }

    /// Abort a bill run
    ///
    /// Undoes the bills of a run that has not ended: they have no numbers yet. The next run bills their items.
    #[oai(path = "/:id/abort", method = "post", operation_id = "admin_bill_run_abort")]
    async fn abort(
        &self,
        staff: Staff,
        /// Identifies the run.
        id: Path<Id>,
    ) -> Result<Json<RunDetail>, Error> {
        run::abort(&self.pool, id.0.0, Some(staff.0.user_id)).await?;
        self.read(staff, id).await
    }

    /// List the customers that a run could not bill
    ///
    /// Lists the customers with their problems. The next run bills everything that is due for them.
    #[oai(path = "/:id/problem", method = "get", operation_id = "admin_bill_run_problem_list")]
    async fn problems(
        &self,
        _staff: Staff,
        /// Identifies the run.
        id: Path<Id>,
        /// Maximum number of items on the page.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")), default = "crate::http::page_size")]
        limit: Query<u8>,
        /// The cursor: `next` of the previous page.
        cursor: Query<Option<Cursor>>,
    ) -> Result<Json<ProblemList>, Error> {
        let window = PageQuery::new(limit.0, cursor.0, Sort::IdAscending)?;
        let problems = db::problems_page(&self.pool, id.0.0, window).await?;
        let (problems, next) = window.page(problems, |problem| problem.user_id);
        Ok(Json(ProblemList { items: problems.into_iter().map(Into::into).collect(), next }))
    }
}
