//! The history of a job, step by step.

use chrono::{DateTime, Utc};

use super::inspect::{JobAttempt, JobDetail};

/// An event in the history of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The time of the event.
    pub at: DateTime<Utc>,
    /// The job's state from then on, or the outcome of an attempt: `retry`, `snoozed`, `lost`.
    pub event: String,
    /// The number of the attempt, from 1; none before the first one.
    pub attempt: Option<i32>,
    /// The worker that ran it.
    pub worker: Option<String>,
    /// The error, if it failed.
    pub error: Option<String>,
}

/// Returns the steps from the job's creation to now. `running` is only known of attempts that took longer than a
/// heartbeat.
pub fn history(job: &JobDetail) -> Vec<Step> {
    let mut steps = vec![step(Some(job.line.created_at), "queued", None)];
    for attempt in &job.attempts {
        let JobAttempt { attempt: number, worker, error, .. } = attempt;
        steps.push(step(attempt.dispatched_at, "dispatched", Some(*number)));
        steps.push(step(attempt.running_at, "running", Some(*number)).map(|step| by(step, worker.as_ref())));
        let end = step(Some(attempt.ended_at), &attempt.outcome, Some(*number));
        steps.push(end.map(|step| Step { error: error.clone(), ..by(step, worker.as_ref()) }));
    }
    let line = &job.line;
    let recorded = job.attempts.last().filter(|last| last.attempt == line.attempt);
    if recorded.is_none() && line.attempt > 0 {
        steps.push(step(job.dispatched_at, "dispatched", Some(line.attempt)));
        steps.push(step(job.running_at, "running", Some(line.attempt)).map(|step| by(step, job.worker.as_ref())));
    }
    if recorded.is_none_or(|last| last.outcome != line.state.as_str()) {
        let end =
            step(line.finished_at, line.state.as_str(), recorded.is_none().then_some(line.attempt).filter(|n| *n > 0));
        let worker = job.worker.as_ref().filter(|_| recorded.is_none());
        steps.push(end.map(|step| Step { error: line.error.clone(), ..by(step, worker) }));
    }
    steps.into_iter().flatten().collect()
}

fn step(at: Option<DateTime<Utc>>, event: &str, attempt: Option<i32>) -> Option<Step> {
    Some(Step { at: at?, event: event.to_owned(), attempt, worker: None, error: None })
}

fn by(step: Step, worker: Option<&String>) -> Step {
    Step { worker: worker.cloned(), ..step }
}
