//! The progress of a job in responses.

use poem_openapi::Object;
use uncloud_wire::stream;

/// The progress of a job.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename = "Progress")]
pub struct JobProgress {
    /// The number of completed steps.
    pub done: u64,
    /// The number of all steps.
    pub total: u64,
    /// The current activity, for people.
    pub message: String,
}

impl From<stream::Progress> for JobProgress {
    fn from(stream::Progress { done, total, message }: stream::Progress) -> Self {
        Self { done, total, message }
    }
}
