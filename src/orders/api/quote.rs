//! Quotes in responses.

use poem_openapi::Object;

use super::body::PartBody;
use crate::{
    catalog::Priced,
    code::Code,
    error::Error,
    money::{
        amount::{Currency, Rate},
        period::RecurringPeriod,
        territory::Territory,
        unit_price::{UnitPrice, UnitPriceError},
    },
    orders::quote::Quote,
    parties::{VatPreview, VatUnavailable},
};

/// The VAT on a price. A bill rounds VAT once for each tax group, so it may differ from this by a cent.
#[derive(Debug, Object)]
#[oai(rename = "OrderQuoteVat", skip_serializing_if_is_none)]
pub(super) struct QuoteVatBody {
    /// The VAT category of UNCL 5305: S for a standard rate, AE for reverse charge, O for outside scope.
    category: String,
    /// The territory whose rate applies; absent without VAT.
    territory: Option<Territory>,
    /// The rate as a fraction: 0.081 is 8.1 %. Later services bear the rate of their time.
    rate: Rate,
    /// The reason for this taxation, for people.
    reason: String,
    /// The VAT on the one-time price.
    one_time: UnitPrice,
    /// The VAT on the price of a period.
    recurring: UnitPrice,
    /// The one-time price with VAT.
    one_time_gross: UnitPrice,
    /// The price of each period with VAT.
    recurring_gross: UnitPrice,
}

/// A price, and the blockers of the order.
#[derive(Debug, Object)]
#[oai(rename = "OrderQuote", skip_serializing_if_is_none)]
pub(super) struct QuoteBody {
    /// The product's name.
    product: String,
    /// The currency of all amounts.
    currency: Currency,
    /// The one-time price before VAT, which is the sum of the parts.
    one_time: UnitPrice,
    /// The price of each period before VAT, which is the sum of the parts.
    recurring: UnitPrice,
    /// The recurring period; absent for a one-time purchase.
    recurring_period: Option<RecurringPeriod>,
    /// The number of periods that can't be cancelled.
    commitment_periods: u32,
    /// The components of the price.
    parts: Vec<PartBody>,
    /// The VAT for my present billing address.
    vat: Option<QuoteVatBody>,
    /// The reason for which the VAT is not available.
    vat_unavailable_reason: Option<String>,
    /// True if the customer can place this order.
    orderable: bool,
    /// The blockers of the order.
    blockers: Vec<BlockerBody>,
}

/// A condition that prevents an order.
#[derive(Debug, Object)]
#[oai(rename = "OrderBlocker")]
pub(super) struct BlockerBody {
    /// The code for programs, with which the server would refuse the order.
    code: String,
    /// The action that removes the blocker.
    detail: String,
}

impl QuoteVatBody {
    fn new(
        VatPreview { category, territory, rate, reason }: VatPreview,
        priced: &Priced,
    ) -> Result<Self, UnitPriceError> {
        let (one_time, recurring) = (priced.one_time.tax(rate), priced.recurring.tax(rate));
        Ok(Self {
            category: category.to_string(),
            territory,
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
    pub(super) fn new(quote: Quote, vat: Result<VatPreview, VatUnavailable>) -> Result<Self, Error> {
        let Quote { request, priced, blockers, .. } = quote;
        let (vat, vat_unavailable_reason) = match vat {
            Ok(vat) => (Some(QuoteVatBody::new(vat, &priced).map_err(anyhow::Error::new)?), None),
            Err(unknown) => (None, Some(unknown.to_string())),
        };
        let parts = priced.parts.iter().map(|part| PartBody {
            product: part.product.name.clone(),
            parameter: part.parameter.clone(),
            quantity: part.quantity,
            new_quantity: part.quantity,
            one_time: part.one_time,
            recurring: part.recurring,
        });
        let blocker = |code: Code, detail: String| BlockerBody { code: code.name().to_owned(), detail };
        Ok(Self {
            currency: request.currency,
            one_time: priced.one_time,
            recurring: priced.recurring,
            recurring_period: request.recurring_period,
            commitment_periods: priced.commitment_periods,
            parts: parts.collect(),
            vat,
            vat_unavailable_reason,
            orderable: blockers.is_empty(),
            blockers: blockers.iter().map(|it| blocker(it.code(), it.detail(&request.product.name))).collect(),
            product: request.product.name,
        })
    }
}
