//! Billing addresses: everybody's own, and for staff anybody's.

use chrono::{DateTime, Utc};
use poem_openapi::{ApiResponse, Object, OpenApi, param::Path, payload::Json, types::ToJSON as _};
use serde_json::Value;
use sqlx::PgPool;

use crate::{
    error::Error,
    http::{Body, Id, Line, Shown, SignedIn, Staff, Tags, input},
    money::country::Country,
    parties::{
        address,
        party::{Address, AddressVersion},
    },
};

input! {
    /// Where one's bills go.
    pub struct BillingAddressUpdate {
        /// Of the person.
        pub name: Line<200>,
        /// Of the business; left out by private persons.
        pub company: Option<Line<200>>,
        /// With the number.
        pub street: Line<200>,
        /// Left out where there is none.
        pub postal_code: Option<Line<20>>,
        /// Town.
        pub city: Line<200>,
        /// Decides the VAT.
        pub country: Country,
        /// Of the business, in the form of its country, with or without spaces, dots and dashes. It counts as soon as
        /// staff have verified it.
        pub vat_number: Option<Line<40>>,
    }
}

input! {
    /// That a customer's VAT number is the customer's.
    pub struct BillingAddressVerificationCreate {
        /// Where it was looked up and what was found.
        pub evidence: Line<500>,
        /// The number that was looked up: refused if the customer has another one by now.
        pub vat_number: Option<Line<40>>,
    }
}

/// Where a customer's bills go.
#[derive(Debug, Object)]
#[oai(rename = "BillingAddress", skip_serializing_if_is_none)]
struct AddressBody {
    /// Identifies it; a changed address is another one.
    id: i64,
    /// Of the person.
    name: String,
    /// Of the business; absent for private persons.
    company: Option<String>,
    /// With the number.
    street: String,
    /// Absent where there is none.
    postal_code: Option<String>,
    /// Town.
    city: String,
    country: Country,
    /// Of the business, without separators.
    vat_number: Option<String>,
    /// Since when the number counts; absent until staff have verified it.
    vat_verified_at: Option<DateTime<Utc>>,
    /// Who of staff has verified it; shown to staff only.
    vat_verified_by: Option<i64>,
    /// By what; shown to staff only.
    vat_evidence: Option<String>,
    /// When it was set.
    created_at: DateTime<Utc>,
}

impl AddressBody {
    fn for_staff(version: AddressVersion) -> Self {
        let (at, by, evidence) = match version.verification {
            Some(known) => (Some(known.verified_at), known.verified_by, Some(known.evidence)),
            None => (None, None, None),
        };
        let Address { name, company, street, postal_code, city, country, vat_number } = version.address;
        Self {
            id: version.address_id,
            name,
            company,
            street,
            postal_code: Some(postal_code).filter(|code| !code.is_empty()),
            city,
            country,
            vat_number,
            vat_verified_at: at,
            vat_verified_by: by,
            vat_evidence: evidence,
            created_at: version.created_at,
        }
    }

    fn for_customer(version: AddressVersion) -> Self {
        Self { vat_verified_by: None, vat_evidence: None, ..Self::for_staff(version) }
    }
}

impl Shown for AddressVersion {
    fn shown(self) -> Option<Value> {
        AddressBody::for_customer(self).to_json()
    }
}

impl From<BillingAddressUpdate> for Address {
    fn from(body: BillingAddressUpdate) -> Self {
        Self {
            name: body.name.0,
            company: body.company.map(|company| company.0),
            street: body.street.0,
            postal_code: body.postal_code.map_or_else(String::new, |code| code.0),
            city: body.city.0,
            country: body.country,
            vat_number: body.vat_number.map(|number| number.0),
        }
    }
}

/// The operations on one's own.
pub struct BillingAddressApi {
    /// Where the addresses are.
    pub pool: PgPool,
}

#[OpenApi(prefix_path = "/v1/billing_address", tag = "Tags::BillingAddresses")]
impl BillingAddressApi {
    /// Read my billing address
    ///
    /// The one that the next bill goes to. 404 until it is set.
    #[oai(path = "/", method = "get", operation_id = "billing_address_read")]
    async fn read(&self, caller: SignedIn) -> Result<Json<AddressBody>, Error> {
        let none = || Error::NotFound("you have no billing address yet; set it with PUT /v1/billing_address".into());
        let version = address::find(&self.pool, caller.0.user_id).await?.ok_or_else(none)?;
        Ok(Json(AddressBody::for_customer(version)))
    }

    /// Set my billing address
    ///
    /// For bills to come; those that are issued stay as they are.
    #[oai(path = "/", method = "put", operation_id = "billing_address_update")]
    async fn edit(&self, caller: SignedIn, body: Body<BillingAddressUpdate>) -> Result<Json<AddressBody>, Error> {
        let user_id = caller.0.user_id;
        let version = address::write(&self.pool, user_id, user_id, body.0.into()).await?;
        Ok(Json(AddressBody::for_customer(version)))
    }
}

#[derive(ApiResponse)]
enum Verified {
    /// From now on the number counts.
    #[oai(status = 201)]
    Created(Json<AddressBody>),
}

fn not_found(user_id: i64) -> Error {
    Error::NotFound(format!("there is no billing address of a user {user_id}").into())
}

/// The operations on customers'.
pub struct AdminAddressApi {
    /// Where the addresses are.
    pub pool: PgPool,
}

#[OpenApi(prefix_path = "/v1/admin/user", tag = "Tags::BillingAddresses")]
impl AdminAddressApi {
    /// Read a customer's billing address
    ///
    /// The one that the next bill goes to, and whether its VAT number is verified. 404 until it is set.
    #[oai(path = "/:id/billing_address", method = "get", operation_id = "admin_billing_address_read")]
    async fn read(
        &self,
        _staff: Staff,
        /// Identifies the customer.
        id: Path<Id>,
    ) -> Result<Json<AddressBody>, Error> {
        let version = address::find(&self.pool, id.0.0).await?.ok_or_else(|| not_found(id.0.0))?;
        Ok(Json(AddressBody::for_staff(version)))
    }

    /// Verify a customer's VAT number
    ///
    /// Notes who found it to be the customer's, when, and by what. Bills to come then leave the VAT to the customer where
    /// the law says so.
    #[oai(path = "/:id/billing_address/verification", method = "post", operation_id = "admin_billing_address_verify")]
    async fn verify(
        &self,
        staff: Staff,
        /// Identifies the customer.
        id: Path<Id>,
        body: Body<BillingAddressVerificationCreate>,
    ) -> Result<Verified, Error> {
        let (number, evidence) = (body.0.vat_number.map(|number| number.0), body.0.evidence.0);
        let version = address::verify(&self.pool, id.0.0, staff.0.user_id, number.as_deref(), evidence).await?;
        Ok(Verified::Created(Json(AddressBody::for_staff(version.ok_or_else(|| not_found(id.0.0))?))))
    }
}
