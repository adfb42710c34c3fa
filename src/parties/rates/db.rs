//! VAT rates in PostgreSQL.

use sqlx::{PgConnection, PgExecutor};

use super::sourced_rate::SourcedRate;
use crate::{error::Error, money::vat_rates::RateRow};

/// Locks the table of rates: one import at a time, while runs continue to read.
pub(super) async fn lock(tx: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("lock table vat_rate in share row exclusive mode").execute(tx).await.map(drop)
}

/// Returns all rates, or a territory's, by territory and date.
pub(super) async fn rates(db: impl PgExecutor<'_>, territory: Option<&str>) -> Result<Vec<SourcedRate>, Error> {
    let rows = sqlx::query!(
        "select territory, starts_on, ends_on, rate_ppm, source from vat_rate
         where $1::text is null or territory = $1
         order by territory, starts_on",
        territory
    );
    let rows = rows.fetch_all(db).await?.into_iter().map(|row| {
        let rate = RateRow {
            territory: row.territory.parse()?,
            from: row.starts_on,
            to: row.ends_on,
            rate: row.rate_ppm.try_into()?,
        };
        Ok(SourcedRate { row: rate, source: row.source })
    });
    Ok(rows.collect::<anyhow::Result<_>>()?)
}

/// Replaces the rates of these territories by the given ones.
pub(super) async fn replace(tx: &mut PgConnection, territories: &[&str], rates: &[SourcedRate]) -> Result<(), Error> {
    sqlx::query!("delete from vat_rate where territory = any($1)", territories as _).execute(&mut *tx).await?;
    for SourcedRate { row, source } in rates {
        sqlx::query!(
            "insert into vat_rate (territory, starts_on, ends_on, rate_ppm, source) values ($1, $2, $3, $4, $5)",
            row.territory.as_str(),
            row.from,
            row.to,
            i32::from(row.rate),
            source,
        )
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}
