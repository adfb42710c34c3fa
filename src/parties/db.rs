//! Addresses and the seller's details in PostgreSQL: rows are only inserted, except that a replaced row is marked.

use sqlx::{PgConnection, types::Json};

use super::party::{
    Account, Address, AddressDetails, AddressVersion, Seller, SellerDetails, SellerTerms, SellerVersion, Verification,
};
use crate::{error::Error, money::language::Language};

/// The only step of cash rounding, in cents.
const FIVE_CENTS: i32 = 5;

/// Locks the customer, so that versions are written one after the other, and not during a bill.
pub(super) async fn lock_user(tx: &mut PgConnection, user_id: i64) -> sqlx::Result<()> {
    sqlx::query!("select user_id from users where user_id = $1 for no key update", user_id)
        .fetch_optional(tx)
        .await
        .map(drop)
}

pub(super) async fn address(tx: &mut PgConnection, user_id: i64) -> Result<Option<AddressVersion>, Error> {
    let row = sqlx::query!(
        r#"select address_id, name, company, street, postal_code, city, country, vat_number, vat_verified_at,
                vat_verified_by, vat_evidence, language as "language: Language", house_number, email, buyer_reference,
                order_reference, electronic_address, created_at
         from billing_address where user_id = $1 and replaced_at is null"#,
        user_id
    )
    .fetch_optional(tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let verification = row.vat_verified_at.zip(row.vat_evidence).map(|(verified_at, evidence)| Verification {
        verified_at,
        verified_by: row.vat_verified_by,
        evidence,
    });
    let address = Address {
        name: row.name,
        company: row.company,
        street: row.street,
        postal_code: row.postal_code,
        city: row.city,
        country: row.country.parse().map_err(anyhow::Error::new)?,
        vat_number: row.vat_number,
        details: AddressDetails {
            language: row.language,
            house_number: row.house_number,
            email: row.email,
            buyer_reference: row.buyer_reference,
            order_reference: row.order_reference,
            electronic_address: row.electronic_address,
        },
    };
    Ok(Some(AddressVersion { address_id: row.address_id, address, verification, created_at: row.created_at }))
}

/// Inserts a version, which is the current one from now on.
pub(super) async fn replace_address(
    tx: &mut PgConnection,
    user_id: i64,
    by: i64,
    address: Address,
    verification: Option<Verification>,
) -> Result<AddressVersion, Error> {
    // Not the transaction's start: it may have waited for the customer's lock, and versions follow each other in time.
    let now = crate::clock::now(&mut *tx).await?;
    sqlx::query!(
        "update billing_address set replaced_at = $2 where user_id = $1 and replaced_at is null",
        user_id,
        now
    )
    .execute(&mut *tx)
    .await?;
    let row = sqlx::query!(
        "insert into billing_address (user_id, name, company, street, postal_code, city, country, vat_number,
             vat_verified_at, vat_verified_by, vat_evidence, created_by, language, house_number, email, buyer_reference,
             order_reference, electronic_address, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
         returning address_id, created_at",
        user_id,
        address.name,
        address.company,
        address.street,
        address.postal_code,
        address.city,
        address.country.as_str(),
        address.vat_number,
        verification.as_ref().map(|verification| verification.verified_at),
        verification.as_ref().and_then(|verification| verification.verified_by),
        verification.as_ref().map(|verification| verification.evidence.as_str()),
        by,
        address.details.language as Option<Language>,
        address.details.house_number,
        address.details.email,
        address.details.buyer_reference,
        address.details.order_reference,
        address.details.electronic_address,
        now,
    )
    .fetch_one(tx)
    .await?;
    Ok(AddressVersion { address_id: row.address_id, address, verification, created_at: row.created_at })
}

/// Locks the table: one writer at a time, so that the newest row is based on the previous one.
pub(super) async fn lock_sellers(tx: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("lock table seller in share row exclusive mode").execute(tx).await.map(drop)
}

pub(super) async fn seller(tx: &mut PgConnection) -> Result<Option<SellerVersion>, Error> {
    let row = sqlx::query!(
        r#"select seller_id, name, street, postal_code, city, country, vat_number, time_zone, oss_eu, cash_rounding_cents,
                language as "language: Language", payment_days, billing_day, bill_at_order, house_number,
                registration_number, oss_number, electronic_address, contact_name, contact_phone, contact_email, footer,
                accounts as "accounts: Json<Vec<Account>>", is_placeholder, created_at
         from seller order by seller_id desc limit 1"#
    )
    .fetch_optional(tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let seller = Seller {
        name: row.name,
        street: row.street,
        postal_code: row.postal_code,
        city: row.city,
        country: row.country.parse().map_err(anyhow::Error::new)?,
        vat_number: row.vat_number,
        time_zone: row.time_zone.parse().map_err(|error| anyhow::anyhow!("{}: {error}", row.time_zone))?,
        oss_eu: row.oss_eu,
        cash_rounding: row.cash_rounding_cents == Some(FIVE_CENTS),
        terms: SellerTerms {
            language: row.language,
            payment_days: row.payment_days,
            billing_day: row.billing_day,
            bill_at_order: row.bill_at_order,
        },
        details: SellerDetails {
            house_number: row.house_number,
            registration_number: row.registration_number,
            oss_number: row.oss_number,
            electronic_address: row.electronic_address,
            contact_name: row.contact_name,
            contact_phone: row.contact_phone,
            contact_email: row.contact_email,
            footer: row.footer,
            accounts: row.accounts.0,
        },
        is_placeholder: row.is_placeholder,
    };
    Ok(Some(SellerVersion { seller_id: row.seller_id, seller, created_at: row.created_at }))
}

/// Inserts a version, which is the current one from now on.
pub(super) async fn insert_seller(
    tx: &mut PgConnection,
    by: Option<i64>,
    seller: Seller,
) -> Result<SellerVersion, Error> {
    let row = sqlx::query!(
        "insert into seller (name, street, postal_code, city, country, vat_number, time_zone, oss_eu, cash_rounding_cents,
             is_placeholder, created_by, language, payment_days, billing_day, bill_at_order, house_number, registration_number,
             oss_number, electronic_address, contact_name, contact_phone, contact_email, footer, accounts)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)
         returning seller_id, created_at",
        seller.name,
        seller.street,
        seller.postal_code,
        seller.city,
        seller.country.as_str(),
        seller.vat_number,
        seller.time_zone.name(),
        seller.oss_eu,
        seller.cash_rounding.then_some(FIVE_CENTS),
        seller.is_placeholder,
        by,
        seller.terms.language as Language,
        seller.terms.payment_days,
        seller.terms.billing_day,
        seller.terms.bill_at_order,
        seller.details.house_number,
        seller.details.registration_number,
        seller.details.oss_number,
        seller.details.electronic_address,
        seller.details.contact_name,
        seller.details.contact_phone,
        seller.details.contact_email,
        seller.details.footer,
        Json(&seller.details.accounts) as _,
    )
    .fetch_one(tx)
    .await?;
    Ok(SellerVersion { seller_id: row.seller_id, seller, created_at: row.created_at })
}
