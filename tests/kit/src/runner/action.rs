//! Actions of the jobs of tests.

use serde::{Deserialize, Serialize};

/// A job's action. The name of the variant is the job's kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Action {
    /// Succeeds at once.
    Nothing,
    /// Succeeds at once; the result is the time at which it started.
    Stamp,
    /// Succeeds after a while.
    Sleep {
        /// Its duration in milliseconds.
        millis: u64,
    },
    /// Succeeds after a while in which it blocks its thread.
    Block {
        /// Its duration in milliseconds.
        millis: u64,
    },
    /// Waits for its soft limit and succeeds.
    WindUp,
    /// Waits for a child process that outlives every test; the child's process id is its progress.
    Child,
    /// Fails for good.
    Fail {
        /// The error that it reports.
        error: String,
    },
    /// Fails in its first attempts, then succeeds.
    FailFirst {
        /// The number of attempts that fail.
        times: usize,
    },
    /// Takes a while, and fails in its first attempt.
    FailLate {
        /// Its duration in milliseconds.
        millis: u64,
    },
    /// Snoozes in its first attempt.
    SnoozeFirst {
        /// For how long, in milliseconds.
        millis: u64,
    },
    /// Panics in the handler.
    Panic,
    /// Aborts its worker.
    Abort,
    /// Succeeds at once, with a big payload.
    Big {
        /// The payload's size in bytes.
        bytes: usize,
    },
}

impl Action {
    /// Returns the job's kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Stamp => "stamp",
            Self::Sleep { .. } => "sleep",
            Self::Block { .. } => "block",
            Self::WindUp => "wind_up",
            Self::Child => "child",
            Self::Fail { .. } => "fail",
            Self::FailFirst { .. } => "fail_first",
            Self::FailLate { .. } => "fail_late",
            Self::SnoozeFirst { .. } => "snooze_first",
            Self::Panic => "panic",
            Self::Abort => "abort",
            Self::Big { .. } => "big",
        }
    }
}
