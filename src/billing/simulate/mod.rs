//! Simulates cases of orders, changes and bill runs in the database, with the production functions, and rolls
//! everything back.

mod case;

use std::collections::HashMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize as _;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection, PgPool};

pub use self::case::Cases;
use self::case::{AddressEvent, Case, CaseRate, Event, EventRate};
pub(super) use super::case_parties::CaseSeller;
use super::{
    bill::{BillFilter, BillRecord, BillVat},
    content::RecordKind,
    correction, db,
    run::{OneCustomer, bill_one},
};
use crate::{
    error::{AsConstraint as _, Error},
    http::PageQuery,
    money::{
        amount::Amount,
        vat::Seller,
        vat_rates::{RateRow, RateTable},
    },
    orders, request_context,
};

/// The result of a case.
#[derive(Debug)]
pub struct Outcome {
    /// The id of the case.
    pub id: String,
    /// The runs, orders and sums of the case, or its `error`.
    pub result: Value,
    /// True if the result is what the case expects; `None` if the case expects nothing.
    pub as_expected: Option<bool>,
}

/// Simulates all cases, each in a transaction that is rolled back.
pub async fn simulate(pool: &PgPool, cases: Cases) -> Result<Vec<Outcome>, Error> {
    let rates: Option<Vec<RateRow>> = cases.vat_table.map(|rows| {
        let row = |row: CaseRate| RateRow { territory: row.territory, from: row.from, to: row.to, rate: row.rate };
        rows.into_iter().map(row).collect()
    });
    if let Some(rates) = &rates {
        let table = RateTable::new(rates.iter().copied());
        table.map_err(|error| Error::Malformed(format!("vat_table: {error}").into()))?;
    }
    let mut outcomes = Vec::with_capacity(cases.cases.len());
    for case in cases.cases {
        let mut tx = request_context::begin(pool).await?;
        let played = match Case::deserialize(&case) {
            Ok(case) => play(&mut tx, &case, rates.as_deref()).await,
            Err(error) => Err(Error::Malformed(error.to_string().into())),
        };
        tx.rollback().await?;
        let result = match played {
            Ok(result) => result,
            Err(error) => json!({ "error": refusal(error)? }),
        };
        let id = case["id"].as_str().map_or_else(|| format!("case {}", outcomes.len() + 1), str::to_owned);
        let as_expected = case["expected"].as_object().map(|expected| {
            // Parts that the case does not mention are not compared.
            expected.iter().all(|(part, value)| result.get(part).is_some_and(|result| contains(result, value)))
        });
        outcomes.push(Outcome { id, result, as_expected });
    }
    Ok(outcomes)
}

/// Returns true if a result has everything that is expected of it. Objects may have further members.
fn contains(result: &Value, expected: &Value) -> bool {
    match (result, expected) {
        (Value::Object(result), Value::Object(expected)) => {
            expected.iter().all(|(name, value)| result.get(name).is_some_and(|found| contains(found, value)))
        }
        (Value::Array(result), Value::Array(expected)) => {
            result.len() == expected.len() && result.iter().zip(expected).all(|(one, other)| contains(one, other))
        }
        _ => result == expected,
    }
}

/// Returns the error of a case as readable text; errors that the case did not cause are returned as errors.
fn refusal(error: Error) -> Result<String, Error> {
    match error {
        Error::Unavailable(_) => Err(error),
        Error::Internal(_) => match error.constraint() {
            Some(constraint) => Ok(format!("the database refuses that ({constraint})")),
            None => Err(error),
        },
        refusal => Ok(refusal.to_string()),
    }
}

/// The state of a case in simulation.
struct Simulation<'a> {
    case: &'a Case,
    user_id: i64,
    orders: Labels,
    runs: Vec<Value>,
    /// The run and the place in it of each bill, from 0.
    places: HashMap<i64, Value>,
    problems: Vec<Value>,
}

async fn play(tx: &mut PgConnection, case: &Case, rates: Option<&[RateRow]>) -> Result<Value, Error> {
    if let Some(rates) = rates {
        db::replace_rates(tx, None, rates).await?;
    }
    let CaseSeller { country, timezone, oss_eu, ref vat_number } = case.seller;
    if vat_number.as_deref() == Some("") {
        return Err(Error::Malformed(
            "seller: vat_number must be a VAT number, or null for a seller without one".into(),
        ));
    }
    Seller::new(country, timezone, vat_number.is_some(), oss_eu)
        .map_err(|error| Error::Malformed(format!("seller: {error}").into()))?;
    db::insert_seller(tx, &case.seller, case.options.cash_rounding).await?;
    let user_id = db::insert_customer(tx).await?;
    db::insert_address(tx, user_id, &case.customer, DateTime::UNIX_EPOCH).await?;
    let mut story = Simulation {
        case,
        user_id,
        orders: Labels::default(),
        runs: Vec::new(),
        places: HashMap::new(),
        problems: Vec::new(),
    };
    for event in &case.events {
        // A refused event leaves no trace, and the simulation continues without it.
        let mut step = tx.begin().await?;
        match story.happens(&mut step, event).await {
            Ok(()) => step.commit().await?,
            Err(error) => {
                step.rollback().await?;
                story.problems.push(json!({ "at": second(event.at()), "detail": refusal(error)? }));
            }
        }
    }
    story.into_result(tx).await
}

impl Simulation<'_> {
    async fn happens(&mut self, tx: &mut PgConnection, event: &Event) -> Result<(), Error> {
        let Self { case, user_id, .. } = *self;
        match event {
            Event::Order(order) => {
                let new = case.new_order(user_id, order);
                let placed = orders::place(tx, order.at, order.starts_at.unwrap_or(order.at), &new).await?;
                self.orders.add(&order.order, placed.order_id);
            }
            Event::Replace(order) => {
                let old = self.orders.id(order.replaces.as_deref().unwrap_or_default())?;
                let change = order.service_change.unwrap_or_default();
                let replaced = orders::replace(tx, order.at, old, &case.new_order(user_id, order), change).await?;
                self.orders.add(&order.order, replaced.new.order_id);
            }
            Event::Cancel { at, order, service_change } => {
                let order_id = self.orders.id(order)?;
                orders::cancel(tx, *at, order_id, user_id, service_change.unwrap_or_default()).await?;
            }
            Event::Address(AddressEvent { at, address }) => {
                orders::lock_customer(tx, user_id).await?;
                db::insert_address(tx, user_id, address, *at).await?;
            }
            Event::RateImport { territory, rates, .. } => {
                let until = rates.iter().skip(1).map(|next| Some(next.from)).chain([None]);
                let row = |(rate, to): (&EventRate, _)| RateRow {
                    territory: *territory,
                    from: rate.from,
                    to,
                    rate: rate.rate,
                };
                let rows: Vec<RateRow> = rates.iter().zip(until).map(row).collect();
                RateTable::new(rows.iter().copied()).map_err(|error| Error::Malformed(error.to_string().into()))?;
                db::replace_rates(tx, Some(*territory), &rows).await?;
            }
            Event::CorrectRates { .. } => {
                correction::order_in(tx, Some(user_id), None).await?;
            }
            Event::Undo { at, order } => {
                orders::undo(tx, *at, self.orders.id(order)?, user_id).await?;
            }
            Event::BillRun { at } => {
                let (run, problem) = bill_one(tx, OneCustomer::all_due(user_id, *at), *at).await?;
                let bills = self.bills(tx, run.run_id).await?;
                self.runs.push(bills);
                self.problems.extend(problem.map(|problem| json!({ "at": second(*at), "detail": problem.detail })));
            }
        }
        Ok(())
    }

    /// Returns the bills of a run, and notes which run and bill they are, so that later ones can name them.
    async fn bills(&mut self, tx: &mut PgConnection, run_id: i64) -> Result<Value, Error> {
        let filter = BillFilter { run_id: Some(run_id), ..BillFilter::default() };
        let bills = db::bills(&mut *tx, &filter, PageQuery::all()).await?;
        let ids: Vec<i64> = bills.iter().map(|bill| bill.bill_id).collect();
        for (place, bill_id) in ids.iter().enumerate() {
            self.places.insert(*bill_id, json!({ "run": self.runs.len(), "bill": place }));
        }
        let records = db::records(&mut *tx, &ids).await?;
        let vat = db::vat(tx, &ids).await?;
        let rendered = bills.iter().map(|bill| {
            let records = records.iter().filter(|record| record.bill_id == bill.bill_id);
            let vat = vat.iter().filter(|group| group.bill_id == bill.bill_id);
            json!({
                "issued_at": second(bill.as_of),
                "document": bill.document(),
                "currency": bill.currency,
                "records": records.map(|record| self.record(record)).collect::<Vec<Value>>(),
                "vat": vat.map(group).collect::<Vec<Value>>(),
                "net": money(bill.net),
                "tax": money(bill.tax),
                "gross": money(bill.gross),
                "rounding": money(bill.rounding),
                "payable": money(bill.amount_due),
            })
        });
        Ok(rendered.collect())
    }

    /// Returns a record. The halves of a correction of a VAT rate are a credit and a charge.
    fn record(&self, record: &BillRecord) -> Value {
        let kind = match record.kind {
            RecordKind::Correction if record.net < Amount::ZERO => RecordKind::Credit,
            RecordKind::Correction => RecordKind::Recurring,
            kind => kind,
        };
        let mut value = json!({
            "order": record.order_id.and_then(|order_id| self.orders.by_id.get(&order_id)),
            "kind": kind,
            "from": second(record.from),
            "to": second(record.to),
            "net": money(record.net),
            "vat_category": record.category.as_str(),
            "vat_rate": record.rate.to_string(),
            "territory": record.territory,
            "seconds": record.secs(),
            "period_seconds": record.position.map_or(0, |position| position.period_seconds),
        });
        if let Some(corrects) = record.corrects.and_then(|bill_id| self.places.get(&bill_id)) {
            value["corrects"] = corrects.clone();
        }
        value
    }

    async fn into_result(self, tx: &mut PgConnection) -> Result<Value, Error> {
        let mut result = json!({ "runs": self.runs, "orders": {}, "net_per_order": {} });
        for (label, order_id) in &self.orders.by_label {
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
        if !self.problems.is_empty() {
            result["problems"] = self.problems.into();
        }
        Ok(result)
    }
}

/// The case's labels of its orders, in the order of their creation.
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

fn group(group: &BillVat) -> Value {
    json!({
        "category": group.category.as_str(),
        "rate": group.rate.to_string(),
        "territory": group.territory,
        "base": money(group.taxable_amount),
        "tax": money(group.tax_amount),
    })
}

fn second(t: DateTime<Utc>) -> String {
    t.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn money(amount: Amount) -> Value {
    amount.to_string().into()
}
