//! Billing addresses over HTTP: the customer's own, and for staff any customer's.

use chrono::{DateTime, Utc};
use poem_openapi::{ApiResponse, Object, OpenApi, param::Path, types::ToJSON as _};
use serde_json::Value;

use crate::{
    database::Database,
    error::Error,
    http::{AuthenticatedUser, Body, Id, Json, Line, Representation, Staff, Tags, input},
    money::{country::Country, language::Language},
    parties::{
        address,
        party::{Address, AddressDetails, AddressVersion},
    },
};

input! {
    /// A customer's new billing address.
    pub struct BillingAddressUpdate {
        /// The name of the person.
        pub name: Line<200>,
        /// The name of the business; omitted by private persons.
        pub company: Option<Line<200>>,
        /// The street with the house number.
        pub street: Line<200>,
        /// The postal code; omitted where there is none.
        pub postal_code: Option<Line<20>>,
        /// The city.
        pub city: Line<200>,
        /// The country, which determines the VAT.
        pub country: Country,
        /// The VAT number of the business, in the form of its country, with or without spaces, dots and dashes. It
        /// takes effect once staff have verified it.
        pub vat_number: Option<Line<40>>,
        /// The house number, if it is not part of the street.
        pub house_number: Option<Line<16>>,
        /// The language of bills; the seller's if omitted.
        pub language: Option<Language>,
        /// The e-mail address to which bills are sent.
        pub email: Option<Line<254>>,
        /// The customer's reference on bills: for German authorities the Leitweg-ID.
        pub buyer_reference: Option<Line<100>>,
        /// The number of the customer's own order, which bills quote.
        pub order_reference: Option<Line<100>>,
        /// The address to which electronic bills are delivered, as scheme:identifier (EN 16931).
        pub electronic_address: Option<Line<100>>,
    }
}

input! {
    /// The verification that a VAT number is the customer's.
    pub struct BillingAddressVerificationCreate {
        /// The register that was consulted, and the result.
        pub evidence: Line<500>,
        /// The number that was looked up; the request is refused if the customer has a different number by now.
        pub vat_number: Option<Line<40>>,
    }
}

/// A customer's billing address.
#[derive(Debug, Object)]
#[oai(rename = "BillingAddress", skip_serializing_if_is_none)]
struct AddressBody {
    /// Identifies the version of the address; every change creates a new one.
    id: i64,
    /// The name of the person.
    name: String,
    /// The name of the business; absent for private persons.
    company: Option<String>,
    /// The street with the house number.
    street: String,
    /// The postal code; absent where there is none.
    postal_code: Option<String>,
    /// The city.
    city: String,
    country: Country,
    /// The VAT number of the business, without separators.
    vat_number: Option<String>,
    /// The house number, if it is not part of the street.
    house_number: Option<String>,
    /// The language of bills; absent: the seller's.
    language: Option<Language>,
    /// The e-mail address to which bills are sent.
    email: Option<String>,
    /// The customer's reference on bills.
    buyer_reference: Option<String>,
    /// The number of the customer's own order, which bills quote.
    order_reference: Option<String>,
    /// The address to which electronic bills are delivered, as scheme:identifier.
    electronic_address: Option<String>,
    /// The time since which the VAT number is verified; absent until staff have verified it.
    vat_verified_at: Option<DateTime<Utc>>,
    /// The member of staff who verified the number; returned to staff only.
    vat_verified_by: Option<i64>,
    /// The evidence of the verification; returned to staff only.
    vat_evidence: Option<String>,
    /// The time at which the address was set.
    created_at: DateTime<Utc>,
}

impl AddressBody {
    fn for_staff(version: AddressVersion) -> Self {
        let (at, by, evidence) = match version.verification {
            Some(known) => (Some(known.verified_at), known.verified_by, Some(known.evidence)),
            None => (None, None, None),
        };
        let Address { name, company, street, postal_code, city, country, vat_number, details } = version.address;
        let AddressDetails { language, house_number, email, buyer_reference, order_reference, electronic_address } =
            details;
        Self {
            id: version.address_id,
            name,
            company,
            street,
            postal_code: Some(postal_code).filter(|code| !code.is_empty()),
            city,
            country,
            vat_number,
            house_number,
            language,
            email,
            buyer_reference,
            order_reference,
            electronic_address,
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

impl Representation for AddressVersion {
    fn representation(self) -> Option<Value> {
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
            details: AddressDetails {
                language: body.language,
                house_number: body.house_number.map(|number| number.0),
                email: body.email.map(|email| email.0),
                buyer_reference: body.buyer_reference.map(|reference| reference.0),
                order_reference: body.order_reference.map(|reference| reference.0),
                electronic_address: body.electronic_address.map(|address| address.0),
            },
        }
    }
}

/// The operations on the customer's own address.
pub struct BillingAddressApi {
    /// The database pool.
    pub pool: Database,
}

#[OpenApi(prefix_path = "/v1/billing_address", tag = "Tags::BillingAddresses")]
impl BillingAddressApi {
    /// Read my billing address
    ///
    /// Returns the address of the next bill; 404 until it is set.
    #[oai(path = "/", method = "get", operation_id = "billing_address_read")]
    async fn read(&self, caller: AuthenticatedUser) -> Result<Json<AddressBody>, Error> {
        let none = || Error::NotFound("you have no billing address yet; set it with PUT /v1/billing_address".into());
        let version = address::find(&self.pool, caller.0.user_id).await?.ok_or_else(none)?;
        Ok(Json(AddressBody::for_customer(version)))
    }

    /// Set my billing address
    ///
    /// Sets the address of future bills; bills already issued stay unchanged.
    #[oai(path = "/", method = "put", operation_id = "billing_address_update")]
    async fn update(
        &self,
        caller: AuthenticatedUser,
        body: Body<BillingAddressUpdate>,
    ) -> Result<Json<AddressBody>, Error> {
        let user_id = caller.0.user_id;
        let version = address::write(&self.pool, user_id, user_id, body.0.into()).await?;
        Ok(Json(AddressBody::for_customer(version)))
    }
}

#[derive(ApiResponse)]
enum Verified {
    /// The number takes effect from now on.
    #[oai(status = 201)]
    Created(Json<AddressBody>),
}

fn not_found(user_id: i64) -> Error {
    Error::NotFound(format!("billing address of user {user_id} not found").into())
}

/// The operations of staff on customers' addresses.
pub struct AdminAddressApi {
    /// The database pool.
    pub pool: Database,
}

#[OpenApi(prefix_path = "/v1/admin/user", tag = "Tags::BillingAddresses")]
impl AdminAddressApi {
    /// Read a customer's billing address
    ///
    /// Returns the address of the next bill and the state of its VAT number; 404 until it is set.
    #[oai(path = "/:id/billing_address", method = "get", operation_id = "admin_billing_address_read")]
    async fn read(
        &self,
        _staff: Staff,
        /// Identifies the user.
        id: Path<Id>,
    ) -> Result<Json<AddressBody>, Error> {
        let version = address::find(&self.pool, id.0.0).await?.ok_or_else(|| not_found(id.0.0))?;
        Ok(Json(AddressBody::for_staff(version)))
    }

    /// Verify a customer's VAT number
    ///
    /// Records the member of staff who verified the number, the time and the evidence. Future bills then use reverse
    /// charge where the law requires it.
    #[oai(path = "/:id/billing_address/verification", method = "post", operation_id = "admin_billing_address_verify")]
    async fn verify(
        &self,
        staff: Staff,
        /// Identifies the user.
        id: Path<Id>,
        body: Body<BillingAddressVerificationCreate>,
    ) -> Result<Verified, Error> {
        let (number, evidence) = (body.0.vat_number.map(|number| number.0), body.0.evidence.0);
        let version = address::verify(&self.pool, id.0.0, staff.0.user_id, number.as_deref(), evidence).await?;
        Ok(Verified::Created(Json(AddressBody::for_staff(version.ok_or_else(|| not_found(id.0.0))?))))
    }
}
