//! The names of queues, which workers are started with.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The name of a queue: a host's FQDN, or a bare word such as `billing` for the provider's own work.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct QueueName(String);

/// The error of a text that is not a queue name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a queue must be a host name (letters, digits, hyphens and dots, at most 253 characters) such as vpn-1.example.ch, or billing"
)]
pub struct QueueNameError;

/// The name of the servers' own queue; see [`QueueName::server`].
pub const SERVER: &str = "server";
/// The name of the queue of the provider's own work, whose workers have the database's credentials.
const BILLING: &str = "billing";

impl QueueName {
    /// Returns the queue of the jobs that servers run themselves, in the database alone. It never reaches Redis, and
    /// needs no worker.
    pub fn server() -> Self {
        Self(SERVER.to_owned())
    }

    /// Returns the queue of bill runs. It can't be a host's name, which contains a dot.
    pub fn billing() -> Self {
        Self(BILLING.to_owned())
    }

    /// Returns true if its workers have the database's credentials.
    pub fn is_billing(&self) -> bool {
        self.0 == BILLING
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the Redis stream of the jobs that are ready to run. The braces are a hash tag: one queue, one cluster
    /// slot.
    pub fn jobs_key(&self) -> String {
        format!("uncloud:{{{}}}:jobs", self.0)
    }

    /// Returns the Redis stream of workers' events. One for each queue, so that a host can't write another host's
    /// results.
    pub fn events_key(&self) -> String {
        format!("uncloud:{{{}}}:events", self.0)
    }

    /// Returns the Redis stream of reports that may get lost: workers' states, jobs' progress. Bounded.
    pub fn reports_key(&self) -> String {
        format!("uncloud:{{{}}}:reports", self.0)
    }

    /// Returns the Redis stream of the server's commands to the queue's workers. Bounded; commands are repeated until
    /// they have taken effect.
    pub fn control_key(&self) -> String {
        format!("uncloud:{{{}}}:control", self.0)
    }

    /// Returns the queue that a key of the streams above belongs to.
    pub fn of_key(key: &str) -> Option<Self> {
        let (name, _) = key.strip_prefix("uncloud:{")?.split_once("}:")?;
        name.parse().ok()
    }
}

/// Returns true if the text is a label of a host name by RFC 1123, section 2.1.
fn is_label(label: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&label.len()) && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
}

impl FromStr for QueueName {
    type Err = QueueNameError;

    fn from_str(text: &str) -> Result<Self, QueueNameError> {
        let name = text.to_ascii_lowercase();
        if name.len() <= 253 && name.split('.').all(is_label) { Ok(Self(name)) } else { Err(QueueNameError) }
    }
}

impl TryFrom<String> for QueueName {
    type Error = QueueNameError;

    fn try_from(text: String) -> Result<Self, QueueNameError> {
        text.parse()
    }
}

impl From<QueueName> for String {
    fn from(name: QueueName) -> Self {
        name.0
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_name_in_upper_case_is_folded() {
        assert_eq!("VPN-1.Example.CH".parse::<QueueName>().map(String::from), Ok("vpn-1.example.ch".into()));
        assert_eq!("billing".parse::<QueueName>().map(|name| name.jobs_key()), Ok("uncloud:{billing}:jobs".into()));
    }

    #[test]
    fn queue_name_with_special_characters_is_refused() {
        for wrong in ["", ".", "a..b", "-a", "a-", "a}b", "a b", "a\n", "ü", &"a".repeat(64), &"a.".repeat(130)] {
            assert_eq!(wrong.parse::<QueueName>(), Err(QueueNameError), "{wrong:?}");
        }
    }
}
