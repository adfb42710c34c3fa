//! The command `uncloud import-vat-rates`.

use anyhow::Context as _;
use clap::{Args, ValueHint};
use serde_json::Value;
use uncloud_wire::program::Failure;

use super::{
    config::DatabaseArgs,
    output::{Output, Table},
};
use crate::{
    money::{amount::Rate, vat_rates::EMBEDDED},
    parties::rates,
};

/// Options of `import-vat-rates`.
#[derive(Debug, Args)]
#[command(after_help = "\
The file is CSV with the header
  start_date,stop_date,territory_codes,currency_code,rate,rate_type,description
and replaces all rates of the territories that it names; those of other territories stay. Issued
bills stay as they are, so the command reports changes of days that have passed.

Example:
  uncloud import-vat-rates rates.csv")]
pub(super) struct ImportVatRatesArgs {
    /// File with the rates; the built-in rates when omitted.
    #[arg(value_hint = ValueHint::FilePath)]
    file: Option<std::path::PathBuf>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) async fn run(args: ImportVatRatesArgs) -> anyhow::Result<()> {
    let (csv, name) = match &args.file {
        Some(file) => {
            let csv = std::fs::read_to_string(file);
            (csv.with_context(|| Failure::usage(format!("can't read {}", file.display())))?, file.display().to_string())
        }
        None => (EMBEDDED.to_owned(), "embedded".to_owned()),
    };
    let pool = args.database.connect().await?;
    let imported =
        rates::import(&pool, &csv, &name).await.with_context(|| format!("nothing was imported from {name}"))?;
    let mut table = Table::new(&["territory", "from", "to", "old", "new", "past"]);
    let rate = |rate: Option<Rate>| rate.map_or(Value::Null, |rate| rate.to_string().into());
    for change in &imported.differences {
        table.row([
            change.territory.as_str().into(),
            change.from.to_string().into(),
            change.to.map_or(Value::Null, |to| to.to_string().into()),
            rate(change.old),
            rate(change.new),
            change.past.into(),
        ]);
    }
    tracing::info!(rates = imported.rates, changes = imported.differences.len(), from = name, "VAT rates imported");
    if imported.differences.iter().any(|change| change.past) {
        let what = "rates of days that have passed have changed; bills issued with the old rates stay as they are until \
                    `uncloud bill correct-rates` corrects them on the next bills";
        tracing::warn!("{what}");
    }
    args.output.rows(&table)
}
