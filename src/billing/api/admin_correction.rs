//! Corrections of VAT rates over HTTP; staff only.

use poem_openapi::{ApiResponse, Object, OpenApi, types::ToJSON as _};
use serde_json::Value;

use crate::{
    billing::correction::{self, Affected},
    database::Database,
    error::Error,
    http::{Json, Representation, Staff, Tags},
    money::{
        amount::{Amount, Currency, Rate},
        territory::Territory,
    },
};

/// The records that were billed at one VAT rate and should bear another, in one currency.
#[derive(Debug, Object)]
#[oai(rename = "RateCorrection")]
struct CorrectionBody {
    /// The territory of the rates.
    territory: Territory,
    /// The rate at which it was billed.
    old_rate: Rate,
    /// The rate that applied.
    new_rate: Rate,
    /// The currency of the amount.
    currency: Currency,
    /// The number of bills.
    bills: i64,
    /// The number of customers.
    customers: i64,
    /// The amount before VAT.
    net: Amount,
}

/// The records that were billed at other VAT rates than those of their time.
#[derive(Debug, Object)]
#[oai(rename = "RateCorrectionList")]
struct CorrectionList {
    /// The amounts by territory, rates and currency; empty if all rates are right.
    items: Vec<CorrectionBody>,
}

impl From<Affected> for CorrectionBody {
    fn from(affected: Affected) -> Self {
        let Affected { territory, old_rate, new_rate, currency, bills, customers, net } = affected;
        Self { territory, old_rate, new_rate, currency, bills, customers, net }
    }
}

impl Representation for Affected {
    fn representation(self) -> Option<Value> {
        CorrectionBody::from(self).to_json()
    }
}

impl From<Vec<Affected>> for CorrectionList {
    fn from(affected: Vec<Affected>) -> Self {
        Self { items: affected.into_iter().map(Into::into).collect() }
    }
}

#[derive(ApiResponse)]
enum Ordered {
    /// The customers' next bills contain the corrections
    #[oai(status = 201)]
    Ordered(Json<CorrectionList>),
}

/// The operations.
pub struct RateCorrectionApi {
    /// The database pool.
    pub pool: Database,
}

#[OpenApi(prefix_path = "/v1/admin/rate_correction", tag = "Tags::Bills")]
impl RateCorrectionApi {
    /// List what was billed at other VAT rates
    ///
    /// Lists what issued bills have charged at another rate than the one that is known now for its time, because that
    /// rate was imported late. Corrections that were ordered are left out.
    #[oai(path = "/", method = "get", operation_id = "admin_rate_correction_list")]
    async fn list(&self, _staff: Staff) -> Result<Json<CorrectionList>, Error> {
        Ok(Json(correction::affected(&self.pool).await?.into()))
    }

    /// Correct VAT rates on the next bills
    ///
    /// Orders the corrections of everything in the list: each customer's next bill credits it at the old and charges it
    /// at the new rate, and names the bills that it corrects. Returns what was ordered.
    #[oai(path = "/", method = "post", operation_id = "admin_rate_correction_create")]
    async fn create(&self, staff: Staff) -> Result<Ordered, Error> {
        Ok(Ordered::Ordered(Json(correction::order(&self.pool, Some(staff.0.user_id)).await?.into())))
    }
}
