//! The types of schedules, and of requests to create or change one.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uncloud_wire::JobId;

use super::{ScheduleName, scheduled::Scheduled, timing::Timing};
use crate::queue::{JobState, Policy};

/// A schedule, as it is stored.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Identifies the schedule.
    pub schedule_id: i64,
    /// The name of the schedule.
    pub name: String,
    /// The kind of its jobs; a newer program may have introduced it.
    pub kind: String,
    /// The payload of its jobs.
    pub payload: Value,
    /// The due times, or the reason for which they can't be read.
    pub timing: Result<Timing, String>,
    /// The due time of the next tick; none while it is paused.
    pub next_run_at: Option<DateTime<Utc>>,
    /// The time since which it is paused.
    pub paused_at: Option<DateTime<Utc>>,
    /// The due time of the last tick.
    pub last_due_at: Option<DateTime<Utc>>,
    /// The time at which its last job was requested, by a tick or manually.
    pub last_run_at: Option<DateTime<Utc>>,
    /// The last job and its state, until the job is deleted.
    pub last_job: Option<(JobId, JobState)>,
    /// The terms of its jobs that differ from those of their kind.
    pub terms: Terms,
    /// The time of its creation.
    pub created_at: DateTime<Utc>,
}

impl Schedule {
    /// Returns the reason for which the schedule does not run, if this program can't read its row.
    pub fn error(&self) -> Option<String> {
        match (&self.timing, Scheduled::parse(&self.kind)) {
            (Err(error), _) => Some(error.clone()),
            (Ok(_), None) => Some(format!("this program does not know the kind {}; update it", self.kind)),
            (Ok(_), Some(_)) => None,
        }
    }

    /// Returns the next due times.
    pub fn next_runs(&self, count: usize) -> Vec<DateTime<Utc>> {
        match (&self.timing, self.next_run_at) {
            (Ok(timing), Some(next)) => timing.following(next).take(count).collect(),
            _ => Vec::new(),
        }
    }
}

/// The terms of a schedule's jobs that differ from those of their kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terms {
    /// The priority, 0 to 9; jobs of priority 9 run first.
    pub priority: Option<i16>,
    /// The number of failures after which a job fails permanently.
    pub max_failures: Option<i32>,
    /// The seconds after which a job is terminated.
    pub hard_limit_seconds: Option<i32>,
    /// The seconds for which a finished job is retained.
    pub keep_seconds: Option<i32>,
}

impl Terms {
    pub(super) fn over(self, policy: Policy) -> Policy {
        let secs = |secs: Option<i32>| secs.and_then(|secs| secs.try_into().ok()).map(Duration::from_secs);
        Policy {
            priority: self.priority.unwrap_or(policy.priority),
            max_failures: self.max_failures.unwrap_or(policy.max_failures),
            hard_limit: secs(self.hard_limit_seconds).or(policy.hard_limit),
            keep: secs(self.keep_seconds).unwrap_or(policy.keep),
            ..policy
        }
    }

    /// Returns these terms, completed by the older ones.
    pub(super) fn or(self, older: Self) -> Self {
        Self {
            priority: self.priority.or(older.priority),
            max_failures: self.max_failures.or(older.max_failures),
            hard_limit_seconds: self.hard_limit_seconds.or(older.hard_limit_seconds),
            keep_seconds: self.keep_seconds.or(older.keep_seconds),
        }
    }
}

/// A schedule to be created.
#[derive(Debug)]
pub struct NewSchedule {
    /// The name of the schedule.
    pub name: ScheduleName,
    /// The kind of its jobs.
    pub kind: Scheduled,
    /// The payload of its jobs.
    pub payload: Value,
    /// The due times.
    pub timing: Timing,
    /// True if the schedule is created without starting it.
    pub paused: bool,
    /// The terms of its jobs.
    pub terms: Terms,
}

/// An update of a schedule; a field that is none stays as it is.
#[derive(Debug, Default)]
pub struct Change {
    /// The payload of its jobs.
    pub payload: Option<Value>,
    /// The due times.
    pub timing: Option<Timing>,
    /// True pauses the ticks, false resumes them; due times in between are skipped.
    pub paused: Option<bool>,
    /// The terms of its jobs.
    pub terms: Terms,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_left_open_are_those_of_the_kind() {
        let terms = Terms { priority: Some(9), keep_seconds: Some(60), ..Terms::default() };
        let policy = terms.over(Policy::DEFAULT);
        let expected = Policy { priority: 9, keep: Duration::from_mins(1), ..Policy::DEFAULT };
        assert_eq!(policy, expected);
        assert_eq!(Terms::default().over(Policy::DEFAULT), Policy::DEFAULT);
    }
}
