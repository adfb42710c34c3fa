//! Corrections of VAT rates that were imported late: what was billed at another rate than the one of its time is listed,
//! and staff order that the customers' next bills credit it at the old and charge it at the new rate.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use super::{
    db::{self, TaxedSpan},
    new_correction::{BilledSpan, NewCorrection},
};
use crate::{
    error::Error,
    money::{
        Order,
        amount::{Amount, AmountError, Currency, Rate},
        territory::Territory,
        vat_rates::RateTable,
    },
    orders, parties, request_context,
};

/// The records that were billed at one rate and should bear another, in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affected {
    /// The territory of the rates.
    pub territory: Territory,
    /// The rate at which it was billed.
    pub old_rate: Rate,
    /// The rate that applied.
    pub new_rate: Rate,
    /// The currency of the amount.
    pub currency: Currency,
    /// The number of bills.
    pub bills: i64,
    /// The number of customers.
    pub customers: i64,
    /// The amount before VAT.
    pub net: Amount,
}

/// Returns what was billed at a rate that has changed since, by territory, rates and currency.
pub async fn affected(pool: &PgPool) -> Result<Vec<Affected>, Error> {
    summary(&find(&mut *pool.acquire().await?, None).await?)
}

/// Orders the corrections of all that [`affected`] returns, and returns it.
pub async fn order(pool: &PgPool, by: Option<i64>) -> Result<Vec<Affected>, Error> {
    let mut tx = request_context::begin(pool).await?;
    let ordered = order_in(&mut tx, None, by).await?;
    tx.commit().await?;
    summary(&ordered)
}

/// Orders the corrections in a transaction of the caller; of one customer, if it is given.
pub(super) async fn order_in(
    tx: &mut PgConnection,
    user_id: Option<i64>,
    by: Option<i64>,
) -> Result<Vec<NewCorrection>, Error> {
    db::lock_corrections(tx).await?;
    // Bills of these customers may be made meanwhile, so what is affected is read again under their locks.
    let customers: BTreeSet<i64> = find(tx, user_id).await?.iter().map(|correction| correction.span.user_id).collect();
    db::lock_customers(tx, &customers.iter().copied().collect::<Vec<_>>()).await?;
    let mut corrections = find(tx, user_id).await?;
    corrections.retain(|correction| customers.contains(&correction.span.user_id));
    db::insert_corrections(tx, &corrections, by).await?;
    Ok(corrections)
}

/// Returns the corrections that are needed, without those that were ordered before.
async fn find(tx: &mut PgConnection, user_id: Option<i64>) -> Result<Vec<NewCorrection>, Error> {
    let rates = parties::rate_table(tx).await?;
    let spans = db::billed_at_other_rates(tx, &rates, user_id).await?;
    let orders: BTreeSet<i64> = spans.iter().filter_map(|taxed| taxed.span.order_id).collect();
    let orders = orders::read_all(tx, &orders.into_iter().collect::<Vec<_>>()).await?;
    let mut corrections = Vec::new();
    for taxed in &spans {
        let order = taxed.span.order_id.and_then(|order_id| {
            let place = orders.binary_search_by_key(&order_id, |order| order.order_id).ok()?;
            Some(&orders[place])
        });
        corrections.extend(of_span(taxed, order, &rates).map_err(anyhow::Error::new)?);
    }
    Ok(corrections)
}

/// Returns the corrections of a span: one for each part with one rate before and one after. What was credited is left out.
fn of_span(taxed: &TaxedSpan, order: Option<&Order>, rates: &RateTable) -> Result<Vec<NewCorrection>, AmountError> {
    let TaxedSpan { span, rate, credited_from, corrections: earlier } = taxed;
    let correction = |(from, to), net, old_rate, new_rate| NewCorrection {
        span: BilledSpan { from, to, net, ..*span },
        old_rate,
        new_rate,
    };
    let effective = |t| {
        let is_at =
            |(from, to): (DateTime<Utc>, DateTime<Utc>)| if from == to { t == from } else { from <= t && t < to };
        let corrected = earlier.iter().rev().find(|(from, to, _)| is_at((*from, *to)));
        corrected.map_or(*rate, |(.., rate)| *rate)
    };
    if span.from == span.to {
        let (old, new) = (effective(span.from), rates.rate_at(span.territory, span.from));
        let wrong = new.ok().filter(|new| *new != old);
        return Ok(wrong.map(|new| correction((span.from, span.to), span.net, old, new)).into_iter().collect());
    }
    let Some(terms) = order.and_then(Order::terms) else { return Ok(Vec::new()) };
    let zone = order.map_or_else(Default::default, |order| order.zone);
    let end = credited_from.map_or(span.to, |credited| credited.min(span.to));
    let mut cuts: Vec<DateTime<Utc>> = vec![span.from, end];
    cuts.extend(rates.changes(span.territory, span.from, end));
    cuts.extend(earlier.iter().flat_map(|(from, to, _)| [*from, *to]).filter(|t| span.from < *t && *t < end));
    cuts.sort_unstable();
    cuts.dedup();
    let mut corrections: Vec<NewCorrection> = Vec::new();
    for part in cuts.windows(2).map(|pair| (pair[0], pair[1])) {
        let old = effective(part.0);
        let Some(new) = rates.rate_at(span.territory, part.0).ok().filter(|new| *new != old) else { continue };
        let net = terms.net(part.0, part.1, zone)?;
        if net != Amount::ZERO {
            corrections.push(correction(part, net, old, new));
        }
    }
    Ok(corrections)
}

fn summary(corrections: &[NewCorrection]) -> Result<Vec<Affected>, Error> {
    type Key = (Territory, Rate, Rate, Currency);
    let mut groups: BTreeMap<Key, (BTreeSet<i64>, BTreeSet<i64>, Amount)> = BTreeMap::new();
    for correction in corrections {
        let NewCorrection { span, old_rate, new_rate } = correction;
        let key = (span.territory, *old_rate, *new_rate, span.currency);
        let (bills, customers, net) = groups.entry(key).or_default();
        bills.insert(span.bill_id);
        customers.insert(span.user_id);
        *net = net.try_add(span.net).map_err(anyhow::Error::new)?;
    }
    let count = |ids: BTreeSet<i64>| i64::try_from(ids.len()).unwrap_or(i64::MAX);
    let group = |((territory, old_rate, new_rate, currency), (bills, customers, net)): (Key, _)| Affected {
        territory,
        old_rate,
        new_rate,
        currency,
        bills: count(bills),
        customers: count(customers),
        net,
    };
    Ok(groups.into_iter().map(group).collect())
}
