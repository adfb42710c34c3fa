//! What workers report of jobs.

use serde::{Deserialize, Serialize};

use crate::job::JobId;

/// Bytes of an error text that are kept.
const MAX_ERROR: usize = 2000;

/// What an event says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A heartbeat found it running.
    Running,
    /// Done; the body is the result as JSON.
    Succeeded,
    /// Failed, may work later; the body says why.
    Retry,
    /// Wants to be left alone for a while; the body says why.
    Snooze,
    /// Failed for good; the body says why.
    Failed,
    /// Revoked before or while it ran.
    Revoked,
}

impl Outcome {
    /// Its name in Redis.
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

    /// The outcome of that name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Running, Self::Succeeded, Self::Retry, Self::Snooze, Self::Failed, Self::Revoked]
            .into_iter()
            .find(|outcome| outcome.as_str() == text)
    }
}

/// What an event is about: one delivery of one dispatch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeliveryId {
    pub job_id: JobId,
    pub fence: i64,
    /// How often the entry has been delivered by then. The server goes by the worker that has it now.
    pub deliveries: usize,
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps done.
    pub done: u64,
    /// All steps.
    pub total: u64,
    /// What is being done.
    pub message: String,
}

/// One line of bounded length.
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
    fn errors_are_one_line_of_bounded_length() {
        assert_eq!(clean("a\nb\u{1b}[31m"), "a b [31m");
        assert!(clean(&"ü".repeat(5000)).len() <= MAX_ERROR + '…'.len_utf8());
    }
}
