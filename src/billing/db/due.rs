//! Queries for what is due.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, types::Json};

use crate::{
    billing::{content::Corrected, line::CorrectedText},
    error::Error,
    money::{
        amount::{Amount, Rate},
        draft::{Charged, ManualItem, RateCorrection, Reversed},
        language::Language,
        vat::{Category, Treatment},
    },
};

/// Locks the customers in ascending order of id, always, so that two runs never deadlock.
pub(in crate::billing) async fn lock_customers(tx: &mut PgConnection, users: &[i64]) -> sqlx::Result<()> {
    sqlx::query!("select user_id from users where user_id = any($1) order by user_id for no key update", users)
        .fetch_all(tx)
        .await
        .map(drop)
}

/// Returns true if a run that has not ended has bills of the customer, which have no number yet.
pub(in crate::billing) async fn has_drafts(tx: &mut PgConnection, user_id: i64) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (select from bill
                          where run_id = (select run_id from bill_run where finished_at is null) and user_id = $1) as "exists!""#,
        user_id
    )
    .fetch_one(tx)
    .await
}

/// Returns the charges on these orders that reach past the orders' ends, divided where a correction has changed the
/// rate of a part.
pub(in crate::billing) async fn charged_past_end(tx: &mut PgConnection, orders: &[i64]) -> Result<Vec<Charged>, Error> {
    let rows = sqlx::query!(
        r#"select order_id, charge_from, charge_to, charge.bill_id, category as "category: Category", territory, rate_ppm
           from bill_charge charge join orders using (order_id) join bill_vat using (bill_id, vat_group)
           where order_id = any($1) and charge_to > billing_ends_at
           order by order_id, charge_from"#,
        orders
    )
    .fetch_all(&mut *tx)
    .await?;
    let charged = rows.into_iter().map(|row| {
        Ok(Charged {
            order_id: row.order_id,
            from: row.charge_from,
            to: row.charge_to,
            bill_id: row.bill_id,
            treatment: treatment(row.category, row.territory.as_deref())?,
            rate: row.rate_ppm.try_into()?,
        })
    });
    let charged: Vec<Charged> = charged.collect::<anyhow::Result<_>>()?;
    let corrections = sqlx::query!(
        r#"select order_id as "order_id!", span_from, span_to, new_rate_ppm from rate_correction
           where order_id = any($1) and span_from < span_to order by correction_id"#,
        orders
    )
    .fetch_all(tx)
    .await?;
    corrections.into_iter().try_fold(charged, |charged, row| {
        let rate = Rate::try_from(row.new_rate_ppm).map_err(anyhow::Error::new)?;
        let correct = |charged| corrected(charged, row.order_id, (row.span_from, row.span_to), rate);
        Ok(charged.into_iter().flat_map(correct).collect())
    })
}

/// Divides a charge where a correction begins and ends; the part in it has the new rate.
fn corrected(
    charged: Charged,
    order_id: i64,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    rate: Rate,
) -> impl Iterator<Item = Charged> {
    let inside = if charged.order_id == order_id { (from, to) } else { (charged.to, charged.to) };
    let (from, to) = (inside.0.clamp(charged.from, charged.to), inside.1.clamp(charged.from, charged.to));
    let parts =
        [Charged { to: from, ..charged }, Charged { from, to, rate, ..charged }, Charged { from: to, ..charged }];
    parts.into_iter().filter(|part| part.from < part.to)
}

/// Returns a VAT treatment from the columns of a row.
pub(in crate::billing) fn treatment(category: Category, territory: Option<&str>) -> anyhow::Result<Treatment> {
    let territory = territory.map(str::parse).transpose()?;
    Treatment::from_columns(category, territory).ok_or_else(|| anyhow::anyhow!("{category} of {territory:?} is no VAT"))
}

/// Returns the items of staff that are on no bill, with their customers and descriptions.
pub(in crate::billing) async fn open_manual_items(
    tx: &mut PgConnection,
    users: &[i64],
    as_of: DateTime<Utc>,
) -> Result<Vec<(i64, ManualItem, String)>, Error> {
    let rows = sqlx::query!(
        r#"select item.user_id, item.item_id, currency, item.net_cents as "net: Amount", service_at, description,
                  reversed.bill_id as "bill_id?", category as "category?: Category", territory,
                  coalesce((select new_rate_ppm from rate_correction correction
                            where correction.item_id = item.reverses order by correction_id desc limit 1), rate_ppm) as rate_ppm
           from bill_item item
           left join bill_record reversed on reversed.item_id = item.reverses and kind = 'manual'
           left join bill_vat using (bill_id, vat_group)
           where item.user_id = any($1) and not billed and voided_at is null and service_at <= $2"#,
        users,
        as_of
    )
    .fetch_all(tx)
    .await?;
    let items = rows.into_iter().map(|row| {
        let reverses = match (row.bill_id, row.category, row.rate_ppm) {
            (Some(bill_id), Some(category), Some(ppm)) => {
                let treatment = treatment(category, row.territory.as_deref())?;
                Some(Reversed { bill_id, treatment, rate: ppm.try_into()? })
            }
            _ => None,
        };
        let item = ManualItem {
            item_id: row.item_id,
            currency: row.currency.parse()?,
            net: row.net,
            service_at: row.service_at,
            reverses,
        };
        Ok((row.user_id, item, row.description))
    });
    Ok(items.collect::<anyhow::Result<_>>()?)
}

/// Returns the corrections of VAT rates that are on no bill, with their customers and what they correct.
pub(in crate::billing) async fn open_corrections(
    tx: &mut PgConnection,
    users: &[i64],
) -> Result<Vec<(i64, RateCorrection, CorrectedText)>, Error> {
    let rows = sqlx::query!(
        r#"select correction.user_id as "user_id!", correction_id as "correction_id!", correction.order_id,
                  correction.currency as "currency!", span_from as "span_from!", span_to as "span_to!",
                  correction.net_cents as "net!: Amount", territory as "territory!", old_rate_ppm as "old_rate_ppm!",
                  new_rate_ppm as "new_rate_ppm!", bill_id as "bill_id!",
                  coalesce(orders.description, item.description) as "description!",
                  orders.descriptions as "descriptions?: Json<BTreeMap<Language, String>>",
                  case when span_from < span_to then time_zone end as time_zone
           from rate_correction correction
           left join orders using (order_id) left join bill_item item on item.item_id = correction.item_id
           where correction.user_id = any($1) and not correction.billed"#,
        users
    )
    .fetch_all(tx)
    .await?;
    let corrections = rows.into_iter().map(|row| {
        let correction = RateCorrection {
            correction_id: row.correction_id,
            order_id: row.order_id,
            currency: row.currency.parse()?,
            from: row.span_from,
            to: row.span_to,
            net: row.net,
            treatment: Treatment::Taxed(row.territory.parse()?),
            old_rate: row.old_rate_ppm.try_into()?,
            new_rate: row.new_rate_ppm.try_into()?,
            bill_id: row.bill_id,
        };
        let zone =
            row.time_zone.as_deref().map(|zone| zone.parse().map_err(|_| anyhow::anyhow!("{zone} is not a time zone")));
        let descriptions = row.descriptions.map(|descriptions| descriptions.0).unwrap_or_default();
        Ok((
            row.user_id,
            correction,
            CorrectedText { description: row.description, descriptions, zone: zone.transpose()? },
        ))
    });
    Ok(corrections.collect::<anyhow::Result<_>>()?)
}

/// Returns the numbers and dates of these bills, by id.
pub(in crate::billing) async fn numbers(tx: &mut PgConnection, bills: &[i64]) -> sqlx::Result<HashMap<i64, Corrected>> {
    let rows = sqlx::query!(
        r#"select bill_id, bill_number_text(year, sequence) as "number!", issue_date
           from bill_number where bill_id = any($1)"#,
        bills
    )
    .fetch_all(tx)
    .await?;
    let number = |number, issue_date| Corrected { number, issue_date };
    Ok(rows.into_iter().map(|row| (row.bill_id, number(row.number, row.issue_date))).collect())
}
