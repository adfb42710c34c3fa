//! `uncloud bill simulate`.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::billing::simulate::{Cases, simulate};

/// Options of `bill simulate`.
#[derive(Debug, Args)]
pub(super) struct SimulateArgs {
    /// The cases as JSON: seller, customer and events of each; tests/billing-examples.json is one.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Prints what became of each case; fails if one that says what it expects came out otherwise.
#[expect(clippy::print_stdout, reason = "this is the command's output")]
pub(super) async fn run(pool: &PgPool, args: SimulateArgs) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(&args.file).with_context(|| format!("reading {}", args.file.display()))?;
    let cases: Cases =
        serde_json::from_str(&text).with_context(|| format!("{} is no file of cases", args.file.display()))?;
    let outcomes = simulate(pool, cases).await?;
    let (mut shown, mut expecting, mut wrong) = (Vec::new(), 0, Vec::new());
    for outcome in outcomes {
        let mut case = json!({ "id": outcome.id });
        if let (Value::Object(case), Value::Object(result)) = (&mut case, outcome.result) {
            case.extend(result);
        }
        shown.push(case);
        expecting += usize::from(outcome.as_expected.is_some());
        if outcome.as_expected == Some(false) {
            wrong.push(outcome.id);
        }
    }
    println!("{}", serde_json::to_string_pretty(&json!({ "cases": shown }))?);
    if !wrong.is_empty() {
        bail!("{} of {expecting} cases came out otherwise than they expect: {}", wrong.len(), wrong.join(", "));
    }
    if expecting > 0 {
        eprintln!("all {expecting} cases came out as they expect");
    }
    Ok(())
}
