//! The lines of a bill, as a customer and an accountant read them, in the customer's language.

mod ordered;
mod words;

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Datelike as _, TimeDelta, Utc};
use chrono_tz::Tz;

pub(super) use self::ordered::Ordered;
use self::words::Words;
use super::content::{Corrected, Line, RecordKind};
use crate::money::{
    amount::{Amount, AmountError},
    draft::{Draft, Kind, Record},
    language::Language,
    unit_price::UnitPrice,
};

const DAY_SECS: i64 = 86_400;

/// The text of what a correction of a VAT rate corrects.
#[derive(Debug)]
pub(super) struct CorrectedText {
    pub description: String,
    /// The description in other languages.
    pub descriptions: BTreeMap<Language, String>,
    /// The time zone of its days; `None`: it was charged once.
    pub zone: Option<Tz>,
}

/// The texts that the lines of a customer's bills need besides the records.
#[derive(Debug, Default)]
pub(super) struct Texts {
    pub orders: HashMap<i64, Ordered>,
    /// The descriptions of items, by their ids.
    pub items: HashMap<i64, String>,
    /// The texts of what corrections correct, by their ids.
    pub corrections: HashMap<i64, CorrectedText>,
    /// The numbers of corrected bills.
    pub numbers: HashMap<i64, Corrected>,
}

impl Texts {
    /// Returns the lines of a bill.
    pub fn lines(&self, draft: &Draft, language: Language) -> Result<Vec<Line>, AmountError> {
        let lines = draft.records.chunk_by(|one, other| self.is_one_line(one, other));
        lines.map(|records| self.line(records, draft.vat_group(records[0].rate), language)).collect()
    }

    /// Returns true if two records that follow each other are one line: the whole days of an order by the day, within a
    /// month and at one rate.
    fn is_one_line(&self, one: &Record, other: &Record) -> bool {
        let Some(ordered) = one.order_id.and_then(|order_id| self.orders.get(&order_id)) else { return false };
        let is_daily = ordered.order.period.is_some_and(|period| period.nominal_seconds() == DAY_SECS);
        let is_whole = |record: &Record| (record.to - record.from).num_seconds() == DAY_SECS;
        let month = |record: &Record| {
            let day = ordered.day(record.from);
            (day.year(), day.month())
        };
        is_daily
            && (one.kind, one.order_id, one.to, one.rate) == (Kind::Recurring, other.order_id, other.from, other.rate)
            && other.kind == Kind::Recurring
            && is_whole(one)
            && is_whole(other)
            && month(one) == month(other)
    }

    /// Returns the line of records that [`Texts::is_one_line`] has put together.
    fn line(&self, records: &[Record], vat_group: i16, language: Language) -> Result<Line, AmountError> {
        let first = records[0];
        let (from, to) = (first.from, records[records.len() - 1].to);
        let net = Amount::try_sum(records.iter().map(|record| record.net))?;
        let quantity: i64 = records.iter().map(|record| record.quantity).sum();
        let (kind, corrects) = match first.kind {
            Kind::Recurring => (RecordKind::Recurring, None),
            Kind::Credit { corrects } => (RecordKind::Credit, Some(corrects)),
            Kind::OneTime => (RecordKind::OneTime, None),
            Kind::Manual { corrects, .. } => (RecordKind::Manual, corrects),
            Kind::Correction { corrects, .. } => (RecordKind::Correction, Some(corrects)),
        };
        let corrects = corrects.and_then(|bill_id| self.numbers.get(&bill_id)).cloned();
        let ordered = first.order_id.and_then(|order_id| self.orders.get(&order_id));
        let description = self.description(&first, ordered, language);
        let recurring = ordered.filter(|_| matches!(kind, RecordKind::Recurring | RecordKind::Credit));
        let unit = recurring.and_then(|it| it.order.period).map(|period| language.period(period));
        let unit_price = match recurring {
            Some(ordered) => ordered.order.recurring,
            None => UnitPrice::try_from(if net < Amount::ZERO { -net } else { net }).expect("prices exceed amounts"),
        };
        let words = Words {
            language,
            ordered,
            description: &description,
            days: self.days(&first, ordered, to, language),
            corrects: corrects.as_ref(),
        };
        Ok(Line {
            text: words.text(&first, (from, to)),
            reason: None,
            kind,
            order_id: first.order_id,
            product: ordered.and_then(|ordered| ordered.product.clone()),
            from,
            to,
            quantity: decimal(quantity),
            unit,
            unit_price: unit_price.to_string(),
            net,
            vat_group,
            corrects,
            description: Some(description),
        })
    }

    /// Returns the days of a record up to `to`, as a line names them; nothing for what is charged once.
    fn days(&self, record: &Record, ordered: Option<&Ordered>, to: DateTime<Utc>, language: Language) -> String {
        let last = (to - TimeDelta::seconds(1)).max(record.from);
        let days = if let Kind::Correction { correction_id, .. } = record.kind {
            let zone = self.corrections.get(&correction_id).and_then(|corrected| corrected.zone);
            zone.map(|zone| [record.from, last].map(|t| t.with_timezone(&zone).date_naive()))
        } else {
            ordered.map(|ordered| [record.from, last].map(|t| ordered.day(t)))
        };
        days.map_or_else(String::new, |[first, last]| language.days(first, last))
    }

    fn description(&self, record: &Record, ordered: Option<&Ordered>, language: Language) -> String {
        let found = match record.kind {
            Kind::Manual { item_id, .. } => self.items.get(&item_id),
            Kind::Correction { correction_id, .. } => self
                .corrections
                .get(&correction_id)
                .map(|corrected| corrected.descriptions.get(&language).unwrap_or(&corrected.description)),
            _ => ordered.map(|ordered| ordered.descriptions.get(&language).unwrap_or(&ordered.description)),
        };
        found.cloned().unwrap_or_default()
    }
}

/// Writes millionths with six decimals.
fn decimal(millionths: i64) -> String {
    let sign = if millionths < 0 { "-" } else { "" };
    let millionths = millionths.unsigned_abs();
    format!("{sign}{}.{:06}", millionths / 1_000_000, millionths % 1_000_000)
}

#[cfg(test)]
mod tests;
