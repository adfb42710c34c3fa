//! Bills as the API and the command line show them. The fields of a record suffice to recompute its amounts.

use chrono::{DateTime, Utc};

use crate::money::{
    amount::{Amount, Currency, Rate, round},
    vat::{self, Category},
};

/// A bill without its lines.
#[derive(Debug, Clone)]
pub struct Bill {
    /// Identifies the bill.
    pub bill_id: i64,
    /// The bill's number, gapless in each year; `None` until its run has ended.
    pub number: Option<String>,
    /// The customer.
    pub user_id: i64,
    /// The customer's name.
    pub username: String,
    /// The bill's date; no calculation depends on it.
    pub issued_at: DateTime<Utc>,
    /// The currency of all amounts, an ISO 4217 code.
    pub currency: String,
    /// `invoice`, or `credit_note` if it is negative.
    pub document: String,
    /// The total before VAT.
    pub net: Amount,
    /// The total VAT.
    pub tax: Amount,
    /// The total with VAT.
    pub gross: Amount,
    /// The amount that rounding to the smallest coin adds.
    pub rounding: Amount,
    /// The amount to be paid; negative: to be paid back.
    pub amount_due: Amount,
}

/// The kind of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, sqlx::Type, poem_openapi::Enum)]
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
}

/// A record: one line of a bill.
#[derive(Debug, Clone)]
pub struct BillRecord {
    /// The bill that the record is on.
    pub bill_id: i64,
    /// The kind of the record.
    pub kind: RecordKind,
    /// The order that the record charges for; `None` for an item of staff.
    pub order_id: Option<i64>,
    /// The product's name, if the order is for one of the catalogue.
    pub product: Option<String>,
    /// The order's description, or the text that staff entered.
    pub description: String,
    /// The first second of the span.
    pub from: DateTime<Utc>,
    /// The first second after the span.
    pub to: DateTime<Utc>,
    /// The length of a whole period in seconds; `None` for one-time charges.
    pub period_seconds: Option<i32>,
    /// The seconds of the period that had elapsed before the record's span starts.
    pub elapsed_seconds: i64,
    /// The time at which the order ends.
    pub order_ends_at: Option<DateTime<Utc>>,
    /// The order that replaced this one.
    pub replaced_by: Option<i64>,
    /// The price of one period, or the one-time price.
    pub unit_price: Amount,
    /// The amount before VAT.
    pub net: Amount,
    /// The VAT category.
    pub category: Category,
    /// The VAT rate.
    pub rate: Rate,
}

impl BillRecord {
    /// Returns the length of the span in seconds.
    pub fn secs(&self) -> i64 {
        self.to.timestamp() - self.from.timestamp()
    }

    /// Returns the number of periods with six decimals. The net is the unit price times this, except for the rounding
    /// of sums.
    pub fn quantity(&self) -> String {
        let Some(period_seconds) = self.period_seconds else { return "1.000000".to_owned() };
        let millionths = round(i128::from(self.secs()) * 1_000_000, period_seconds.into());
        format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000)
    }

    /// Returns a readable reason for the record and for its net.
    pub fn reason(&self) -> String {
        match self.kind {
            RecordKind::Recurring => self.charged() + &self.cut(),
            RecordKind::Credit => format!("paid before and not used: {}{}", self.charged(), self.order_end()),
            RecordKind::OneTime => "once".to_owned(),
            RecordKind::Manual => "added manually".to_owned(),
        }
    }

    /// Describes how much of a period, or how many periods, the record charges for.
    fn charged(&self) -> String {
        let (secs, period) = (self.secs(), i64::from(self.period_seconds.unwrap_or(1)));
        match (secs / period, secs % period) {
            (1, 0) if self.elapsed_seconds == 0 => "a whole period".to_owned(),
            (periods, 0) if self.elapsed_seconds == 0 => format!("{periods} whole periods"),
            _ if self.elapsed_seconds == 0 => format!("{secs} s of a period of {period} s"),
            _ => format!("{secs} s of a period of {period} s, after {} s of it", self.elapsed_seconds),
        }
    }

    /// Explains why the record ends within a period.
    fn cut(&self) -> String {
        let period = i64::from(self.period_seconds.unwrap_or(1));
        match (self.elapsed_seconds + self.secs()) % period {
            0 => String::new(),
            _ if self.order_ends_at == Some(self.to) => self.order_end(),
            _ => "; then the VAT rate changes".to_owned(),
        }
    }

    fn order_end(&self) -> String {
        self.replaced_by.map_or_else(|| "; the order ended".to_owned(), |new| format!("; order {new} replaced it"))
    }
}

/// The VAT group of a bill: all records of one category and rate.
#[derive(Debug, Clone)]
pub struct BillVat {
    /// The bill that the group is on.
    pub bill_id: i64,
    /// The VAT category.
    pub category: Category,
    /// The VAT rate.
    pub rate: Rate,
    /// The sum of the records' nets.
    pub taxable_amount: Amount,
    /// The VAT on the taxable amount, rounded once.
    pub tax_amount: Amount,
}

/// The seller or the customer, as recorded when the bill was created.
#[derive(Debug, Clone)]
pub struct Party {
    /// The name of the person or of the seller.
    pub name: String,
    /// The company's name; set for businesses only.
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
    pub vat_number: Option<String>,
}

/// The seller and the customer of a bill.
#[derive(Debug, Clone)]
pub struct Parties {
    /// The seller.
    pub seller: Party,
    /// The customer.
    pub customer: Party,
}

impl Parties {
    /// Returns a readable reason for the VAT category.
    pub fn vat_reason(&self, category: Category, rate: Rate) -> String {
        vat::reason(category, &self.customer.country, rate)
    }
}

/// A bill with its records.
#[derive(Debug, Clone)]
pub struct WholeBill {
    /// The bill itself.
    pub bill: Bill,
    /// The seller and the customer.
    pub parties: Parties,
    /// The records, ordered by order and time.
    pub records: Vec<BillRecord>,
    /// The VAT groups, ordered by category and rate.
    pub vat: Vec<BillVat>,
}

/// A filter for bills; fields that are set must all match.
#[derive(Debug, Clone, Default)]
pub struct BillFilter {
    /// The bill's id.
    pub bill_id: Option<i64>,
    /// The bill's number.
    pub number: Option<String>,
    /// The customer's id.
    pub user_id: Option<i64>,
    /// The customer's name.
    pub username: Option<String>,
    /// The run's id.
    pub run_id: Option<i64>,
    /// The currency.
    pub currency: Option<Currency>,
    /// The earliest time of issue.
    pub from: Option<DateTime<Utc>>,
    /// The time that a bill must have been issued before.
    pub to: Option<DateTime<Utc>>,
    /// Includes drafts, which have no number yet.
    pub drafts: bool,
}
