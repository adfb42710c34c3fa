//! What a schedule is, and what it takes to make or change one.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uncloud_wire::JobId;

use super::{ScheduleName, scheduled::Scheduled, timing::Timing};
use crate::queue::{JobState, Policy};

/// A schedule.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Identifies it.
    pub schedule_id: i64,
    /// Its name.
    pub name: String,
    /// The kind of its jobs; a newer program may have made it up.
    pub kind: String,
    /// The payload of its jobs.
    pub payload: Value,
    /// When it is due, or why that can't be read.
    pub timing: Result<Timing, String>,
    /// The next tick; none while it is paused.
    pub next_run_at: Option<DateTime<Utc>>,
    /// Since when it is paused.
    pub paused_at: Option<DateTime<Utc>>,
    /// When the last tick was due.
    pub last_due_at: Option<DateTime<Utc>>,
    /// When its last job was asked for, by a tick or by hand.
    pub last_run_at: Option<DateTime<Utc>>,
    /// That job, until it is forgotten.
    pub last_job: Option<(JobId, JobState)>,
    /// Where its jobs' terms differ from their kind's.
    pub terms: Terms,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

impl Schedule {
    /// Why it does not run, where its row can't be read by this program.
    pub fn error(&self) -> Option<String> {
        match (&self.timing, Scheduled::parse(&self.kind)) {
            (Err(trouble), _) => Some(trouble.clone()),
            (Ok(_), None) => Some(format!("this program does not know the kind {}; update it", self.kind)),
            (Ok(_), Some(_)) => None,
        }
    }

    /// The next due times.
    pub fn next_runs(&self, count: usize) -> Vec<DateTime<Utc>> {
        match (&self.timing, self.next_run_at) {
            (Ok(timing), Some(next)) => timing.following(next).take(count).collect(),
            _ => Vec::new(),
        }
    }
}

/// Terms of a schedule's jobs that differ from those of their kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terms {
    /// 0 to 9; 9 goes first.
    pub priority: Option<i16>,
    /// Failures after which a job is given up.
    pub max_failures: Option<i32>,
    /// A job is ended after this long.
    pub hard_limit_seconds: Option<i32>,
    /// How long a finished job is kept.
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

    /// These, and the older ones where these say nothing.
    pub(super) fn or(self, older: Self) -> Self {
        Self {
            priority: self.priority.or(older.priority),
            max_failures: self.max_failures.or(older.max_failures),
            hard_limit_seconds: self.hard_limit_seconds.or(older.hard_limit_seconds),
            keep_seconds: self.keep_seconds.or(older.keep_seconds),
        }
    }
}

/// What staff want of a new schedule.
#[derive(Debug)]
pub struct NewSchedule {
    /// Its name.
    pub name: ScheduleName,
    /// What to do.
    pub kind: Scheduled,
    /// Whom it is about.
    pub payload: Value,
    /// When.
    pub timing: Timing,
    /// Not yet.
    pub paused: bool,
    /// The jobs' terms.
    pub terms: Terms,
}

/// What to change of a schedule; what is left out stays.
#[derive(Debug, Default)]
pub struct Change {
    /// Whom it is about.
    pub payload: Option<Value>,
    /// When.
    pub timing: Option<Timing>,
    /// Stops the ticks, or lets them go on; those in between are not caught up.
    pub paused: Option<bool>,
    /// The jobs' terms.
    pub terms: Terms,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_the_kinds_where_a_schedule_says_nothing() {
        let terms = Terms { priority: Some(9), keep_seconds: Some(60), ..Terms::default() };
        let policy = terms.over(Policy::DEFAULT);
        let expected = Policy { priority: 9, keep: Duration::from_mins(1), ..Policy::DEFAULT };
        assert_eq!(policy, expected);
        assert_eq!(Terms::default().over(Policy::DEFAULT), Policy::DEFAULT);
    }
}
