//! The API's operations on recurring periods, for staff only.

use poem_openapi::{ApiResponse, Object, OpenApi};

use crate::{
    catalog::db,
    code::Code,
    database::Database,
    error::Error,
    http::{Body, Json, Staff, Tags, input},
    money::period::RecurringPeriod,
};

input! {
    /// A recurring period to be added.
    pub struct RecurringPeriodCreate {
        /// The length of the period.
        pub recurring_period: RecurringPeriod,
    }
}

/// A period for which products can have prices.
#[derive(Debug, Object)]
#[oai(rename = "RecurringPeriod")]
struct PeriodBody {
    /// Identifies the recurring period.
    id: i64,
    /// The length of the period.
    recurring_period: RecurringPeriod,
}

/// All recurring periods.
#[derive(Debug, Object)]
#[oai(rename = "RecurringPeriodList")]
struct PeriodList {
    /// The recurring periods, by id.
    items: Vec<PeriodBody>,
}

#[derive(ApiResponse)]
enum PeriodCreated {
    /// The recurring period is added.
    #[oai(status = 201)]
    Created(Json<PeriodBody>),
}

/// The operations on recurring periods.
pub struct PeriodApi {
    /// The database with the catalogue.
    pub pool: Database,
}

#[OpenApi(prefix_path = "/v1/admin/recurring_period", tag = "Tags::Products")]
impl PeriodApi {
    /// Add a recurring period
    ///
    /// Allows products to have prices for it.
    #[oai(path = "/", method = "post", operation_id = "admin_recurring_period_create")]
    async fn create(&self, _staff: Staff, body: Body<RecurringPeriodCreate>) -> Result<PeriodCreated, Error> {
        let period = body.0.recurring_period;
        let Some(id) = db::insert_period(&self.pool, period).await? else {
            let detail = format!("the recurring period {period} already exists");
            return Err(Error::conflict(Code::PeriodExists, "recurring_period", detail));
        };
        Ok(PeriodCreated::Created(Json(PeriodBody { id, recurring_period: period })))
    }

    /// List recurring periods
    ///
    /// Lists the periods for which products can have prices, the oldest first.
    #[oai(path = "/", method = "get", operation_id = "admin_recurring_period_list")]
    async fn list(&self, _staff: Staff) -> Result<Json<PeriodList>, Error> {
        let periods = db::periods(&self.pool).await?.into_iter();
        Ok(Json(PeriodList {
            items: periods.map(|(id, recurring_period)| PeriodBody { id, recurring_period }).collect(),
        }))
    }
}
