//! The command `uncloud bill simulate`.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Args, ValueHint};
use serde_json::{Value, json};
use sqlx::PgPool;
use uncloud_wire::program::{Failure, print, say};

use crate::billing::simulate::{Cases, simulate};

/// Options of `bill simulate`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  uncloud bill simulate cases.json >results.json")]
pub(super) struct SimulateArgs {
    /// File of the cases as JSON: seller, customer and events of each. tests/billing-examples.json is an example.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
}

/// Prints the result of each case; fails if one differs from what its case expects.
pub(super) async fn run(pool: &PgPool, args: SimulateArgs) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(&args.file)
        .with_context(|| Failure::usage(format!("can't read {}", args.file.display())))?;
    let cases: Cases =
        serde_json::from_str(&text).with_context(|| format!("{} is not a file of cases", args.file.display()))?;
    let outcomes = simulate(pool, cases).await?;
    let (mut results, mut expecting, mut wrong) = (Vec::new(), 0, Vec::new());
    for outcome in outcomes {
        let mut case = json!({ "id": outcome.id });
        if let (Value::Object(case), Value::Object(result)) = (&mut case, outcome.result) {
            case.extend(result);
        }
        results.push(case);
        expecting += usize::from(outcome.as_expected.is_some());
        if outcome.as_expected == Some(false) {
            wrong.push(outcome.id);
        }
    }
    print(serde_json::to_string_pretty(&json!({ "cases": results }))? + "\n")?;
    if !wrong.is_empty() {
        bail!("{} of {expecting} cases differ from their expected results: {}", wrong.len(), wrong.join(", "));
    }
    if expecting > 0 {
        say(&format!("all {expecting} cases match their expected results\n"));
    }
    Ok(())
}
