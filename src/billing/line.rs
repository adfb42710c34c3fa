//! The lines of a bill, as a customer and an accountant read them, in the customer's language.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
};

use chrono::{DateTime, Datelike as _, NaiveDate, Offset as _, TimeDelta, Utc};
use chrono_tz::Tz;

use super::content::{Corrected, Line, RecordKind};
use crate::money::{
    amount::{Amount, AmountError, round},
    draft::{Draft, Kind, Record},
    language::Language,
    order::Order,
    period::{RecurringPeriod, Unit},
    unit_price::UnitPrice,
};

const DAY_SECS: i64 = 86_400;
const HOUR_SECS: i64 = 3600;

/// An order and what bills call it.
#[derive(Debug)]
pub(super) struct Ordered {
    pub order: Order,
    pub description: String,
    /// The description in other languages.
    pub descriptions: BTreeMap<Language, String>,
    pub product: Option<String>,
    /// The order that replaced it.
    pub replaced_by: Option<i64>,
}

impl Ordered {
    /// Returns the civil day of a time. Periods of days last 24 hours each, so the days of such an order are counted from its
    /// start: when the clocks change, none appears twice and none is left out.
    fn day(&self, t: DateTime<Utc>) -> NaiveDate {
        let Order { period, starts_at, zone, .. } = self.order;
        if period.is_some_and(|period| period.unit() == Unit::Day) {
            t.with_timezone(&starts_at.with_timezone(&zone).offset().fix()).date_naive()
        } else {
            t.with_timezone(&zone).date_naive()
        }
    }
}

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
        let net = records.iter().try_fold(Amount::ZERO, |net, record| net.try_add(record.net))?;
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
            days: self.days(&first, to, language),
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
    fn days(&self, record: &Record, to: DateTime<Utc>, language: Language) -> String {
        let last = (to - TimeDelta::seconds(1)).max(record.from);
        let days = if let Kind::Correction { correction_id, .. } = record.kind {
            let zone = self.corrections.get(&correction_id).and_then(|corrected| corrected.zone);
            zone.map(|zone| [record.from, last].map(|t| t.with_timezone(&zone).date_naive()))
        } else {
            let ordered = record.order_id.and_then(|order_id| self.orders.get(&order_id));
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

/// The parts of a line's text.
struct Words<'a> {
    language: Language,
    ordered: Option<&'a Ordered>,
    description: &'a str,
    days: String,
    corrects: Option<&'a Corrected>,
}

impl Words<'_> {
    fn text(&self, record: &Record, (from, to): (DateTime<Utc>, DateTime<Utc>)) -> String {
        let Self { language, description, days, .. } = self;
        let (colon, semicolon) = (language.pick(":", " :", ":", ":"), language.pick(";", " ;", ";", ";"));
        let mut text = match record.kind {
            Kind::Recurring => {
                let cut = self.cut(to).map_or_else(String::new, |cut| format!("{semicolon} {cut}"));
                format!("{description}, {days}{}{cut}", self.part(from, to))
            }
            Kind::Credit { .. } => {
                let credit = language.pick(
                    "Gutschrift für nicht genutzte Zeit",
                    "Crédit pour le temps non utilisé",
                    "Accredito per il tempo non utilizzato",
                    "Credit for unused time",
                );
                format!("{credit} {days}{}{colon} {description}, {}", self.part(from, to), self.end())
            }
            Kind::OneTime => {
                let once = language.pick("Einmalige Gebühr", "Frais uniques", "Costo una tantum", "One-time price");
                format!("{once}{colon} {description}")
            }
            Kind::Manual { .. } => (*description).to_owned(),
            Kind::Correction { .. } => {
                let correction = language.pick(
                    "Berichtigung des MWST-Satzes",
                    "Correction du taux de TVA",
                    "Rettifica dell'aliquota IVA",
                    "Correction of the VAT rate",
                );
                let at = if record.net < Amount::ZERO {
                    language.pick("Gutschrift zu", "crédit à", "accredito al", "credited at")
                } else {
                    language.pick("Belastung zu", "débit à", "addebito al", "charged at")
                };
                let days = if days.is_empty() { String::new() } else { format!(", {days}") };
                format!("{correction}{colon} {description}{days}, {at} {} %", record.rate.percent())
            }
        };
        if let Some(Corrected { number, .. }) = self.corrects {
            let corrects = language.pick("berichtigt", "corrige", "rettifica", "corrects");
            let _ = write!(text, "{semicolon} {corrects} {number}");
        }
        text
    }

    /// Returns how much of a period a span is, unless it is whole periods: `(29.99 of 30 days)`.
    fn part(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> String {
        let Some((order, period)) = self.ordered.and_then(|it| Some((&it.order, it.order.period?))) else {
            return String::new();
        };
        let secs = to.timestamp() - from.timestamp();
        let period_seconds = period.position(order.starts_at, from, order.zone).period_seconds;
        let (unit, unit_secs) =
            if period.unit() == Unit::Hour { (Unit::Hour, HOUR_SECS) } else { (Unit::Day, DAY_SECS) };
        if secs % period_seconds == 0 && self.is_boundary(period, to) || secs > period_seconds {
            return String::new();
        }
        let of = self.language.pick("von", "sur", "su", "of");
        let is_one = period_seconds == unit_secs;
        let unit = match (self.language, unit) {
            (Language::De, Unit::Day) if !is_one => "Tagen", // the dative
            (language, unit) => language.unit(unit, is_one),
        };
        format!(
            " ({} {of} {} {})",
            hundredths(secs, unit_secs, secs < period_seconds),
            hundredths(period_seconds, unit_secs, false),
            unit
        )
    }

    fn is_boundary(&self, period: RecurringPeriod, t: DateTime<Utc>) -> bool {
        self.ordered.is_some_and(|it| period.position(it.order.starts_at, t, it.order.zone).into_seconds == 0)
    }

    /// Returns why a charge ends within a period; `None`: it does not.
    fn cut(&self, to: DateTime<Utc>) -> Option<String> {
        let (order, period) = self.ordered.and_then(|it| Some((&it.order, it.order.period?)))?;
        if self.is_boundary(period, to) {
            None
        } else if order.ends_at == Some(to) {
            Some(self.end())
        } else {
            let changes = self.language.pick(
                "danach ändert sich die MWST",
                "puis la TVA change",
                "poi l'IVA cambia",
                "then the VAT changes",
            );
            Some(changes.to_owned())
        }
    }

    /// Returns how the order ended.
    fn end(&self) -> String {
        let Some(Ordered { order, replaced_by, .. }) = self.ordered else { return String::new() };
        let order_id = order.order_id;
        let Some(new) = replaced_by else {
            let ended = self.language.pick(
                "Bestellung {} beendet",
                "commande {} terminée",
                "ordine {} terminato",
                "order {} ended",
            );
            return ended.replace("{}", &order_id.to_string());
        };
        let replaced = self.language.pick(
            "Bestellung {old} ersetzt durch Bestellung {new}",
            "commande {old} remplacée par la commande {new}",
            "ordine {old} sostituito dall'ordine {new}",
            "order {old} replaced by order {new}",
        );
        replaced.replace("{old}", &order_id.to_string()).replace("{new}", &new.to_string())
    }
}

/// Writes millionths with six decimals.
fn decimal(millionths: i64) -> String {
    let sign = if millionths < 0 { "-" } else { "" };
    let millionths = millionths.unsigned_abs();
    format!("{sign}{}.{:06}", millionths / 1_000_000, millionths % 1_000_000)
}

/// Writes seconds as a number of units with at most two decimals; `is_less` than a whole period does not round up to it.
fn hundredths(secs: i64, unit_secs: i64, is_less: bool) -> String {
    let (secs, unit_secs) = (i128::from(secs) * 100, i128::from(unit_secs));
    let rounded = if is_less { secs / unit_secs } else { round(secs, unit_secs) };
    let text = format!("{}.{:02}", rounded / 100, rounded % 100);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests;
