//! The command `uncloud schedule`, which manages recurring jobs.

use chrono::SecondsFormat;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use sqlx::PgPool;
use uncloud_wire::program::{Failure, object};

use super::{
    config::DatabaseArgs,
    output::{Output, Table, time},
};
use crate::{
    error::Error,
    schedule::{self, Change, CronText, NewSchedule, Schedule, ScheduleName, Scheduled, Terms, Timing, Zone},
};

/// Number of upcoming runs that `show` lists.
const AHEAD: usize = 5;

/// Options of `schedule`.
#[derive(Debug, Args)]
#[command(after_help = "\
Running servers take over a change at once. Runs that were missed while no server was running are
caught up once.

Examples:
  uncloud schedule ls
  uncloud schedule add nightly --kind vpn_reconcile --cron '17 3 * * *' --time-zone Europe/Zurich
  uncloud schedule update job-cleanup --every 600
  uncloud schedule run vpn-reconcile                  # now; `uncloud job watch ID` follows its job")]
pub(super) struct ScheduleArgs {
    #[command(subcommand)]
    command: ScheduleCommand,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Debug, Args)]
struct NameArgs {
    /// Name of the schedule.
    #[arg(value_name = "NAME")]
    name: ScheduleName,
}

#[derive(Debug, Subcommand)]
enum ScheduleCommand {
    /// List schedules.
    #[command(after_help = "Example:\n  uncloud schedule ls")]
    Ls {
        #[command(flatten)]
        output: Output,
    },
    /// Show a schedule with its next five runs.
    #[command(after_help = "Example:\n  uncloud schedule show bill-run --output json")]
    Show {
        #[command(flatten)]
        name: NameArgs,
        #[command(flatten)]
        output: Output,
    },
    /// Add a schedule.
    #[command(after_help = "\
Examples:
  uncloud schedule add nightly --kind vpn_reconcile --cron '17 3 * * *' --time-zone Europe/Zurich
  uncloud schedule add often --kind vpn_reconcile --every 600 --paused")]
    Add {
        #[command(flatten)]
        name: NameArgs,
        /// Kind of its jobs.
        #[arg(long, value_name = "KIND")]
        kind: Scheduled,
        #[command(flatten)]
        settings: SettingsArgs,
        /// Add it paused.
        #[arg(long)]
        paused: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Change a schedule. Omitted options do not change.
    #[command(visible_alias = "edit", after_help = "Example:\n  uncloud schedule update job-cleanup --every 600")]
    Update {
        #[command(flatten)]
        name: NameArgs,
        #[command(flatten)]
        settings: SettingsArgs,
        #[command(flatten)]
        output: Output,
    },
    /// Pause a schedule.
    #[command(after_help = "Example:\n  uncloud schedule pause bill-run")]
    Pause(NameArgs),
    /// Resume a paused schedule with its next run; runs in between are not caught up.
    #[command(after_help = "Example:\n  uncloud schedule resume bill-run")]
    Resume(NameArgs),
    /// Create a schedule's job at once, and print the schedule with that job.
    #[command(after_help = "Example:\n  uncloud schedule run vpn-reconcile")]
    Run {
        #[command(flatten)]
        name: NameArgs,
        #[command(flatten)]
        output: Output,
    },
    /// Remove a schedule. Its jobs stay.
    #[command(after_help = "Example:\n  uncloud schedule rm nightly")]
    Rm(NameArgs),
}

#[derive(Debug, Args)]
struct SettingsArgs {
    /// Cron expression: minute, hour, day of the month, month, day of the week.
    #[arg(long, value_name = "EXPRESSION", conflicts_with = "every")]
    cron: Option<CronText>,
    /// Time zone of the cron expression [default: UTC].
    #[arg(long, value_name = "ZONE", conflicts_with = "every")]
    time_zone: Option<Zone>,
    /// Interval instead of a cron expression.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=31_622_400))]
    every: Option<u32>,
    /// Payload of its jobs, as a JSON object.
    #[arg(long, value_name = "JSON", value_parser = object)]
    payload: Option<Value>,
    /// Priority of its jobs, where it is not their kind's; 9 goes first.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i16).range(0..=9))]
    priority: Option<i16>,
    /// Failures after which a job fails permanently.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=1000))]
    max_failures: Option<i32>,
    /// Time after which a running job is terminated.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(i32).range(1..=86_400))]
    hard_limit: Option<i32>,
    /// Time for which a finished job is retained.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(i32).range(0..=315_360_000))]
    keep: Option<i32>,
}

impl SettingsArgs {
    /// Returns the timing from the options, or `None` if they do not set it.
    fn timing(&self, old: Option<&Timing>) -> anyhow::Result<Option<Timing>> {
        let old = match old {
            Some(Timing::Cron(cron, zone)) => Some((cron, zone)),
            Some(Timing::Every(_)) | None => None,
        };
        Ok(match (&self.cron, self.time_zone.clone(), self.every) {
            (_, _, Some(secs)) => Some(Timing::Every(secs)),
            (Some(cron), zone, None) => {
                let zone = zone.or_else(|| old.map(|(_, zone)| zone.clone())).unwrap_or(Zone::UTC);
                Some(Timing::Cron(cron.clone(), zone))
            }
            (None, Some(zone), None) => {
                let (cron, _) = old.ok_or_else(|| Failure::usage("--time-zone needs --cron"))?;
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
        ScheduleCommand::Ls { output } => output.list(schedule::list(&pool).await?, list_table),
        ScheduleCommand::Show { name, output } => output.object(find(&pool, &name).await?, show_table),
        ScheduleCommand::Add { name, kind, settings, paused, output } => {
            let timing = settings.timing(None)?;
            let timing =
                timing.ok_or_else(|| Failure::usage("a schedule needs --cron EXPRESSION or --every SECONDS"))?;
            let terms = settings.terms();
            let payload = settings.payload.unwrap_or_else(|| json!({}));
            let new = NewSchedule { name: name.name, kind, payload, timing, paused, terms };
            output.object(schedule::create(&pool, &new).await.map_err(with_fields)?, show_table)
        }
        ScheduleCommand::Update { name, settings, output } => {
            let old = find(&pool, &name).await?;
            let timing = settings.timing(old.timing.as_ref().ok())?;
            let terms = settings.terms();
            let change = Change { payload: settings.payload, timing, paused: None, terms };
            let changed = schedule::change(&pool, old.schedule_id, change).await.map_err(with_fields)?;
            output.object(changed, show_table)
        }
        ScheduleCommand::Pause(name) => pause(&pool, &name, true).await,
        ScheduleCommand::Resume(name) => pause(&pool, &name, false).await,
        ScheduleCommand::Run { name, output } => {
            let job = schedule::run_now(&pool, find(&pool, &name).await?.schedule_id).await?;
            output.object(find(&pool, &name).await?, |schedule| {
                let mut table = Table::new(&["schedule", "job"]);
                table.row([schedule.name.clone().into(), job.into()]);
                table
            })
        }
        ScheduleCommand::Rm(name) => {
            schedule::delete(&pool, find(&pool, &name).await?.schedule_id).await?;
            tracing::info!(name = %name.name, "removed");
            Ok(())
        }
    }
}

async fn find(pool: &PgPool, name: &NameArgs) -> anyhow::Result<Schedule> {
    let name = &name.name;
    schedule::named(pool, name).await.map_err(|error| match error {
        Error::NotFound(_) => {
            Failure::not_found(format!("schedule {name} not found; `uncloud schedule ls` lists the schedules")).into()
        }
        other => other.into(),
    })
}

/// Replaces the number of invalid fields in an error by their names and messages.
fn with_fields(error: Error) -> anyhow::Error {
    match error {
        Error::Invalid(fields) => {
            let fields =
                fields.iter().map(|field| format!("{} {}", field.pointer.trim_start_matches('/'), field.message));
            Failure::usage(fields.collect::<Vec<_>>().join("; ")).into()
        }
        other => other.into(),
    }
}

async fn pause(pool: &PgPool, name: &NameArgs, paused: bool) -> anyhow::Result<()> {
    let schedule = find(pool, name).await?;
    let change = Change { paused: Some(paused), ..Change::default() };
    let schedule = schedule::change(pool, schedule.schedule_id, change).await?;
    let next = schedule.next_run_at.map(|next| next.to_rfc3339_opts(SecondsFormat::Secs, true));
    tracing::info!(name = %name.name, next, "{}", if paused { "paused" } else { "resumed" });
    Ok(())
}

/// Formats the timing, as in `17 3 * * * UTC` and `every 3600 s`.
fn when(schedule: &Schedule) -> String {
    match &schedule.timing {
        Ok(Timing::Cron(cron, zone)) => format!("{cron} {zone}"),
        Ok(Timing::Every(secs)) => format!("every {secs} s"),
        Err(error) => error.clone(),
    }
}

fn list_table(schedules: &[Schedule]) -> Table {
    let mut table =
        Table::new(&["name", "kind", "when", "paused", "next_run_at", "last_run_at", "last_job", "last_state"]);
    for schedule in schedules {
        table.row([
            schedule.name.clone().into(),
            schedule.kind.clone().into(),
            when(schedule).into(),
            schedule.paused_at.is_some().into(),
            schedule.next_run_at.map_or(Value::Null, time),
            schedule.last_run_at.map_or(Value::Null, time),
            schedule.last_job.map(|(job, _)| job).into(),
            schedule.last_job.map(|(_, state)| state.as_str()).into(),
        ]);
    }
    table
}

/// Formats a schedule as a table of facts.
fn show_table(schedule: &Schedule) -> Table {
    let terms = schedule.terms;
    let mut table = Table::facts([
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
    ]);
    for next in schedule.next_runs(AHEAD) {
        table.row(["next_run_at".into(), time(next)]);
    }
    table
}
