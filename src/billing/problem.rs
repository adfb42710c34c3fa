//! Why a customer was not billed.

use crate::{code::Code, error::Error, money::draft::DraftError};

/// Why a customer was not billed, and what is to be done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Whose bill is missing.
    pub user_id: i64,
    /// What kind of problem.
    pub code: Code,
    /// What is wrong and what would mend it.
    pub detail: String,
}

impl Problem {
    pub(super) fn new(user_id: i64, code: Code, detail: impl Into<String>) -> Self {
        Self { user_id, code, detail: detail.into() }
    }

    /// As an answer to who wanted this one bill.
    pub(super) fn into_error(self) -> Error {
        Error::Conflict { code: self.code, detail: self.detail, field: None }
    }

    pub(super) fn of(user_id: i64, error: &DraftError) -> Self {
        let code = match error {
            DraftError::Rate(_) => Code::NoVatRate,
            DraftError::Amount(_) => Code::AmountTooLarge,
        };
        Self::new(user_id, code, error.to_string())
    }
}
