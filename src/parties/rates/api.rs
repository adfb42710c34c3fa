//! VAT rates over HTTP; staff only.

use chrono::NaiveDate;
use poem_openapi::{Object, OpenApi, param::Query};

use super::{db, sourced_rate::SourcedRate};
use crate::{
    database::Database,
    error::Error,
    http::{Json, Staff, Tags},
    money::{amount::Rate, territory::Territory},
};

/// A standard rate of VAT and the dates on which it applies.
#[derive(Debug, Object)]
#[oai(rename = "VatRate", skip_serializing_if_is_none)]
struct RateBody {
    territory: Territory,
    /// The first day of the rate, in the territory's time zone.
    from: NaiveDate,
    /// The first day on which the rate no longer applies; absent while it does.
    to: Option<NaiveDate>,
    rate: Rate,
    /// The source of the figure.
    source: String,
}

impl From<SourcedRate> for RateBody {
    fn from(SourcedRate { row, source }: SourcedRate) -> Self {
        Self { territory: row.territory, from: row.from, to: row.to, rate: row.rate, source }
    }
}

/// The VAT rates.
#[derive(Debug, Object)]
#[oai(rename = "VatRateList")]
struct RateList {
    /// The rates, ordered by territory and date.
    items: Vec<RateBody>,
}

/// The operations.
pub struct VatRateApi {
    /// The database pool.
    pub pool: Database,
}

#[OpenApi(prefix_path = "/v1/admin/vat_rate", tag = "Tags::BillingAddresses")]
impl VatRateApi {
    /// List VAT rates
    ///
    /// Lists the VAT rates; `uncloud import-vat-rates` changes them.
    #[oai(path = "/", method = "get", operation_id = "admin_vat_rate_list")]
    async fn list(
        &self,
        _staff: Staff,
        /// Only rates of this territory.
        territory: Query<Option<Territory>>,
    ) -> Result<Json<RateList>, Error> {
        let rates = db::rates(&self.pool, territory.0.as_ref().map(Territory::as_str)).await?;
        Ok(Json(RateList { items: rates.into_iter().map(Into::into).collect() }))
    }
}
