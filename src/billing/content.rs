//! A bill's content besides its totals: frozen when the bill is made, and read as it is.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::money::{amount::Amount, language::Language};

/// The frozen content of a bill.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Content {
    /// The language of all texts.
    pub language: Language,
    /// The customer.
    pub customer: Party,
    /// The lines, in their order.
    pub lines: Vec<Line>,
    /// The text of each VAT group, in their order.
    pub vat: Vec<VatText>,
    /// The notes that the law requires.
    pub notes: Vec<String>,
}

/// The seller or the customer.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Party {
    /// The name of the person or of the seller.
    pub name: String,
    /// The company's name; set for businesses only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company: Option<String>,
    /// The street and house number.
    pub street: String,
    /// The postal code.
    pub postal_code: String,
    /// The city.
    pub city: String,
    /// The ISO 3166-1 alpha-2 code of the country.
    pub country: String,
    /// The VAT number as printed on bills.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vat_number: Option<String>,
    /// The house number, if it is not part of the street.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub house_number: Option<String>,
    /// The e-mail address to which bills are sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The reference that the customer wants to find on its bills (EN 16931, BT-10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buyer_reference: Option<String>,
    /// The number of the customer's own order (EN 16931, BT-13).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_reference: Option<String>,
    /// The address to which electronic bills are delivered (EN 16931, BT-49).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub electronic_address: Option<String>,
    /// The members that only documents need: of the seller its register, contact and accounts.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// The kind of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, sqlx::Type, poem_openapi::Enum)]
#[serde(rename_all = "snake_case")]
#[sqlx(rename_all = "snake_case", type_name = "text")]
#[oai(rename_all = "snake_case")]
pub enum RecordKind {
    /// A span of an order.
    Recurring,
    /// A proration credit: takes back the end of an earlier charge that an upgrade left unused.
    Credit,
    /// An order's one-time price.
    OneTime,
    /// An item that staff added.
    Manual,
    /// One half of a correction of a VAT rate: the credit at the old rate, or the charge at the new one.
    Correction,
}

/// A line of a bill, for people: one record, or several of the same kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The whole text.
    pub text: String,
    /// The part of the text that says what was ordered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The reason for the amount, on bills of versions that did not say it in the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The kind of the records.
    pub kind: RecordKind,
    /// The order; `None` for an item of staff.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<i64>,
    /// The product's name; `None` for negotiated terms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// The first second of the span.
    pub from: DateTime<Utc>,
    /// The first second after the span; equal to `from` for a line without a span.
    pub to: DateTime<Utc>,
    /// The number of units with six decimals, negative in the customer's favour. The net is the unit price times this,
    /// except for the rounding of sums.
    pub quantity: String,
    /// The unit, as in `30 days`; `None` for a line without a span.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The price of one unit; negative for items in the customer's favour on bills of earlier versions.
    pub unit_price: String,
    /// The amount before VAT.
    pub net: Amount,
    /// The number of the VAT group, from 1.
    pub vat_group: i16,
    /// The bill that this line corrects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrects: Option<Corrected>,
}

/// A bill that another one corrects (EN 16931, BT-25 and BT-26).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Corrected {
    /// The number.
    pub number: String,
    /// The issue date.
    pub issue_date: NaiveDate,
}

/// The text of a VAT group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VatText {
    /// The reason for the VAT category.
    pub reason: String,
    /// The code of the reason for which no VAT is charged (VATEX).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}
