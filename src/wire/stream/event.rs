//! Workers' events about jobs.

use serde::{Deserialize, Serialize};

use crate::job::JobId;

/// The length to which error texts are truncated, in bytes.
const MAX_ERROR: usize = 2000;

/// The outcome in an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The job was running at a heartbeat.
    Running,
    /// The job succeeded; the body is the result as JSON.
    Succeeded,
    /// The job failed, but may succeed later; the body is the reason.
    Retry,
    /// The job can't run yet and waits; the body is the reason.
    Snooze,
    /// The job failed permanently; the body is the reason.
    Failed,
    /// The job was revoked before or while it ran.
    Revoked,
}

impl Outcome {
    /// Returns the name that Redis stores.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Retry => "retry",
            Self::Snooze => "snooze",
            Self::Failed => "failed",
            Self::Revoked => "revoked",
        }
    }

    /// Returns the outcome of that name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Running, Self::Succeeded, Self::Retry, Self::Snooze, Self::Failed, Self::Revoked]
            .into_iter()
            .find(|outcome| outcome.as_str() == text)
    }
}

/// The subject of an event: one delivery of one dispatch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeliveryId {
    pub job_id: JobId,
    pub fence: i64,
    /// The number of deliveries of the entry so far. The server only accepts reports of the latest one.
    pub deliveries: usize,
}

/// The progress of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The number of completed steps.
    pub done: u64,
    /// The number of all steps.
    pub total: u64,
    /// The current activity, for people.
    pub message: String,
}

/// Returns the message as one line of bounded length.
pub fn clean(message: &str) -> String {
    let mut text: String = message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.len() > MAX_ERROR {
        let end = (0..=MAX_ERROR).rev().find(|index| text.is_char_boundary(*index)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clean_of_a_long_text_is_one_bounded_line() {
        assert_eq!(clean("a\nb\u{1b}[31m"), "a b [31m");
        assert!(clean(&"ü".repeat(5000)).len() <= MAX_ERROR + '…'.len_utf8());
    }
}
