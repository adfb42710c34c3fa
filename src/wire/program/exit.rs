//! Exit codes: one list for both programs.

/// The ways in which a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The command succeeded.
    Success,
    /// The command was refused, or failed.
    Failed,
    /// An option, an argument or a setting is wrong.
    Usage,
    /// The object that the command is about does not exist.
    NotFound,
    /// A server or a worker that the command needs did not respond.
    NoResponse,
    /// A second signal ended the process at once.
    Interrupted,
    /// The reader of stdout has gone.
    OutputClosed,
}

impl Exit {
    /// All exits, by their codes.
    pub const ALL: [Self; 7] = [
        Self::Success,
        Self::Failed,
        Self::Usage,
        Self::NotFound,
        Self::NoResponse,
        Self::Interrupted,
        Self::OutputClosed,
    ];

    /// Returns the process' exit code. 130 and 141 are those that a shell reports after SIGINT and SIGPIPE.
    pub const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::NoResponse => 4,
            Self::Interrupted => 130,
            Self::OutputClosed => 141,
        }
    }

    /// Returns the meaning, for people.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Success => "Success.",
            Self::Failed => "Refused or failed; the last line on stderr is the reason.",
            Self::Usage => "Wrong usage: an option, an argument or a setting is wrong or missing. Nothing was done.",
            Self::NotFound => "Not found: the job, user, bill, queue, worker or host does not exist.",
            Self::NoResponse => "No response in time from PostgreSQL, Redis or a worker; trying again later may help.",
            Self::Interrupted => "Interrupted: a second signal stopped uncloud-worker at once.",
            Self::OutputClosed => "The reader of stdout has gone, as in `uncloud job ls | head`.",
        }
    }

    /// Returns the list of all codes, for the end of a program's help.
    pub fn help() -> String {
        let lines = Self::ALL.iter().map(|exit| format!("  {:<3}  {}", exit.code(), exit.meaning()));
        format!("Exit codes:\n{}", lines.collect::<Vec<_>>().join("\n"))
    }
}

/// A failure that determines its exit code. Serves as an error and as the context of one.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub(super) exit: Exit,
    message: String,
}

impl Failure {
    /// Creates a failure with a message for people.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// Creates a failure of the usage: an option, an argument or a setting is wrong or missing.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Creates a failure: the object does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Exit::NotFound, message)
    }

    /// Creates a failure: a server or a worker did not respond.
    pub fn no_response(message: impl Into<String>) -> Self {
        Self::new(Exit::NoResponse, message)
    }

    /// Creates a failure without a message, because none is needed.
    pub(super) const fn silent(exit: Exit) -> Self {
        Self { exit, message: String::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_contains_all_codes_in_ascending_order() {
        let codes = Exit::ALL.map(Exit::code);
        assert!(codes.is_sorted_by(|a, b| a < b), "{codes:?}");
        let help = Exit::help();
        assert_eq!(help.lines().count(), 1 + codes.len(), "{help}");
    }
}
