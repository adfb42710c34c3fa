//! Quotes in responses.

use chrono::{DateTime, Utc};
use poem_openapi::Object;

use super::body::PartBody;
use crate::{
    catalog::Priced,
    code::Code,
    error::Error,
    money::{
        amount::{Amount, Currency, Rate},
        charge::Replacement,
        period::RecurringPeriod,
        territory::Territory,
        unit_price::{UnitPrice, UnitPriceError},
    },
    orders::{buy::ReplacementQuote, quote::Quote, replace::Replaced, view::last_second},
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
    /// The one-time price before VAT: that of the new units of all parts.
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

/// The price of a replacement, and when it takes effect.
#[derive(Debug, Object)]
#[oai(rename = "OrderReplacementQuote", skip_serializing_if_is_none)]
pub(super) struct ReplacementQuoteBody {
    #[oai(flatten)]
    quote: QuoteBody,
    /// The kind of the replacement: `upgrade` takes effect now, `downgrade` at the end of the commitment.
    replacement: String,
    /// The order that would end.
    order: i64,
    /// The last second that the old order charges; absent if it would charge nothing.
    old_ends_at: Option<DateTime<Utc>>,
    /// The first second that the new order charges.
    starts_at: DateTime<Utc>,
    /// The credit for time that is billed and no longer used, before VAT; 0.00 if there is none.
    credit: Amount,
    /// The price of the new order's first period, before VAT.
    first_period: Amount,
    /// The time up to which neither a cancellation nor a downgrade of the new order takes effect.
    committed_until: DateTime<Utc>,
}

impl ReplacementQuoteBody {
    pub(super) fn new(replacement: ReplacementQuote) -> Result<Self, Error> {
        let ReplacementQuote { quote, vat, replaced, credit, first_period, committed_until } = replacement;
        let Replaced { old, new, replacement, new_quantities } = replaced;
        let mut quote = QuoteBody::new(quote, vat)?;
        for (part, new_quantity) in quote.parts.iter_mut().zip(new_quantities) {
            part.new_quantity = new_quantity;
        }
        Ok(Self {
            quote,
            replacement: kind(replacement).to_owned(),
            order: old.order_id,
            old_ends_at: last_second(old.starts_at, old.ends_at),
            starts_at: new.starts_at,
            credit,
            first_period,
            committed_until,
        })
    }
}

/// Returns the word for a kind of replacement.
pub(super) const fn kind(replacement: Replacement) -> &'static str {
    match replacement {
        Replacement::Upgrade => "upgrade",
        Replacement::Downgrade => "downgrade",
    }
}

fn too_large(error: impl std::error::Error) -> Error {
    let detail = format!("the price with VAT {error}; order less of it");
    Error::Conflict { code: Code::AmountTooLarge, detail, field: None }
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
            Ok(vat) => (Some(QuoteVatBody::new(vat, &priced).map_err(too_large)?), None),
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
