//! The time at which a delivered service changes.

use chrono::{DateTime, Utc};

use crate::http::word_scalar;

/// The customer's choice of when a delivered service follows a downgrade or a cancellation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceChange {
    /// At once, although the rest of the period is paid.
    Now,
    /// At the time when billing changes too.
    #[default]
    AtEnd,
}

impl ServiceChange {
    /// Returns the time at which the service changes, if the choice is made at `now` and billing changes at `end`.
    pub fn at(self, now: DateTime<Utc>, end: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Now => now.min(end),
            Self::AtEnd => end,
        }
    }
}

word_scalar!(
    ServiceChange,
    "ServiceChange",
    "The time at which the service follows a downgrade or a cancellation: at once (now), or when billing changes too (at_end).",
    ["now" => Self::Now, "at_end" => Self::AtEnd]
);
