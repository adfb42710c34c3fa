//! The reasons for which a customer could not be billed.

use crate::{code::Code, error::Error, money::draft::DraftError};

/// The reason for which a customer could not be billed, and its remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The customer without a bill.
    pub user_id: i64,
    /// The code of the problem.
    pub code: Code,
    /// The problem and its remedy.
    pub detail: String,
}

impl Problem {
    pub(super) fn new(user_id: i64, code: Code, detail: impl Into<String>) -> Self {
        Self { user_id, code, detail: detail.into() }
    }

    /// Converts the problem to the error response for a request to bill this customer.
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
