//! The seller; staff only.

use chrono::{DateTime, Utc};
use poem_openapi::{Object, OpenApi, payload::Json, types::ToJSON as _};
use serde_json::Value;
use sqlx::PgPool;

use crate::{
    error::Error,
    http::{Body, Flag, Line, Shown, Staff, Tags, TimeZone, input},
    money::country::Country,
    parties::{
        party::{Seller, SellerVersion},
        seller,
    },
};

input! {
    /// The provider's own details, as they stand on bills to come.
    pub struct SellerUpdate {
        /// Of the business.
        pub name: Line<200>,
        /// With the number.
        pub street: Line<200>,
        /// Postal code.
        pub postal_code: Line<20>,
        /// Town.
        pub city: Line<200>,
        /// CH: no other country's law is known here.
        pub country: Country,
        /// As the tax office wrote it.
        pub vat_number: Option<Line<40>>,
        /// In which months and years begin.
        pub time_zone: TimeZone,
        /// Whether registered for the EU's one-stop shop: its customers then pay their own country's VAT. No when left out.
        pub oss_eu: Option<Flag>,
        /// Whether what is due is rounded to 0.05. No when left out.
        pub cash_rounding: Option<Flag>,
    }
}

/// The provider's own details.
#[derive(Debug, Object)]
#[oai(rename = "Seller", skip_serializing_if_is_none)]
struct SellerBody {
    /// Identifies them; changed ones are others.
    id: i64,
    /// Of the business.
    name: String,
    /// With the number.
    street: String,
    /// Postal code.
    postal_code: String,
    /// Town.
    city: String,
    country: Country,
    /// Without separators.
    vat_number: Option<String>,
    /// In which months and years begin.
    time_zone: TimeZone,
    /// Whether registered for the EU's one-stop shop.
    oss_eu: bool,
    /// Whether what is due is rounded to 0.05.
    cash_rounding: bool,
    /// When they were set.
    created_at: DateTime<Utc>,
}

impl From<SellerVersion> for SellerBody {
    fn from(version: SellerVersion) -> Self {
        let seller = version.seller;
        Self {
            id: version.seller_id,
            name: seller.name,
            street: seller.street,
            postal_code: seller.postal_code,
            city: seller.city,
            country: seller.country,
            vat_number: seller.vat_number,
            time_zone: TimeZone(seller.time_zone),
            oss_eu: seller.oss_eu,
            cash_rounding: seller.cash_rounding,
            created_at: version.created_at,
        }
    }
}

impl Shown for SellerVersion {
    fn shown(self) -> Option<Value> {
        SellerBody::from(self).to_json()
    }
}

impl From<SellerUpdate> for Seller {
    fn from(body: SellerUpdate) -> Self {
        Self {
            name: body.name.0,
            street: body.street.0,
            postal_code: body.postal_code.0,
            city: body.city.0,
            country: body.country,
            vat_number: body.vat_number.map(|number| number.0),
            time_zone: body.time_zone.0,
            oss_eu: body.oss_eu.is_some_and(|flag| flag.0),
            cash_rounding: body.cash_rounding.is_some_and(|flag| flag.0),
        }
    }
}

/// The operations.
pub struct SellerApi {
    /// Where the details are.
    pub pool: PgPool,
}

#[OpenApi(prefix_path = "/v1/admin/seller", tag = "Tags::BillingAddresses")]
impl SellerApi {
    /// Read the seller's details
    ///
    /// Who bills, as it stands on the next bills. 404 until it is set.
    #[oai(path = "/", method = "get", operation_id = "admin_seller_read")]
    async fn read(&self, _staff: Staff) -> Result<Json<SellerBody>, Error> {
        let none = || Error::NotFound("the seller's details are missing; set them with PUT /v1/admin/seller".into());
        Ok(Json(seller::find(&self.pool).await?.ok_or_else(none)?.into()))
    }

    /// Set the seller's details
    ///
    /// For bills to come; those that are issued stay as they are.
    #[oai(path = "/", method = "put", operation_id = "admin_seller_update")]
    async fn edit(&self, staff: Staff, body: Body<SellerUpdate>) -> Result<Json<SellerBody>, Error> {
        Ok(Json(seller::write(&self.pool, staff.0.user_id, body.0.into()).await?.into()))
    }
}
