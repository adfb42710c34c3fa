//! The seller's details over HTTP; staff only.

use chrono::{DateTime, Utc};
use poem_openapi::{Object, OpenApi, payload::Json, types::ToJSON as _};
use serde_json::Value;
use sqlx::PgPool;

use crate::{
    error::Error,
    http::{Body, Flag, Line, Representation, Staff, Tags, TimeZone, input},
    money::country::Country,
    parties::{
        party::{Seller, SellerVersion},
        seller,
    },
};

input! {
    /// The new details of the seller, for future bills.
    pub struct SellerUpdate {
        /// The name of the business.
        pub name: Line<200>,
        /// The street with the house number.
        pub street: Line<200>,
        /// The postal code.
        pub postal_code: Line<20>,
        /// The city.
        pub city: Line<200>,
        /// The country: only CH, because the rules of other countries are not implemented.
        pub country: Country,
        /// The VAT number, as the tax office wrote it. Without one, bills charge no VAT.
        pub vat_number: Option<Line<40>>,
        /// The time zone in which months and years start.
        pub time_zone: TimeZone,
        /// Registered for the EU's one-stop shop: customers in the EU then pay their own country's VAT. False if
        /// omitted.
        pub oss_eu: Option<Flag>,
        /// Rounds amounts due to 0.05. False if omitted.
        pub cash_rounding: Option<Flag>,
    }
}

/// The seller's details.
#[derive(Debug, Object)]
#[oai(rename = "Seller", skip_serializing_if_is_none)]
struct SellerBody {
    /// Identifies the version of the details; every change creates a new one.
    id: i64,
    /// The name of the business.
    name: String,
    /// The street with the house number.
    street: String,
    /// The postal code.
    postal_code: String,
    /// The city.
    city: String,
    country: Country,
    /// The VAT number without separators.
    vat_number: Option<String>,
    /// The time zone in which months and years start.
    time_zone: TimeZone,
    /// Registered for the EU's one-stop shop.
    oss_eu: bool,
    /// Rounds amounts due to 0.05.
    cash_rounding: bool,
    /// The details are placeholders, in whose name nothing is billed; setting the details replaces them.
    is_placeholder: bool,
    /// The time at which the details were set.
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
            is_placeholder: seller.is_placeholder,
            created_at: version.created_at,
        }
    }
}

impl Representation for SellerVersion {
    fn representation(self) -> Option<Value> {
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
            is_placeholder: false,
        }
    }
}

/// The operations.
pub struct SellerApi {
    /// The database pool.
    pub pool: PgPool,
}

#[OpenApi(prefix_path = "/v1/admin/seller", tag = "Tags::BillingAddresses")]
impl SellerApi {
    /// Read the seller's details
    ///
    /// Returns the seller's details for the next bills; 404 until they are set.
    #[oai(path = "/", method = "get", operation_id = "admin_seller_read")]
    async fn read(&self, _staff: Staff) -> Result<Json<SellerBody>, Error> {
        let none = || Error::NotFound("the seller's details are missing; set them with PUT /v1/admin/seller".into());
        Ok(Json(seller::find(&self.pool).await?.ok_or_else(none)?.into()))
    }

    /// Set the seller's details
    ///
    /// Sets the details of future bills; bills already issued stay unchanged.
    #[oai(path = "/", method = "put", operation_id = "admin_seller_update")]
    async fn update(&self, staff: Staff, body: Body<SellerUpdate>) -> Result<Json<SellerBody>, Error> {
        Ok(Json(seller::write(&self.pool, staff.0.user_id, body.0.into()).await?.into()))
    }
}
