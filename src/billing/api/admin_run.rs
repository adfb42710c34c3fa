//! Bill runs over HTTP; staff only.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem_openapi::types::ToJSON as _;
use poem_openapi::{
    ApiResponse, Enum, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use serde_json::Value;
use sqlx::PgPool;

use super::{admin_bill::BillCreate, body::ProblemBody};
use crate::{
    billing::{
        bill_run::{RunView, Summary},
        db, jobs,
    },
    error::Error,
    http::{Body, Cursor, Id, Shown, Sort, Staff, Tags, Window},
    money::amount::Amount,
    queue::{JobRef, JobState, Wake},
};

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "BillRunStatus", rename_all = "snake_case")]
enum RunStatus {
    /// Its bills have no numbers yet.
    Running,
    /// Its bills have their numbers.
    Finished,
}

/// A pass of bill generation.
#[derive(Debug, Object)]
#[oai(rename = "BillRunSummary", skip_serializing_if_is_none)]
struct RunBody {
    /// Identifies the run.
    id: i64,
    /// Whether it is over.
    status: RunStatus,
    /// What was due then is billed, and it is the bills' date.
    as_of: DateTime<Utc>,
    /// Only this customer; absent: everybody.
    user_id: Option<i64>,
    /// The customer's name.
    username: Option<String>,
    /// Customers with something due when it began.
    customers: i32,
    /// Customers that it looked at.
    customers_done: i32,
    /// Customers that it could not bill.
    problems: i64,
    /// When it began.
    started_at: DateTime<Utc>,
    /// When its bills had their numbers; absent while it is under way.
    finished_at: Option<DateTime<Utc>>,
}

impl From<RunView> for RunBody {
    fn from(run: RunView) -> Self {
        Self {
            id: run.run_id,
            status: if run.finished_at.is_some() { RunStatus::Finished } else { RunStatus::Running },
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
    /// In the order asked for.
    items: Vec<RunBody>,
    /// Cursor of the next page; absent on the last.
    next: Option<String>,
}

/// A run and what it came to.
#[derive(Debug, Object)]
#[oai(rename = "BillRun")]
struct RunDetail {
    #[oai(flatten)]
    run: RunBody,
    /// What its bills come to, by currency.
    totals: Vec<RunTotals>,
}

/// What a run came to in one currency.
#[derive(Debug, Object)]
#[oai(rename = "BillRunTotals")]
struct RunTotals {
    /// Which.
    currency: String,
    /// How many bills.
    bills: i64,
    /// The sum of their nets.
    net: Amount,
    /// The sum of their VAT.
    tax: Amount,
    /// The sum of both.
    gross: Amount,
}

impl From<Summary> for RunTotals {
    fn from(summary: Summary) -> Self {
        let Summary { currency, bills, net, tax, gross } = summary;
        Self { currency, bills, net, tax, gross }
    }
}

impl Shown for Summary {
    fn shown(self) -> Option<Value> {
        RunTotals::from(self).to_json()
    }
}

/// A page of customers that a run could not bill.
#[derive(Debug, Object)]
#[oai(rename = "BillProblemList", skip_serializing_if_is_none)]
struct ProblemList {
    /// By customer.
    items: Vec<ProblemBody>,
    /// Cursor of the next page; absent on the last.
    next: Option<String>,
}

/// A run that was asked for.
#[derive(Debug, Object)]
#[oai(rename = "BillRunQueued")]
struct RunAsked {
    /// Begins it; its result names the run.
    job: JobRef,
}

#[derive(ApiResponse)]
enum RunStarted {
    /// A worker for the queue `billing` begins it
    #[oai(status = 202)]
    Started(
        Json<RunAsked>,
        /// Where the job is.
        #[oai(header = "Location")]
        String,
    ),
}

/// The operations.
pub struct BillRunApi {
    /// Where the runs are.
    pub pool: PgPool,
    /// Wakes the relay.
    pub wake: Arc<Wake>,
}

fn not_found(id: i64) -> Error {
    Error::NotFound(format!("there is no bill run {id}").into())
}

#[OpenApi(prefix_path = "/v1/admin/bill_run", tag = "Tags::Bills")]
impl BillRunApi {
    /// Bill everybody
    ///
    /// Safe beside the schedule's run: what one has billed the other finds done.
    #[oai(path = "/", method = "post", operation_id = "admin_bill_run_create")]
    async fn create(&self, staff: Staff, body: Body<BillCreate>) -> Result<RunStarted, Error> {
        let as_of = body.0.as_of.map(|as_of| as_of.0);
        let id = jobs::request(&self.pool, as_of, staff.0.user_id).await?;
        self.wake.queued();
        let asked = RunAsked { job: JobRef { id, state: JobState::Queued } };
        Ok(RunStarted::Started(Json(asked), format!("/v1/job/{id}")))
    }

    /// List bill runs
    ///
    /// The newest first unless `sort` says otherwise, in pages.
    #[oai(path = "/", method = "get", operation_id = "admin_bill_run_list")]
    async fn list(
        &self,
        _staff: Staff,
        /// Runs on a page.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")), default = "crate::http::page_size")]
        limit: Query<u8>,
        /// The page's begin: `next` of the page before.
        cursor: Query<Option<Cursor>>,
        /// In which order.
        #[oai(default = "crate::http::newest_first")]
        sort: Query<Sort>,
    ) -> Result<Json<RunList>, Error> {
        let window = Window::new(limit.0, cursor.0, sort.0)?;
        let (runs, next) = window.page(db::runs(&self.pool, None, window).await?, |run| run.run_id);
        Ok(Json(RunList { items: runs.into_iter().map(Into::into).collect(), next }))
    }

    /// Read a bill run
    ///
    /// How far it is, what it has billed in each currency, and how many customers could not be billed.
    #[oai(path = "/:id", method = "get", operation_id = "admin_bill_run_read")]
    async fn read(
        &self,
        _staff: Staff,
        /// Identifies the run.
        id: Path<Id>,
    ) -> Result<Json<RunDetail>, Error> {
        let run = db::runs(&self.pool, Some(id.0.0), Window::all()).await?.pop().ok_or_else(|| not_found(id.0.0))?;
        let totals = db::summary(&self.pool, id.0.0).await?;
        Ok(Json(RunDetail { run: run.into(), totals: totals.into_iter().map(Into::into).collect() }))
    }

    /// List whom a run could not bill
    ///
    /// What is due of them comes with the next run, complete.
    #[oai(path = "/:id/problem", method = "get", operation_id = "admin_bill_run_problem_list")]
    async fn problems(
        &self,
        _staff: Staff,
        /// Identifies the run.
        id: Path<Id>,
        /// Customers on a page.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")), default = "crate::http::page_size")]
        limit: Query<u8>,
        /// The page's begin: `next` of the page before.
        cursor: Query<Option<Cursor>>,
    ) -> Result<Json<ProblemList>, Error> {
        let window = Window::new(limit.0, cursor.0, Sort::IdAscending)?;
        let problems = db::problems_page(&self.pool, id.0.0, window).await?;
        let (problems, next) = window.page(problems, |problem| problem.user_id);
        Ok(Json(ProblemList { items: problems.into_iter().map(Into::into).collect(), next }))
    }
}
