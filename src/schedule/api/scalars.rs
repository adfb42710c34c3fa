//! The scalar types of schedules in the API.

use clap::ValueEnum as _;
use poem_openapi::{registry::MetaSchema, types::Type as _};
use serde_json::Value;

use crate::{
    http::{Scalar, parse_text, scalar, string_schema},
    schedule::Scheduled,
    schedule::{CronText, ScheduleName},
    vpn::HostnameText,
};

/// The name of a schedule.
#[derive(Debug, Clone)]
pub struct NameText(pub ScheduleName);

impl Scalar for NameText {
    fn component() -> String {
        "ScheduleName".into()
    }

    fn schema() -> MetaSchema {
        let pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";
        string_schema("schedule-name", pattern, "vpn-reconcile", "A word for people and commands; it can't be changed.")
    }

    fn parse(value: &Value) -> Result<Self, String> {
        parse_text(value).map(Self)
    }
}
scalar!([] NameText);

/// A cron expression.
#[derive(Debug, Clone)]
pub struct CronField(pub CronText);

impl Scalar for CronField {
    fn component() -> String {
        "Cron".into()
    }

    fn schema() -> MetaSchema {
        let description = "Minute, hour, day of the month, month and day of the week, as in crontab(5). Wall times that are \
                           skipped in spring are due right after, those that occur twice in autumn are due once.";
        MetaSchema {
            max_length: Some(200),
            ..string_schema("cron", r"^\S+(\s+\S+){4}$|^@", "17 3 * * mon-fri", description)
        }
    }

    fn parse(value: &Value) -> Result<Self, String> {
        parse_text(value).map(Self)
    }
}
scalar!([] CronField);

/// The kind of a schedule's jobs.
#[derive(Debug, Clone, Copy)]
pub struct KindText(pub Scheduled);

impl Scalar for KindText {
    fn component() -> String {
        "ScheduledKind".into()
    }

    fn schema() -> MetaSchema {
        MetaSchema {
            enum_items: kinds().map(Value::from).collect(),
            description: Some("The kind of the schedule's jobs."),
            example: Some("vpn_reconcile".into()),
            ..MetaSchema::new("string")
        }
    }

    fn parse(value: &Value) -> Result<Self, String> {
        let kind = value.as_str().and_then(Scheduled::parse).map(Self);
        kind.ok_or_else(|| format!("must be one of: {}", kinds().collect::<Vec<_>>().join(", ")))
    }
}
scalar!([] KindText);

fn kinds() -> impl Iterator<Item = &'static str> {
    Scheduled::value_variants().iter().map(|scheduled| scheduled.kind().as_str())
}

/// The payload of a schedule's jobs.
#[derive(Debug, Clone)]
pub struct PayloadObject(pub Value);

impl Scalar for PayloadObject {
    fn component() -> String {
        "SchedulePayload".into()
    }

    fn schema() -> MetaSchema {
        MetaSchema {
            description: Some(
                "The payload of the jobs. `vpn_reconcile`: empty for all hosts, or `vpn_hostname` for one. `job_cleanup` and `bill_run`: empty.",
            ),
            example: Some(serde_json::json!({ "vpn_hostname": "vpn-1.example.ch" })),
            properties: vec![("vpn_hostname", HostnameText::schema_ref())],
            ..MetaSchema::new("object")
        }
    }

    fn parse(value: &Value) -> Result<Self, String> {
        if value.is_object() { Ok(Self(value.clone())) } else { Err("must be an object".to_owned()) }
    }
}
scalar!([] PayloadObject);
