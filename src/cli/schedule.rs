//! `uncloud schedule`: what is done again and again.

use std::str::FromStr as _;

use anyhow::Context as _;
use chrono::SecondsFormat;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::{
    config::DatabaseArgs,
    jobs::time,
    output::{Output, Table},
};
use crate::{
    error::Error,
    schedule::Scheduled,
    schedule::{self, Change, CronText, NewSchedule, Schedule, ScheduleName, Terms, Timing, Zone},
};

/// Due times that `show` looks ahead.
const AHEAD: usize = 5;

/// Options of `schedule`.
#[derive(Debug, Args)]
#[command(after_help = "\
The servers that run take over a change at once. A tick that was missed while none ran is caught up once.

Examples:
  uncloud schedule ls
  uncloud schedule add nightly --kind vpn_reconcile --cron '17 3 * * *' --time-zone Europe/Zurich
  uncloud schedule edit job-cleanup --every 600
  uncloud schedule run vpn-reconcile                  now; `uncloud jobs watch ID` follows its job")]
pub(super) struct ScheduleArgs {
    #[command(subcommand)]
    command: ScheduleCommand,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Debug, Subcommand)]
enum ScheduleCommand {
    /// List schedules.
    Ls {
        #[command(flatten)]
        output: Output,
    },
    /// Show a schedule with its next five runs.
    Show {
        name: ScheduleName,
        #[command(flatten)]
        output: Output,
    },
    /// Add a schedule.
    Add {
        name: ScheduleName,
        /// What to do.
        #[arg(long, value_name = "KIND")]
        kind: Scheduled,
        #[command(flatten)]
        settings: SettingsArgs,
        /// Add it without letting it run.
        #[arg(long)]
        paused: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Change a schedule; what is left out stays.
    Edit {
        name: ScheduleName,
        #[command(flatten)]
        settings: SettingsArgs,
        #[command(flatten)]
        output: Output,
    },
    /// Let a schedule rest.
    Pause { name: ScheduleName },
    /// Let a schedule go on with its next due time.
    Resume { name: ScheduleName },
    /// Ask for a schedule's job at once; prints the job.
    Run {
        name: ScheduleName,
        #[command(flatten)]
        output: Output,
    },
    /// Remove a schedule; its jobs stay.
    Rm { name: ScheduleName },
}

#[derive(Debug, Args)]
struct SettingsArgs {
    /// When: minute, hour, day of the month, month, day of the week.
    #[arg(long, value_name = "EXPRESSION", conflicts_with = "every")]
    cron: Option<CronText>,
    /// Whose wall clock the expression means; UTC when left out.
    #[arg(long, value_name = "ZONE", conflicts_with = "every")]
    time_zone: Option<Zone>,
    /// Or every so many seconds, from now on.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=31_622_400))]
    every: Option<u32>,
    /// Whom it is about, as a JSON object.
    // Not clap's own choice, which would be `Value::from(String)`.
    #[arg(long, value_name = "JSON", value_parser = Value::from_str)]
    payload: Option<Value>,
    /// Priority of its jobs; 9 goes first.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i16).range(0..=9))]
    priority: Option<i16>,
    /// Failures after which a job is given up.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=1000))]
    max_failures: Option<i32>,
    /// A job is ended after this long.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(i32).range(1..=86_400))]
    hard_limit: Option<i32>,
    /// How long a finished job is kept.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(i32).range(0..=315_360_000))]
    keep: Option<i32>,
}

impl SettingsArgs {
    /// None when nothing was said of it.
    fn timing(&self, old: Option<&Timing>) -> anyhow::Result<Option<Timing>> {
        let old = match old {
            Some(Timing::Cron(cron, zone)) => Some((cron, *zone)),
            Some(Timing::Every(_)) | None => None,
        };
        Ok(match (&self.cron, self.time_zone, self.every) {
            (_, _, Some(secs)) => Some(Timing::Every(secs)),
            (Some(cron), zone, None) => {
                let zone = zone.or(old.map(|(_, zone)| zone)).unwrap_or(Zone::UTC);
                Some(Timing::Cron(cron.clone(), zone))
            }
            (None, Some(zone), None) => {
                let (cron, _) = old.context("--time-zone means nothing without --cron")?;
                Some(Timing::Cron(cron.clone(), zone))
            }
            (None, None, None) => None,
        })
    }

    const fn terms(&self) -> Terms {
        Terms {
            priority: self.priority,
            max_failures: self.max_failures,
            hard_limit_seconds: self.hard_limit,
            keep_seconds: self.keep,
        }
    }
}

pub(super) async fn run(args: ScheduleArgs) -> anyhow::Result<()> {
    let pool = args.database.connect().await?;
    match args.command {
        ScheduleCommand::Ls { output } => list(&pool, &output).await,
        ScheduleCommand::Show { name, output } => show(&schedule::named(&pool, &name).await?, &output),
        ScheduleCommand::Add { name, kind, settings, paused, output } => {
            let timing = settings.timing(None)?.context("say when: --cron or --every")?;
            let terms = settings.terms();
            let payload = settings.payload.unwrap_or_else(|| json!({}));
            let new = NewSchedule { name, kind, payload, timing, paused, terms };
            show(&schedule::create(&pool, &new).await.map_err(spelled_out)?, &output)
        }
        ScheduleCommand::Edit { name, settings, output } => {
            let old = schedule::named(&pool, &name).await?;
            let timing = settings.timing(old.timing.as_ref().ok())?;
            let terms = settings.terms();
            let change = Change { payload: settings.payload, timing, paused: None, terms };
            show(&schedule::change(&pool, old.schedule_id, change).await.map_err(spelled_out)?, &output)
        }
        ScheduleCommand::Pause { name } => pause(&pool, &name, true).await,
        ScheduleCommand::Resume { name } => pause(&pool, &name, false).await,
        ScheduleCommand::Run { name, output } => {
            let job = schedule::run_now(&pool, schedule::named(&pool, &name).await?.schedule_id).await?;
            let mut table = Table::new(&["schedule", "job"]);
            table.row([name.as_str().into(), job.into()]);
            table.print(&output)
        }
        ScheduleCommand::Rm { name } => {
            schedule::delete(&pool, schedule::named(&pool, &name).await?.schedule_id).await?;
            tracing::info!(%name, "removed");
            Ok(())
        }
    }
}

/// The fields that are wrong, instead of how many.
fn spelled_out(error: Error) -> anyhow::Error {
    match error {
        Error::Invalid(fields) => {
            let fields =
                fields.iter().map(|field| format!("{} {}", field.pointer.trim_start_matches('/'), field.message));
            anyhow::anyhow!(fields.collect::<Vec<_>>().join("; "))
        }
        other => other.into(),
    }
}

async fn pause(pool: &PgPool, name: &ScheduleName, paused: bool) -> anyhow::Result<()> {
    let schedule = schedule::named(pool, name).await?;
    let change = Change { paused: Some(paused), ..Change::default() };
    let schedule = schedule::change(pool, schedule.schedule_id, change).await?;
    let next = schedule.next_run_at.map(|next| next.to_rfc3339_opts(SecondsFormat::Secs, true));
    tracing::info!(%name, next, "{}", if paused { "paused" } else { "goes on" });
    Ok(())
}

/// As in `17 3 * * * UTC` and `every 3600 s`.
fn when(schedule: &Schedule) -> String {
    match &schedule.timing {
        Ok(Timing::Cron(cron, zone)) => format!("{cron} {zone}"),
        Ok(Timing::Every(secs)) => format!("every {secs} s"),
        Err(trouble) => trouble.clone(),
    }
}

async fn list(pool: &PgPool, output: &Output) -> anyhow::Result<()> {
    let mut table =
        Table::new(&["name", "kind", "when", "paused", "next_run_at", "last_run_at", "last_job", "last_state"]);
    for schedule in schedule::list(pool).await? {
        table.row([
            schedule.name.clone().into(),
            schedule.kind.clone().into(),
            when(&schedule).into(),
            schedule.paused_at.is_some().into(),
            schedule.next_run_at.map_or(Value::Null, time),
            schedule.last_run_at.map_or(Value::Null, time),
            schedule.last_job.map(|(job, _)| job).into(),
            schedule.last_job.map(|(_, state)| state.as_str()).into(),
        ]);
    }
    table.print(output)
}

/// What a schedule is, line by line.
fn show(schedule: &Schedule, output: &Output) -> anyhow::Result<()> {
    let mut facts = Table::new(&["field", "value"]);
    let terms = schedule.terms;
    for (field, value) in [
        ("id", schedule.schedule_id.into()),
        ("name", schedule.name.clone().into()),
        ("kind", schedule.kind.clone().into()),
        ("queue", Scheduled::parse(&schedule.kind).map(|kind| String::from(kind.queue())).into()),
        ("payload", schedule.payload.clone()),
        ("when", when(schedule).into()),
        ("error", schedule.error().into()),
        ("paused_at", schedule.paused_at.map_or(Value::Null, time)),
        ("last_due_at", schedule.last_due_at.map_or(Value::Null, time)),
        ("last_run_at", schedule.last_run_at.map_or(Value::Null, time)),
        ("last_job", schedule.last_job.map(|(job, _)| job).into()),
        ("last_state", schedule.last_job.map(|(_, state)| state.as_str()).into()),
        ("priority", terms.priority.into()),
        ("max_failures", terms.max_failures.into()),
        ("hard_limit_seconds", terms.hard_limit_seconds.into()),
        ("keep_seconds", terms.keep_seconds.into()),
    ] {
        if value != Value::Null || output.is_json() {
            facts.row([field.into(), value]);
        }
    }
    for (number, next) in schedule.next_runs(AHEAD).into_iter().enumerate() {
        facts.row([format!("next run {}", number + 1).into(), time(next)]);
    }
    facts.print(output)
}
