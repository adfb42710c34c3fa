//! Schedules in requests and answers.

use chrono::{DateTime, Utc};
use poem_openapi::{
    Object,
    types::{Any, ToJSON as _},
};
use serde_json::{Value, json};

use super::scalars::{CronField, KindText, NameText, PayloadObject};
use crate::{
    error::{Error, FieldError},
    http::{Flag, Number, Shown, TimeZone, input},
    queue::JobRef,
    schedule::{
        definition::{Change, NewSchedule, Schedule, Terms},
        scheduled::Scheduled,
        timing::{Timing, Zone},
    },
};

/// Due times that are shown ahead.
const AHEAD: usize = 5;

input! {
    /// A schedule to be made: either `cron` or `every_seconds`.
    pub struct ScheduleCreate {
        /// Its name, which stays.
        pub name: NameText,
        /// What to do.
        pub kind: KindText,
        /// Whom it is about; nothing when left out.
        pub payload: Option<PayloadObject>,
        /// When, by the wall clock.
        pub cron: Option<CronField>,
        /// Whose wall clock; UTC when left out.
        pub time_zone: Option<TimeZone>,
        /// Or every so many seconds, from now on.
        pub every_seconds: Option<Number<1, 31_622_400>>,
        /// Make it without letting it run.
        pub paused: Option<Flag>,
        /// The jobs' priority, where it is not their kind's; 9 goes first.
        pub priority: Option<Number<0, 9>>,
        /// Failures after which a job is given up, where these are not its kind's.
        pub max_failures: Option<Number<1, 1000>>,
        /// Seconds after which a job is ended, where these are not its kind's.
        pub hard_limit_seconds: Option<Number<1, 86_400>>,
        /// Seconds for which a finished job is kept, where these are not its kind's.
        pub keep_seconds: Option<Number<0, 315_360_000>>,
    }
}

input! {
    /// What to change of a schedule; what is left out stays.
    pub struct ScheduleUpdate {
        /// Whom it is about.
        pub payload: Option<PayloadObject>,
        /// When, by the wall clock.
        pub cron: Option<CronField>,
        /// Whose wall clock.
        pub time_zone: Option<TimeZone>,
        /// Or every so many seconds, from now on.
        pub every_seconds: Option<Number<1, 31_622_400>>,
        /// Stops it, or lets it go on with the next due time; those in between are not caught up.
        pub paused: Option<Flag>,
        /// The jobs' priority; 9 goes first.
        pub priority: Option<Number<0, 9>>,
        /// Failures after which a job is given up.
        pub max_failures: Option<Number<1, 1000>>,
        /// Seconds after which a job is ended.
        pub hard_limit_seconds: Option<Number<1, 86_400>>,
        /// Seconds for which a finished job is kept.
        pub keep_seconds: Option<Number<0, 315_360_000>>,
    }
}

/// The timing that was asked for; none when nothing was said of it. `old` fills in what a change leaves out.
fn timing(
    cron: Option<CronField>,
    zone: Option<TimeZone>,
    every_seconds: Option<u32>,
    old: Option<&Timing>,
) -> Result<Option<Timing>, Error> {
    let zone = zone.map(|zone| zone.0.into());
    match (cron, zone, every_seconds, old) {
        (Some(_), _, Some(_), _) => Err(Error::field("every_seconds", "must be left out where there is cron")),
        (Some(CronField(cron)), Some(zone), None, _) => Ok(Some(Timing::Cron(cron, zone))),
        (Some(CronField(cron)), None, None, Some(Timing::Cron(_, zone))) => Ok(Some(Timing::Cron(cron, *zone))),
        (Some(CronField(cron)), None, None, _) => Ok(Some(Timing::Cron(cron, Zone::UTC))),
        (None, None, Some(secs), _) => Ok(Some(Timing::Every(secs))),
        (None, Some(zone), None, Some(Timing::Cron(cron, _))) => Ok(Some(Timing::Cron(cron.clone(), zone))),
        (None, Some(_), _, _) => Err(Error::field("time_zone", "means nothing without cron")),
        (None, None, None, _) => Ok(None),
    }
}

impl ScheduleCreate {
    pub(super) fn new_schedule(self) -> Result<NewSchedule, Error> {
        let timing = timing(self.cron, self.time_zone, self.every_seconds.map(Number::get), None)?;
        let missing = || Error::Invalid(vec![FieldError::new("cron", "is missing; give it, or every_seconds")]);
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

/// What is done again and again.
#[derive(Debug, Object)]
#[oai(rename = "Schedule", skip_serializing_if_is_none)]
pub(super) struct ScheduleBody {
    /// Identifies the schedule.
    id: i64,
    /// Its name.
    name: String,
    /// What is done: the kind of its jobs.
    kind: String,
    /// Whose work its jobs are; absent when this server does not know the kind.
    queue: Option<String>,
    /// Whom it is about.
    payload: Any<Value>,
    /// When, by the wall clock.
    cron: Option<String>,
    /// Whose wall clock.
    time_zone: Option<String>,
    /// Or every so many seconds.
    every_seconds: Option<u32>,
    /// Why it does not run: its row can't be read.
    error: Option<String>,
    /// Since when it is paused.
    paused_at: Option<DateTime<Utc>>,
    /// The next due times; none while it is paused.
    next_runs: Vec<DateTime<Utc>>,
    /// When the last tick was due.
    last_due_at: Option<DateTime<Utc>>,
    /// When its last job was asked for, by a tick or by hand.
    last_run_at: Option<DateTime<Utc>>,
    /// That job, until it is forgotten.
    last_job: Option<JobRef>,
    /// The jobs' priority, where it is not their kind's.
    priority: Option<i16>,
    /// Failures after which a job is given up, where these are not its kind's.
    max_failures: Option<i32>,
    /// Seconds after which a job is ended, where these are not its kind's.
    hard_limit_seconds: Option<i32>,
    /// Seconds for which a finished job is kept, where these are not its kind's.
    keep_seconds: Option<i32>,
    /// When it was made.
    created_at: DateTime<Utc>,
}

impl Shown for Schedule {
    fn shown(self) -> Option<Value> {
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

/// All schedules.
#[derive(Debug, Object)]
pub(super) struct ScheduleList {
    /// By name.
    pub(super) items: Vec<ScheduleBody>,
}
