//! Bills as people and programs read them. What is shown of a record suffices to compute it again by hand.

use chrono::{DateTime, Utc};

use crate::money::{
    amount::{Amount, Currency, Rate, round},
    vat::{self, Category},
};

/// A bill without its lines.
#[derive(Debug, Clone)]
pub struct Bill {
    /// Identifies it.
    pub bill_id: i64,
    /// Gapless in each year; none: its run has not ended.
    pub number: Option<String>,
    /// Whose.
    pub user_id: i64,
    /// The customer's name.
    pub username: String,
    /// Its date; part of no calculation.
    pub issued_at: DateTime<Utc>,
    /// What it is in.
    pub currency: String,
    /// `invoice`, or `credit_note` if it is negative.
    pub document: String,
    /// Before VAT.
    pub net: Amount,
    /// VAT.
    pub tax: Amount,
    /// With VAT.
    pub gross: Amount,
    /// What rounding to coins adds.
    pub rounding: Amount,
    /// To be paid.
    pub amount_due: Amount,
}

/// What a record is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, sqlx::Type, poem_openapi::Enum)]
#[serde(rename_all = "snake_case")]
#[sqlx(rename_all = "snake_case", type_name = "text")]
#[oai(rename_all = "snake_case")]
pub enum RecordKind {
    /// A span of an order.
    Recurring,
    /// Takes back the end of an earlier charge that an upgrade left unused.
    Credit,
    /// An order's one-time price.
    OneTime,
    /// A line that staff added.
    Manual,
}

/// A line of a bill.
#[derive(Debug, Clone)]
pub struct BillRecord {
    /// On which bill.
    pub bill_id: i64,
    /// What for.
    pub kind: RecordKind,
    /// For which order.
    pub order_id: Option<i64>,
    /// Its product's name, if it is one of the catalogue.
    pub product: Option<String>,
    /// What was ordered, or what staff wrote.
    pub description: String,
    /// Its first second.
    pub from: DateTime<Utc>,
    /// The first second after it.
    pub to: DateTime<Utc>,
    /// Seconds of a whole period; none for what is charged once.
    pub period_seconds: Option<i32>,
    /// Seconds of the period that had passed before the record begins.
    pub elapsed_seconds: i64,
    /// When the order ends.
    pub order_ends_at: Option<DateTime<Utc>>,
    /// The order that replaced this one.
    pub replaced_by: Option<i64>,
    /// For one period, or once.
    pub unit_price: Amount,
    /// Before VAT.
    pub net: Amount,
    /// How it is taxed.
    pub category: Category,
    /// At which rate.
    pub rate: Rate,
}

impl BillRecord {
    /// Its length in seconds.
    pub fn secs(&self) -> i64 {
        self.to.timestamp() - self.from.timestamp()
    }

    /// How many periods it is for, with six decimals; the net is the unit price times this, but for the rounding of sums.
    pub fn quantity(&self) -> String {
        let Some(period_seconds) = self.period_seconds else { return "1.000000".to_owned() };
        let millionths = round(i128::from(self.secs()) * 1_000_000, period_seconds.into());
        format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000)
    }

    /// Why it is on the bill and what its net is computed from, for a person.
    pub fn reason(&self) -> String {
        match self.kind {
            RecordKind::Recurring => self.charged() + &self.cut(),
            RecordKind::Credit => format!("paid before and not used: {}{}", self.charged(), self.order_end()),
            RecordKind::OneTime => "once".to_owned(),
            RecordKind::Manual => "added by hand".to_owned(),
        }
    }

    /// How much of its period, or how many periods.
    fn charged(&self) -> String {
        let (secs, period) = (self.secs(), i64::from(self.period_seconds.unwrap_or(1)));
        match (secs / period, secs % period) {
            (1, 0) if self.elapsed_seconds == 0 => "a whole period".to_owned(),
            (periods, 0) if self.elapsed_seconds == 0 => format!("{periods} whole periods"),
            _ if self.elapsed_seconds == 0 => format!("{secs} s of a period of {period} s"),
            _ => format!("{secs} s of a period of {period} s, after {} s of it", self.elapsed_seconds),
        }
    }

    /// Why it ends inside of a period.
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

/// The part of a bill that is taxed alike.
#[derive(Debug, Clone)]
pub struct BillVat {
    /// On which bill.
    pub bill_id: i64,
    /// How.
    pub category: Category,
    /// At which rate.
    pub rate: Rate,
    /// The sum of the nets.
    pub taxable_amount: Amount,
    /// The VAT on it, rounded once.
    pub tax_amount: Amount,
}

/// Who bills, or who is billed, as it was then.
#[derive(Debug, Clone)]
pub struct Party {
    /// A person's, or the seller's name.
    pub name: String,
    /// Set: a business.
    pub company: Option<String>,
    /// Street and number.
    pub street: String,
    /// Postal code.
    pub postal_code: String,
    /// City.
    pub city: String,
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// As it stands on bills.
    pub vat_number: Option<String>,
}

/// Who bills whom.
#[derive(Debug, Clone)]
pub struct Parties {
    /// The seller.
    pub seller: Party,
    /// The customer.
    pub customer: Party,
}

impl Parties {
    /// Why something is taxed as it is, for a person.
    pub fn vat_reason(&self, category: Category, rate: Rate) -> String {
        vat::reason(category, &self.customer.country, rate)
    }
}

/// A bill with its lines.
#[derive(Debug, Clone)]
pub struct WholeBill {
    /// Without them.
    pub bill: Bill,
    /// Who bills whom.
    pub parties: Parties,
    /// By order and time.
    pub records: Vec<BillRecord>,
    /// By category and rate.
    pub vat: Vec<BillVat>,
}

/// Which bills.
#[derive(Debug, Clone, Default)]
pub struct BillFilter {
    /// This one.
    pub bill_id: Option<i64>,
    /// The one with this number.
    pub number: Option<String>,
    /// This customer's.
    pub user_id: Option<i64>,
    /// The customer's with this name.
    pub username: Option<String>,
    /// This run's.
    pub run_id: Option<i64>,
    /// Those in this currency.
    pub currency: Option<Currency>,
    /// Issued then or later.
    pub from: Option<DateTime<Utc>>,
    /// Issued before then.
    pub to: Option<DateTime<Utc>>,
    /// Those without a number too.
    pub drafts: bool,
}
