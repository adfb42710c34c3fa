//! A rate and its source.

use crate::money::vat_rates::RateRow;

/// A rate, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcedRate {
    /// The rate.
    pub row: RateRow,
    /// Where the figure comes from.
    pub source: String,
}
