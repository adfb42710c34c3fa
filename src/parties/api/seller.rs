//! The seller's details over HTTP; staff only.

use chrono::{DateTime, Utc};
use poem_openapi::{Object, OpenApi, types::ToJSON as _};
use serde_json::Value;

use crate::{
    database::Database,
    error::Error,
    http::{Body, Flag, Items, Json, Line, Number, Representation, Staff, Tags, TimeZone, input},
    money::{
        amount::Currency,
        country::Country,
        iban::{Bic, Iban, QrIban},
        language::Language,
    },
    parties::{
        party::{Account, Seller, SellerDetails, SellerTerms, SellerVersion},
        seller,
    },
};

input! {
    /// The new details of the seller, for future bills.
    pub struct SellerUpdate {
        /// The name of the business.
        pub name: Line<200>,
        /// The street, with the house number unless that is given apart.
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
        /// The language of bills to customers who have chosen none; English if omitted.
        pub language: Option<Language>,
        /// The days in which a bill is to be paid; 30 if omitted. Staff may agree on others with a customer.
        pub payment_days: Option<Number<0, 365>>,
        /// The day of the month up to which runs without a time bill all customers; if omitted, up to their own time.
        pub billing_day: Option<Number<1, 28>>,
        /// Bills an order in advance when it is placed, not with the next run. False if omitted.
        pub bill_at_order: Option<Flag>,
        /// The house number, if it is not part of the street.
        pub house_number: Option<Line<16>>,
        /// The number in the commercial register, in Switzerland the UID.
        pub registration_number: Option<Line<40>>,
        /// The number of the EU's one-stop shop.
        pub oss_number: Option<Line<40>>,
        /// The address that receives electronic messages about bills, as scheme:identifier (EN 16931).
        pub electronic_address: Option<Line<100>>,
        /// The person or the department that answers questions.
        pub contact_name: Option<Line<100>>,
        /// The telephone number for questions.
        pub contact_phone: Option<Line<40>>,
        /// The e-mail address for questions.
        pub contact_email: Option<Line<254>>,
        /// A line at the foot of documents.
        pub footer: Option<Line<200>>,
        /// The accounts to which customers pay, one for each currency.
        pub accounts: Items<SellerAccountUpdate>,
    }
}

input! {
    /// An account to which customers pay.
    pub struct SellerAccountUpdate {
        /// The currency of the account.
        pub currency: Currency,
        /// The IBAN.
        pub iban: Iban,
        /// The QR-IBAN, for Swiss QR-bills with a QR reference.
        pub qr_iban: Option<QrIban>,
        /// The BIC of the bank.
        pub bic: Option<Bic>,
    }
}

/// An account to which customers pay.
#[derive(Debug, Object)]
#[oai(rename = "SellerAccount", skip_serializing_if_is_none)]
struct AccountBody {
    /// The currency of the account.
    currency: Currency,
    /// The IBAN without blanks.
    iban: Iban,
    /// The QR-IBAN without blanks.
    qr_iban: Option<QrIban>,
    /// The BIC of the bank.
    bic: Option<Bic>,
}

/// The seller's details.
#[derive(Debug, Object)]
#[oai(rename = "Seller", skip_serializing_if_is_none)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
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
    /// The language of bills to customers who have chosen none.
    language: Language,
    /// The days in which a bill is to be paid.
    payment_days: i16,
    /// The day of the month up to which runs without a time bill all customers; absent: up to their own time.
    billing_day: Option<i16>,
    /// Bills an order in advance when it is placed.
    bill_at_order: bool,
    /// The house number, if it is not part of the street.
    house_number: Option<String>,
    /// The number in the commercial register.
    registration_number: Option<String>,
    /// The number of the EU's one-stop shop.
    oss_number: Option<String>,
    /// The address that receives electronic messages about bills, as scheme:identifier.
    electronic_address: Option<String>,
    /// The person or the department that answers questions.
    contact_name: Option<String>,
    /// The telephone number for questions.
    contact_phone: Option<String>,
    /// The e-mail address for questions.
    contact_email: Option<String>,
    /// A line at the foot of documents.
    footer: Option<String>,
    /// The accounts to which customers pay.
    accounts: Vec<AccountBody>,
    /// The details are placeholders, in whose name nothing is billed; setting the details replaces them.
    is_placeholder: bool,
    /// The time at which the details were set.
    created_at: DateTime<Utc>,
}

fn account(Account { currency, iban, qr_iban, bic }: Account) -> AccountBody {
    AccountBody { currency, iban, qr_iban, bic }
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
            language: seller.terms.language,
            payment_days: seller.terms.payment_days,
            billing_day: seller.terms.billing_day,
            bill_at_order: seller.terms.bill_at_order,
            house_number: seller.details.house_number,
            registration_number: seller.details.registration_number,
            oss_number: seller.details.oss_number,
            electronic_address: seller.details.electronic_address,
            contact_name: seller.details.contact_name,
            contact_phone: seller.details.contact_phone,
            contact_email: seller.details.contact_email,
            footer: seller.details.footer,
            accounts: seller.details.accounts.into_iter().map(account).collect(),
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

fn text<const MAX: usize>(line: Option<Line<MAX>>) -> Option<String> {
    line.map(|line| line.0)
}

fn of_body(SellerAccountUpdate { currency, iban, qr_iban, bic }: SellerAccountUpdate) -> Account {
    Account { currency, iban, qr_iban, bic }
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
            terms: SellerTerms {
                language: body.language.unwrap_or_default(),
                payment_days: body.payment_days.map_or(30, Number::get),
                billing_day: body.billing_day.map(Number::get),
                bill_at_order: body.bill_at_order.is_some_and(|flag| flag.0),
            },
            details: SellerDetails {
                house_number: text(body.house_number),
                registration_number: text(body.registration_number),
                oss_number: text(body.oss_number),
                electronic_address: text(body.electronic_address),
                contact_name: text(body.contact_name),
                contact_phone: text(body.contact_phone),
                contact_email: text(body.contact_email),
                footer: text(body.footer),
                accounts: body.accounts.0.into_iter().map(of_body).collect(),
            },
            is_placeholder: false,
        }
    }
}

/// The operations.
pub struct SellerApi {
    /// The database pool.
    pub pool: Database,
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
