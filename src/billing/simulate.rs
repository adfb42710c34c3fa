//! What-if: cases of orders, changes and runs, played through the database by the functions that do it in earnest, and
//! rolled back.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value, json};
use sqlx::{PgConnection, PgPool};

use super::{
    bill::BillFilter,
    charge::{Timing, UpgradeCredit},
    country::Country,
    db,
    money::{Amount, Currency, Rate},
    period::RecurringPeriod,
    run::bill_one,
    vat::{CustomerKind, Seller},
    vat_rates::{RateRow, RateTable},
};
use crate::{
    error::{AsConstraint as _, Error},
    http::{Price, Window},
    orders::{self, NewOrder, ServiceChange},
    origin,
};

/// A file of cases; `billing-examples.json` in the tests is one.
#[derive(Debug, Deserialize)]
pub struct Cases {
    /// The rates of all cases; none: those of the database.
    vat_table: Option<Vec<CaseRate>>,
    /// What to play.
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseRate {
    territory: Country,
    from: NaiveDate,
    to: Option<NaiveDate>,
    rate: Rate,
    timezone: Tz,
}

/// One story, with fields besides for whoever wrote it.
#[derive(Debug, Deserialize)]
struct Case {
    id: String,
    seller: CaseSeller,
    customer: CaseCustomer,
    currency: Currency,
    #[serde(default)]
    options: CaseOptions,
    events: Vec<Event>,
    expected: Option<Value>,
}

/// Who bills.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseSeller {
    pub country: Country,
    pub timezone: Tz,
    pub oss_eu: bool,
}

/// Who is billed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseCustomer {
    pub country: Country,
    pub kind: CustomerKind,
    pub vat_number: Option<String>,
    #[serde(default)]
    vat_number_status: VatNumberStatus,
}

impl CaseCustomer {
    pub fn is_verified(&self) -> bool {
        matches!(self.vat_number_status, VatNumberStatus::Verified)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum VatNumberStatus {
    #[default]
    None,
    Unverified,
    Verified,
    Invalid,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseOptions {
    upgrade_credit: Option<UpgradeCredit>,
    cash_rounding: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    Order(OrderEvent),
    Replace(OrderEvent),
    Cancel { at: DateTime<Utc>, order: String, service_change: Option<ServiceChange> },
    BillRun { at: DateTime<Utc> },
}

#[derive(Debug, Deserialize)]
struct OrderEvent {
    at: DateTime<Utc>,
    order: String,
    replaces: Option<String>,
    starts_at: Option<DateTime<Utc>>,
    currency: Option<Currency>,
    #[serde(deserialize_with = "price")]
    one_time: Amount,
    #[serde(deserialize_with = "price")]
    recurring: Amount,
    period: Option<RecurringPeriod>,
    billing: Timing,
    commitment_periods: u32,
    service_change: Option<ServiceChange>,
}

fn price<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Amount, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(|price: Price| price.0).map_err(D::Error::custom)
}

/// What a case came to.
#[derive(Debug)]
pub struct Outcome {
    /// Which case.
    pub id: String,
    /// Its runs, orders and sums, or its `error`.
    pub result: Value,
    /// Whether that is what the case expects; none if it says nothing.
    pub as_expected: Option<bool>,
}

/// Plays all cases, each in a transaction that is rolled back.
pub async fn simulate(pool: &PgPool, cases: Cases) -> Result<Vec<Outcome>, Error> {
    let rates: Option<Vec<(RateRow, Tz)>> = cases.vat_table.map(|rows| {
        let row = |row: CaseRate| {
            (RateRow { territory: row.territory, from: row.from, to: row.to, rate: row.rate }, row.timezone)
        };
        rows.into_iter().map(row).collect()
    });
    if let Some(rates) = &rates {
        let table = RateTable::new(rates.iter().map(|(row, _)| *row));
        table.map_err(|error| Error::Malformed(format!("vat_table: {error}").into()))?;
    }
    let mut outcomes = Vec::with_capacity(cases.cases.len());
    for case in cases.cases {
        let mut tx = origin::begin(pool).await?;
        let result = match play(&mut tx, &case, rates.as_deref()).await {
            Ok(result) => result,
            Err(error @ (Error::Unavailable(_) | Error::Internal(_))) => match error.constraint() {
                Some(constraint) => json!({ "error": format!("the database refuses that ({constraint})") }),
                None => return Err(error),
            },
            Err(refusal) => json!({ "error": refusal.to_string() }),
        };
        tx.rollback().await?;
        let as_expected = case.expected.map(|expected| expected == result);
        outcomes.push(Outcome { id: case.id, result, as_expected });
    }
    Ok(outcomes)
}

async fn play(tx: &mut PgConnection, case: &Case, rates: Option<&[(RateRow, Tz)]>) -> Result<Value, Error> {
    if let Some(rates) = rates {
        db::replace_rates(tx, rates).await?;
    }
    let CaseSeller { country, timezone, oss_eu } = case.seller;
    Seller::new(country, timezone, oss_eu).map_err(|error| Error::Malformed(format!("seller: {error}").into()))?;
    db::insert_seller(tx, &case.seller, case.options.cash_rounding.is_some()).await?;
    let user_id = db::insert_customer(tx, &case.customer).await?;
    let mut orders = Labels::default();
    let (mut runs, mut problems) = (Vec::new(), Vec::new());
    for event in &case.events {
        match event {
            Event::Order(order) => {
                let new = case.new_order(user_id, order);
                let placed = orders::place(tx, order.at, order.starts_at.unwrap_or(order.at), &new).await?;
                orders.add(&order.order, placed.order_id);
            }
            Event::Replace(order) => {
                let old = orders.id(order.replaces.as_deref().unwrap_or_default())?;
                let change = order.service_change.unwrap_or_default();
                let replaced = orders::replace(tx, order.at, old, &case.new_order(user_id, order), change).await?;
                orders.add(&order.order, replaced.new.order_id);
            }
            Event::Cancel { at, order, service_change } => {
                orders::cancel(tx, *at, orders.id(order)?, user_id, service_change.unwrap_or_default()).await?;
            }
            Event::BillRun { at } => {
                let (run, problem) = bill_one(tx, user_id, *at, None).await?;
                runs.push(bills(tx, run.run_id, &orders).await?);
                problems.extend(problem.map(|problem| json!({ "at": second(*at), "detail": problem.detail })));
            }
        }
    }
    let mut result = json!({ "runs": runs, "orders": {}, "net_per_order": {} });
    for (label, order_id) in &orders.by_label {
        let order = db::simulated_order(tx, *order_id).await?;
        result["orders"][label] = json!({
            "starts_at": second(order.starts_at),
            "billing_ends_at": order.billing_ends_at.map(second),
            "billed_through": order.billed_through.map(second),
            "void": order.void,
            "closed": order.closed,
        });
        if let Some(cents) = order.net_cents {
            result["net_per_order"][label] = money(cents.try_into().map_err(anyhow::Error::new)?);
        }
    }
    if !problems.is_empty() {
        result["problems"] = problems.into();
    }
    Ok(result)
}

impl Case {
    fn new_order(&self, user_id: i64, order: &OrderEvent) -> NewOrder {
        NewOrder {
            user_id,
            ordered_by: None,
            product_id: None,
            description: order.order.clone(),
            parameters: Value::Object(Map::new()),
            currency: order.currency.unwrap_or(self.currency),
            one_time: order.one_time,
            recurring: order.recurring,
            period: order.period,
            timing: order.billing,
            commitment_periods: order.commitment_periods,
            upgrade_credit: self.options.upgrade_credit.unwrap_or(UpgradeCredit::Prorate),
            zone: self.seller.timezone,
            parts: Vec::new(),
        }
    }
}

/// The case's names of its orders, in the order of their coming.
#[derive(Default)]
struct Labels {
    by_label: Vec<(String, i64)>,
    by_id: HashMap<i64, String>,
}

impl Labels {
    fn add(&mut self, label: &str, order_id: i64) {
        self.by_label.push((label.to_owned(), order_id));
        self.by_id.insert(order_id, label.to_owned());
    }

    fn id(&self, label: &str) -> Result<i64, Error> {
        let found = self.by_label.iter().find(|(known, _)| known == label);
        let unknown = || Error::NotFound(format!("the case has no order {label:?} before this event").into());
        found.map(|(_, order_id)| *order_id).ok_or_else(unknown)
    }
}

async fn bills(tx: &mut PgConnection, run_id: i64, orders: &Labels) -> Result<Value, Error> {
    let filter = BillFilter { run_id: Some(run_id), ..BillFilter::default() };
    let bills = db::bills(&mut *tx, &filter, Window::all()).await?;
    let ids: Vec<i64> = bills.iter().map(|bill| bill.bill_id).collect();
    let records = db::records(&mut *tx, &ids).await?;
    let vat = db::vat(tx, &ids).await?;
    let of_bill = |bill_id: i64| {
        let records = records.iter().filter(move |record| record.bill_id == bill_id).map(|record| {
            json!({
                "order": record.order_id.and_then(|order_id| orders.by_id.get(&order_id)),
                "kind": record.kind,
                "from": second(record.from),
                "to": second(record.to),
                "net": money(record.net),
                "vat_category": record.category.as_str(),
                "vat_rate": record.rate.to_string(),
                "seconds": record.secs(),
                "period_seconds": record.period_secs.unwrap_or(0),
            })
        });
        let vat = vat.iter().filter(move |group| group.bill_id == bill_id).map(|group| {
            json!({
                "category": group.category.as_str(),
                "rate": group.rate.to_string(),
                "base": money(group.base),
                "tax": money(group.tax),
            })
        });
        (records.collect::<Vec<Value>>(), vat.collect::<Vec<Value>>())
    };
    let shown = bills.iter().map(|bill| {
        let (records, vat) = of_bill(bill.bill_id);
        json!({
            "issued_at": second(bill.issued_at),
            "document": bill.document,
            "currency": bill.currency,
            "records": records,
            "vat": vat,
            "net": money(bill.net),
            "tax": money(bill.tax),
            "gross": money(bill.gross),
            "rounding": money(bill.rounding),
            "payable": money(bill.payable),
        })
    });
    Ok(shown.collect())
}

fn second(t: DateTime<Utc>) -> String {
    t.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn money(amount: Amount) -> Value {
    amount.to_string().into()
}
