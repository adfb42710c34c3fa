//! Simulation cases as read from a file.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value};

use crate::{
    billing::case_parties::{CaseCustomer, CaseSeller},
    money::{
        amount::{Currency, Rate},
        charge::{BillingMode, UpgradeCredit},
        period::RecurringPeriod,
        territory::Territory,
        unit_price::UnitPrice,
    },
    orders::NewOrder,
    services::ServiceChange,
};

/// A file of cases, such as `billing-examples.json` in the tests.
#[derive(Debug, Deserialize)]
pub struct Cases {
    /// The VAT rates of all cases; `None`: those of the database.
    pub(super) vat_table: Option<Vec<CaseRate>>,
    /// The cases. An unreadable case does not stop the others.
    pub(super) cases: Vec<Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CaseRate {
    pub territory: Territory,
    pub from: NaiveDate,
    pub to: Option<NaiveDate>,
    pub rate: Rate,
}

/// One case. Additional fields, here and in its parts, are ignored: they are notes of the author.
#[derive(Debug, Deserialize)]
pub(super) struct Case {
    pub seller: CaseSeller,
    pub customer: CaseCustomer,
    pub currency: Currency,
    #[serde(default)]
    pub options: CaseOptions,
    pub events: Vec<Event>,
}

/// The options of a case. Unknown options are errors: a misspelt one would otherwise be ignored silently.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseOptions {
    pub upgrade_credit: Option<UpgradeCredit>,
    #[serde(default, deserialize_with = "cash_rounding")]
    pub cash_rounding: bool,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Event {
    Order(OrderEvent),
    Replace(OrderEvent),
    Cancel {
        #[serde(deserialize_with = "second")]
        at: DateTime<Utc>,
        order: String,
        service_change: Option<ServiceChange>,
    },
    /// The customer moves, or gets another VAT number.
    Address(AddressEvent),
    /// Rates replace all rates of a territory.
    RateImport {
        #[serde(deserialize_with = "second")]
        at: DateTime<Utc>,
        territory: Territory,
        rates: Vec<EventRate>,
    },
    /// Staff order the correction of what was billed at other rates.
    CorrectRates {
        #[serde(deserialize_with = "second")]
        at: DateTime<Utc>,
    },
    /// A cancellation, or a pending downgrade, is undone.
    Undo {
        #[serde(deserialize_with = "second")]
        at: DateTime<Utc>,
        order: String,
    },
    BillRun {
        #[serde(deserialize_with = "second")]
        at: DateTime<Utc>,
    },
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct EventRate {
    pub from: NaiveDate,
    pub rate: Rate,
}

#[derive(Debug, Deserialize)]
pub(super) struct AddressEvent {
    #[serde(deserialize_with = "second")]
    pub at: DateTime<Utc>,
    #[serde(flatten)]
    pub address: CaseCustomer,
}

impl Event {
    pub const fn at(&self) -> DateTime<Utc> {
        match self {
            Self::Order(OrderEvent { at, .. })
            | Self::Replace(OrderEvent { at, .. })
            | Self::Cancel { at, .. }
            | Self::Address(AddressEvent { at, .. })
            | Self::RateImport { at, .. }
            | Self::CorrectRates { at }
            | Self::Undo { at, .. }
            | Self::BillRun { at } => *at,
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct OrderEvent {
    #[serde(deserialize_with = "second")]
    pub at: DateTime<Utc>,
    pub order: String,
    pub replaces: Option<String>,
    #[serde(default, deserialize_with = "maybe_second")]
    pub starts_at: Option<DateTime<Utc>>,
    currency: Option<Currency>,
    #[serde(default)]
    one_time: UnitPrice,
    #[serde(default)]
    recurring: UnitPrice,
    period: Option<RecurringPeriod>,
    billing: Option<BillingMode>,
    #[serde(default)]
    commitment_periods: u32,
    pub service_change: Option<ServiceChange>,
}

/// Truncates times to whole seconds, as in orders.
fn second<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
    DateTime::deserialize(deserializer).map(crate::billing::bill_run::second)
}

fn maybe_second<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    Ok(Option::deserialize(deserializer)?.map(crate::billing::bill_run::second))
}

/// Accepts a step of five cents, the smallest Swiss coin, or no rounding.
fn cash_rounding<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let step = match Value::deserialize(deserializer)? {
        Value::Null => return Ok(false),
        Value::String(text) => text.parse::<Decimal>().ok(),
        other => other.to_string().parse().ok(),
    };
    match step {
        Some(step) if step.is_zero() => Ok(false),
        Some(step) if step == Decimal::new(5, 2) => Ok(true),
        _ => Err(D::Error::custom("cash_rounding must be \"0.05\" or null")),
    }
}

impl Case {
    pub fn new_order(&self, user_id: i64, order: &OrderEvent) -> NewOrder {
        NewOrder {
            user_id,
            ordered_by: None,
            product_id: None,
            description: order.order.clone(),
            descriptions: BTreeMap::new(),
            parameters: Value::Object(Map::new()),
            currency: order.currency.unwrap_or(self.currency),
            one_time: order.one_time,
            recurring: order.recurring,
            period: order.period,
            billing_mode: order.billing.unwrap_or(BillingMode::Advance),
            // One-time prices have no periods.
            commitment_periods: order.period.map_or(0, |_| order.commitment_periods),
            upgrade_credit: self.options.upgrade_credit.unwrap_or(UpgradeCredit::Prorate),
            zone: self.seller.timezone,
            parts: Vec::new(),
        }
    }
}
