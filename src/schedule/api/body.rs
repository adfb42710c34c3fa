//! Schedules in requests and responses.

use chrono::{DateTime, Utc};
use poem_openapi::{
    Object,
    types::{Any, ToJSON as _},
};
use serde_json::{Value, json};

use super::scalars::{CronField, KindText, NameText, PayloadObject};
use crate::{
    error::{Error, FieldError},
    http::{Flag, Number, Representation, TimeZone, input},
    queue::JobRef,
    schedule::{
        definition::{Change, NewSchedule, Schedule, Terms},
        scheduled::Scheduled,
        timing::{Timing, Zone},
    },
};

/// The number of due times that a response lists.
const AHEAD: usize = 5;

input! {
    /// A schedule to be created, with either `cron` or `every_seconds`.
    pub struct ScheduleCreate {
        /// The name; it can't be changed.
        pub name: NameText,
        /// The kind of its jobs.
        pub kind: KindText,
        /// The payload of its jobs; empty if omitted.
        pub payload: Option<PayloadObject>,
        /// The due times, as a cron expression by the wall clock.
        pub cron: Option<CronField>,
        /// The time zone of the wall clock; UTC if omitted.
        pub time_zone: Option<TimeZone>,
        /// The interval in seconds, from now on; an alternative to `cron`.
        pub every_seconds: Option<Number<1, 31_622_400>>,
        /// True creates the schedule without starting it.
        pub paused: Option<Flag>,
        /// The priority of its jobs, if it is not that of their kind; jobs of priority 9 run first.
        pub priority: Option<Number<0, 9>>,
        /// The number of failures after which a job fails permanently, if it is not that of the jobs' kind.
        pub max_failures: Option<Number<1, 1000>>,
        /// The seconds after which a job is terminated, if they are not those of its kind.
        pub hard_limit_seconds: Option<Number<1, 86_400>>,
        /// The seconds for which a finished job is retained, if they are not those of its kind.
        pub keep_seconds: Option<Number<0, 315_360_000>>,
    }
}

input! {
    /// An update of a schedule; omitted members do not change.
    pub struct ScheduleUpdate {
        /// The payload of its jobs.
        pub payload: Option<PayloadObject>,
        /// The due times, as a cron expression by the wall clock.
        pub cron: Option<CronField>,
        /// The time zone of the wall clock.
        pub time_zone: Option<TimeZone>,
        /// The interval in seconds, from now on; an alternative to `cron`.
        pub every_seconds: Option<Number<1, 31_622_400>>,
        /// True pauses the schedule, false resumes it at the next due time; due times in between are skipped.
        pub paused: Option<Flag>,
        /// The priority of its jobs; jobs of priority 9 run first.
        pub priority: Option<Number<0, 9>>,
        /// The number of failures after which a job fails permanently.
        pub max_failures: Option<Number<1, 1000>>,
        /// The seconds after which a job is terminated.
        pub hard_limit_seconds: Option<Number<1, 86_400>>,
        /// The seconds for which a finished job is retained.
        pub keep_seconds: Option<Number<0, 315_360_000>>,
    }
}

/// Returns the requested timing; none if the request does not mention it. `old` fills in what a change omits.
fn timing(
    cron: Option<CronField>,
    zone: Option<TimeZone>,
    every_seconds: Option<u32>,
    old: Option<&Timing>,
) -> Result<Option<Timing>, Error> {
    let zone = zone.map(|zone| zone.to_string().parse::<Zone>()).transpose();
    let zone = zone.map_err(|error| Error::field("time_zone", error.to_string()))?;
    match (cron, zone, every_seconds, old) {
        (Some(_), _, Some(_), _) => Err(Error::field("every_seconds", "must be omitted if cron is given")),
        (Some(CronField(cron)), Some(zone), None, _) => Ok(Some(Timing::Cron(cron, zone))),
        (Some(CronField(cron)), None, None, Some(Timing::Cron(_, zone))) => Ok(Some(Timing::Cron(cron, zone.clone()))),
        (Some(CronField(cron)), None, None, _) => Ok(Some(Timing::Cron(cron, Zone::UTC))),
        (None, None, Some(secs), _) => Ok(Some(Timing::Every(secs))),
        (None, Some(zone), None, Some(Timing::Cron(cron, _))) => Ok(Some(Timing::Cron(cron.clone(), zone))),
        (None, Some(_), _, _) => Err(Error::field("time_zone", "must be omitted without cron")),
        (None, None, None, _) => Ok(None),
    }
}

impl ScheduleCreate {
    pub(super) fn new_schedule(self) -> Result<NewSchedule, Error> {
        let timing = timing(self.cron, self.time_zone, self.every_seconds.map(Number::get), None)?;
        let missing = || Error::Invalid(vec![FieldError::new("cron", "is missing; set cron or every_seconds")]);
        Ok(NewSchedule {
            name: self.name.0,
            kind: self.kind.0,
            payload: self.payload.map_or_else(|| json!({}), |payload| payload.0),
            timing: timing.ok_or_else(missing)?,
            paused: self.paused.is_some_and(|paused| paused.0),
            terms: Terms {
                priority: self.priority.map(Number::get),
                max_failures: self.max_failures.map(Number::get),
                hard_limit_seconds: self.hard_limit_seconds.map(Number::get),
                keep_seconds: self.keep_seconds.map(Number::get),
            },
        })
    }
}

impl ScheduleUpdate {
    pub(super) fn change(self, old: &Schedule) -> Result<Change, Error> {
        let old = old.timing.as_ref().ok();
        Ok(Change {
            payload: self.payload.map(|payload| payload.0),
            timing: timing(self.cron, self.time_zone, self.every_seconds.map(Number::get), old)?,
            paused: self.paused.map(|paused| paused.0),
            terms: Terms {
                priority: self.priority.map(Number::get),
                max_failures: self.max_failures.map(Number::get),
                hard_limit_seconds: self.hard_limit_seconds.map(Number::get),
                keep_seconds: self.keep_seconds.map(Number::get),
            },
        })
    }
}

/// A schedule, which enqueues a job at each of its due times.
#[derive(Debug, Object)]
#[oai(rename = "Schedule", skip_serializing_if_is_none)]
pub(super) struct ScheduleBody {
    /// Identifies the schedule.
    id: i64,
    /// The name of the schedule.
    name: String,
    /// The kind of its jobs.
    kind: String,
    /// The queue of its jobs; absent if this server does not know the kind.
    queue: Option<String>,
    /// The payload of its jobs.
    payload: Any<Value>,
    /// The due times, as a cron expression by the wall clock.
    cron: Option<String>,
    /// The time zone of the wall clock.
    time_zone: Option<String>,
    /// The interval in seconds; an alternative to `cron`.
    every_seconds: Option<u32>,
    /// The reason for which the schedule does not run: its row can't be read.
    error: Option<String>,
    /// The time since which it is paused.
    paused_at: Option<DateTime<Utc>>,
    /// The next due times; empty while the schedule is paused.
    next_runs: Vec<DateTime<Utc>>,
    /// The due time of the last tick.
    last_due_at: Option<DateTime<Utc>>,
    /// The time at which its last job was requested, by a tick or manually.
    last_run_at: Option<DateTime<Utc>>,
    /// The last job, until it is deleted.
    last_job: Option<JobRef>,
    /// The priority of its jobs, if it is not that of their kind; jobs of priority 9 run first.
    priority: Option<i16>,
    /// The number of failures after which a job fails permanently, if it is not that of the jobs' kind.
    max_failures: Option<i32>,
    /// The seconds after which a job is terminated, if they are not those of its kind.
    hard_limit_seconds: Option<i32>,
    /// The seconds for which a finished job is retained, if they are not those of its kind.
    keep_seconds: Option<i32>,
    /// The time of its creation.
    created_at: DateTime<Utc>,
}

impl Representation for Schedule {
    fn representation(self) -> Option<Value> {
        ScheduleBody::from(self).to_json()
    }
}

impl From<Schedule> for ScheduleBody {
    fn from(schedule: Schedule) -> Self {
        let next_runs = schedule.next_runs(AHEAD);
        let error = schedule.error();
        let (cron, time_zone, every_seconds) = match schedule.timing {
            Ok(Timing::Cron(cron, zone)) => (Some(cron.to_string()), Some(zone.to_string()), None),
            Ok(Timing::Every(secs)) => (None, None, Some(secs)),
            Err(_) => (None, None, None),
        };
        Self {
            id: schedule.schedule_id,
            name: schedule.name,
            queue: Scheduled::parse(&schedule.kind).map(|kind| kind.queue().into()),
            kind: schedule.kind,
            payload: Any(schedule.payload),
            cron,
            time_zone,
            every_seconds,
            error,
            paused_at: schedule.paused_at,
            next_runs,
            last_due_at: schedule.last_due_at,
            last_run_at: schedule.last_run_at,
            last_job: schedule.last_job.map(|(id, state)| JobRef { id, state }),
            priority: schedule.terms.priority,
            max_failures: schedule.terms.max_failures,
            hard_limit_seconds: schedule.terms.hard_limit_seconds,
            keep_seconds: schedule.terms.keep_seconds,
            created_at: schedule.created_at,
        }
    }
}

/// The list of all schedules.
#[derive(Debug, Object)]
pub(super) struct ScheduleList {
    /// The schedules, by name.
    pub(super) items: Vec<ScheduleBody>,
}
