//! Quotes in answers.

use poem_openapi::Object;

use super::body::PartBody;
use crate::{
    catalog::Priced,
    code::Code,
    error::Error,
    money::{
        amount::{Amount, AmountError, Currency, Rate},
        period::RecurringPeriod,
    },
    orders::quote::Quote,
    parties::{VatPreview, VatUnknown},
};

/// The VAT on a price. A bill rounds it once for all that it taxes alike, so there it may differ by a cent.
#[derive(Debug, Object)]
#[oai(rename = "OrderQuoteVat")]
pub(super) struct QuoteVatBody {
    /// UNCL 5305: S at a standard rate, AE reverse charge, O outside scope.
    category: String,
    /// A fraction: 0.081 is 8.1 %. Later services bear the rate of their time.
    rate: Rate,
    /// The reason for this taxation, for people.
    reason: String,
    /// The VAT on what is paid once.
    one_time: Amount,
    /// The VAT on a period.
    recurring: Amount,
    /// What is paid once, with VAT.
    one_time_gross: Amount,
    /// What is paid for each period, with VAT.
    recurring_gross: Amount,
}

/// A price, and what prevents the order.
#[derive(Debug, Object)]
#[oai(rename = "OrderQuote", skip_serializing_if_is_none)]
pub(super) struct QuoteBody {
    /// The product.
    product: String,
    /// What the amounts are in.
    currency: Currency,
    /// Once, before VAT: the sum of the parts.
    one_time: Amount,
    /// For each period, before VAT: the sum of the parts.
    recurring: Amount,
    /// How often; absent: paid once.
    recurring_period: Option<RecurringPeriod>,
    /// Periods that can't be cancelled.
    commitment_periods: u32,
    /// What the price consists of.
    parts: Vec<PartBody>,
    /// The VAT, by my billing address as it is now.
    vat: Option<QuoteVatBody>,
    /// The reason why it is unknown.
    vat_unavailable_reason: Option<String>,
    /// Whether it can be ordered like this.
    orderable: bool,
    /// What prevents the order.
    blockers: Vec<BlockerBody>,
}

/// What prevents an order.
#[derive(Debug, Object)]
#[oai(rename = "OrderBlocker")]
pub(super) struct BlockerBody {
    /// For programs; the code with which ordering is refused.
    code: String,
    /// What would help.
    detail: String,
}

impl QuoteVatBody {
    fn new(VatPreview { category, rate, reason }: VatPreview, priced: &Priced) -> Result<Self, AmountError> {
        let (one_time, recurring) = (rate.of(priced.one_time), rate.of(priced.recurring));
        Ok(Self {
            category: category.to_string(),
            rate,
            reason,
            one_time,
            recurring,
            one_time_gross: priced.one_time.try_add(one_time)?,
            recurring_gross: priced.recurring.try_add(recurring)?,
        })
    }
}

impl QuoteBody {
    pub(super) fn new(quote: Quote, vat: Result<VatPreview, VatUnknown>) -> Result<Self, Error> {
        let Quote { wanted, priced, blockers, .. } = quote;
        let (vat, vat_unavailable_reason) = match vat {
            Ok(vat) => (Some(QuoteVatBody::new(vat, &priced).map_err(anyhow::Error::new)?), None),
            Err(unknown) => (None, Some(unknown.to_string())),
        };
        let parts = priced.parts.iter().map(|part| PartBody {
            product: part.product.name.clone(),
            parameter: part.parameter.clone(),
            quantity: part.quantity,
            one_time: part.one_time,
            recurring: part.recurring,
        });
        let blocker = |code: Code, detail: String| BlockerBody { code: code.name().to_owned(), detail };
        Ok(Self {
            currency: wanted.currency,
            one_time: priced.one_time,
            recurring: priced.recurring,
            recurring_period: wanted.recurring_period,
            commitment_periods: priced.commitment_periods,
            parts: parts.collect(),
            vat,
            vat_unavailable_reason,
            orderable: blockers.is_empty(),
            blockers: blockers.iter().map(|it| blocker(it.code(), it.detail(&wanted.product.name))).collect(),
            product: wanted.product.name,
        })
    }
}
