//! Queries on what was billed at other rates than those of its time.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, types::Json};

use crate::{
    billing::new_correction::{BilledSpan, NewCorrection},
    error::Error,
    money::{
        amount::{Amount, Rate},
        vat_rates::RateTable,
    },
};

/// A billed span in which another rate applies than the one that it was billed at.
pub(in crate::billing) struct TaxedSpan {
    pub span: BilledSpan,
    pub rate: Rate,
    /// The begin of the part that was credited.
    pub credited_from: Option<DateTime<Utc>>,
    /// The corrections ordered before, the oldest first, with their new rates.
    pub corrections: Vec<(DateTime<Utc>, DateTime<Utc>, Rate)>,
}

/// Lets one transaction at a time order corrections.
pub(in crate::billing) async fn lock_corrections(tx: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('rate_correction', 0))").execute(tx).await.map(drop)
}

/// Returns the spans on issued bills in which the table has another rate than they were billed at, or in which a
/// correction was ordered.
pub(in crate::billing) async fn billed_at_other_rates(
    tx: &mut PgConnection,
    rates: &RateTable,
    user_id: Option<i64>,
) -> Result<Vec<TaxedSpan>, Error> {
    let (mut territories, mut from, mut to, mut ppm) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for span in rates.spans() {
        territories.push(span.territory.to_string());
        from.push(span.from);
        to.push(span.to);
        ppm.push(i32::from(span.rate));
    }
    let rows = sqlx::query!(
        r#"with rate as (
               select * from unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::integer[])
                   as rate (territory, starts_at, ends_at, rate_ppm)),
           billed as (
               select bill_id, order_id, null::bigint as item_id, charge_from as span_from, charge_to as span_to, net_cents, vat_group
               from bill_charge
               union all
               select bill_id, order_id, item_id, span_from, span_to, net_cents, vat_group
               from bill_record where kind in ('one_time', 'manual'))
           select distinct on (bill.bill_id, billed.order_id, billed.item_id, span_from, span_to)
                  bill.user_id as "user_id!", billed.order_id, billed.item_id, bill.currency as "currency!",
                  span_from as "span_from!", span_to as "span_to!", billed.net_cents as "net!: Amount",
                  vat.territory as "territory!", vat.rate_ppm as "rate_ppm!", bill.bill_id as "bill_id!",
                  (select min(credit.span_from) from bill_record credit
                   where credit.kind = 'credit' and credit.order_id = billed.order_id
                       and credit.span_from >= billed.span_from and credit.span_to <= billed.span_to) as credited_from,
                  (select jsonb_agg(jsonb_build_object('from', earlier.span_from, 'to', earlier.span_to, 'ppm', new_rate_ppm)
                                    order by correction_id)
                   from rate_correction earlier
                   where earlier.bill_id = bill.bill_id
                       and (earlier.order_id = billed.order_id or earlier.item_id = billed.item_id)
                       and (earlier.span_from = earlier.span_to) = (billed.span_from = billed.span_to)
                       and earlier.span_from >= billed.span_from and earlier.span_to <= billed.span_to)
                      as "corrections: Json<Vec<Earlier>>"
           from rate
           join bill_vat vat on vat.territory = rate.territory
           join bill_number using (bill_id)
           join bill on bill.bill_id = vat.bill_id
           join billed on billed.bill_id = vat.bill_id and billed.vat_group = vat.vat_group
               and span_from < coalesce(ends_at, 'infinity') and (span_to > starts_at or span_from = span_to and span_from >= starts_at)
           where ($5::bigint is null or bill.user_id = $5)
               and (vat.rate_ppm <> rate.rate_ppm
                   or exists (select from rate_correction earlier where earlier.bill_id = bill.bill_id))
           order by bill.bill_id, billed.order_id, billed.item_id, span_from, span_to"#,
        &territories,
        &from,
        &to as &[Option<DateTime<Utc>>],
        &ppm,
        user_id
    )
    .fetch_all(tx)
    .await?;
    let spans = rows.into_iter().map(|row| {
        let corrections = row.corrections.map(|earlier| earlier.0).unwrap_or_default().into_iter();
        let span = BilledSpan {
            user_id: row.user_id,
            order_id: row.order_id,
            item_id: row.item_id,
            currency: row.currency.parse()?,
            from: row.span_from,
            to: row.span_to,
            net: row.net,
            territory: row.territory.parse()?,
            bill_id: row.bill_id,
        };
        Ok(TaxedSpan {
            span,
            rate: row.rate_ppm.try_into()?,
            credited_from: row.credited_from,
            corrections: corrections
                .map(|earlier| Ok((earlier.from, earlier.to, Rate::try_from(earlier.ppm)?)))
                .collect::<anyhow::Result<_>>()?,
        })
    });
    Ok(spans.collect::<anyhow::Result<_>>()?)
}

/// A correction that was ordered before.
#[derive(Debug, serde::Deserialize)]
struct Earlier {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    ppm: i32,
}

pub(in crate::billing) async fn insert_corrections(
    tx: &mut PgConnection,
    corrections: &[NewCorrection],
    by: Option<i64>,
) -> sqlx::Result<()> {
    let ids = |id: fn(&NewCorrection) -> i64| corrections.iter().map(id).collect::<Vec<i64>>();
    let maybe = |id: fn(&NewCorrection) -> Option<i64>| corrections.iter().map(id).collect::<Vec<Option<i64>>>();
    let texts = |text: fn(&NewCorrection) -> String| corrections.iter().map(text).collect::<Vec<String>>();
    let times = |t: fn(&NewCorrection) -> DateTime<Utc>| corrections.iter().map(t).collect::<Vec<_>>();
    let ppm = |rate: fn(&NewCorrection) -> Rate| corrections.iter().map(|one| rate(one).into()).collect::<Vec<i32>>();
    sqlx::query!(
        "insert into rate_correction (user_id, order_id, item_id, currency, span_from, span_to, net_cents, territory,
             old_rate_ppm, new_rate_ppm, bill_id, requested_by)
         select *, $12::bigint from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::timestamptz[],
             $6::timestamptz[], $7::bigint[], $8::text[], $9::integer[], $10::integer[], $11::bigint[])",
        &ids(|one| one.span.user_id),
        &maybe(|one| one.span.order_id) as &[Option<i64>],
        &maybe(|one| one.span.item_id) as &[Option<i64>],
        &texts(|one| one.span.currency.to_string()),
        &times(|one| one.span.from),
        &times(|one| one.span.to),
        &ids(|one| one.span.net.cents()),
        &texts(|one| one.span.territory.to_string()),
        &ppm(|one| one.old_rate),
        &ppm(|one| one.new_rate),
        &ids(|one| one.span.bill_id),
        by
    )
    .execute(tx)
    .await
    .map(drop)
}
