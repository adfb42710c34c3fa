//! A rate and its source.

use crate::money::vat_rates::RateRow;

/// A rate and the source of its figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcedRate {
    /// The rate with its dates.
    pub row: RateRow,
    /// The source of the figure.
    pub source: String,
}
