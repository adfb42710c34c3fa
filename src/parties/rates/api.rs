//! VAT rates over HTTP; staff only.

use chrono::NaiveDate;
use poem_openapi::{Object, OpenApi, param::Query, payload::Json};
use sqlx::PgPool;

use super::{db, sourced_rate::SourcedRate};
use crate::{
    error::Error,
    http::{Staff, Tags},
    money::{amount::Rate, country::Country},
};

/// A standard rate of VAT and when it holds.
#[derive(Debug, Object)]
#[oai(rename = "VatRate", skip_serializing_if_is_none)]
struct RateBody {
    territory: Country,
    /// The first day, in the territory's time.
    from: NaiveDate,
    /// The first day without it; absent while it holds.
    to: Option<NaiveDate>,
    rate: Rate,
    /// Where the figure comes from.
    source: String,
}

impl From<SourcedRate> for RateBody {
    fn from(SourcedRate { row, source }: SourcedRate) -> Self {
        Self { territory: row.territory, from: row.from, to: row.to, rate: row.rate, source }
    }
}

/// VAT rates.
#[derive(Debug, Object)]
#[oai(rename = "VatRateList")]
struct RateList {
    /// By territory and date.
    items: Vec<RateBody>,
}

/// The operations.
pub struct VatRateApi {
    /// Where the rates are.
    pub pool: PgPool,
}

#[OpenApi(prefix_path = "/v1/admin/vatrate", tag = "Tags::BillingAddresses")]
impl VatRateApi {
    /// List VAT rates
    ///
    /// `uncloud import-vat-rates` changes them.
    #[oai(path = "/", method = "get", operation_id = "admin_vatrate_list")]
    async fn list(
        &self,
        _staff: Staff,
        /// Of this country only.
        territory: Query<Option<Country>>,
    ) -> Result<Json<RateList>, Error> {
        let rates = db::rates(&self.pool, territory.0.as_ref().map(Country::as_str)).await?;
        Ok(Json(RateList { items: rates.into_iter().map(Into::into).collect() }))
    }
}
