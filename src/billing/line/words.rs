//! The text of a line.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};

use super::ordered::Ordered;
use crate::{
    billing::content::Corrected,
    money::{
        amount::{Amount, round},
        draft::{Kind, Record},
        language::Language,
        period::{RecurringPeriod, Unit},
    },
};

const DAY_SECS: i64 = 86_400;
const HOUR_SECS: i64 = 3600;

/// The parts of a line's text.
pub(super) struct Words<'a> {
    pub language: Language,
    pub ordered: Option<&'a Ordered>,
    pub description: &'a str,
    pub days: String,
    pub corrects: Option<&'a Corrected>,
}

impl Words<'_> {
    pub fn text(&self, record: &Record, (from, to): (DateTime<Utc>, DateTime<Utc>)) -> String {
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

/// Writes seconds as a number of units with at most two decimals; `is_less` than a whole period does not round up to it.
fn hundredths(secs: i64, unit_secs: i64, is_less: bool) -> String {
    let (secs, unit_secs) = (i128::from(secs) * 100, i128::from(unit_secs));
    let rounded = if is_less { secs / unit_secs } else { round(secs, unit_secs) };
    let text = format!("{}.{:02}", rounded / 100, rounded % 100);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
