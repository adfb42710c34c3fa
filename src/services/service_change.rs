//! When what is delivered changes.

use chrono::{DateTime, Utc};

use crate::http::word_scalar;

/// When what is delivered follows a downgrade or a cancellation: the customer's choice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceChange {
    /// At once, though the rest is paid.
    Now,
    /// When billing changes too.
    #[default]
    AtEnd,
}

impl ServiceChange {
    /// When what is delivered changes, if it is chosen `now` and billing changes at `end`.
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
    "When what is delivered follows a downgrade or a cancellation: at once (now), or when charging changes too (at_end).",
    ["now" => Self::Now, "at_end" => Self::AtEnd]
);
