//! How far a job is, in answers.

use poem_openapi::Object;
use uncloud_wire::stream;

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename = "Progress")]
pub struct JobProgress {
    /// Steps done.
    pub done: u64,
    /// All steps.
    pub total: u64,
    /// What is being done.
    pub message: String,
}

impl From<stream::Progress> for JobProgress {
    fn from(stream::Progress { done, total, message }: stream::Progress) -> Self {
        Self { done, total, message }
    }
}
