//! The texts of bills and quotes about their VAT.

use super::{amount::Rate, country::Country, language::Language, vat::Treatment};

/// Returns the reason for the VAT of a charge; `country` is the customer's. The seller without a VAT number charges none.
pub fn vat_reason(
    language: Language,
    treatment: Treatment,
    rate: Rate,
    country: Country,
    seller_is_registered: bool,
) -> String {
    match treatment {
        Treatment::Taxed(territory) => {
            let text = language.pick(
                "Normalsatz von {} zur Zeit der Leistung",
                "taux normal de {} au moment de la prestation",
                "aliquota ordinaria di {} al momento della prestazione",
                "standard rate of {} at the time of service",
            );
            format!("{}, {} %", text.replace("{}", territory.as_str()), rate.percent())
        }
        Treatment::ReverseCharge => language
            .pick(
                "ein Unternehmen in {} mit geprüfter USt-IdNr. schuldet die Steuer selbst",
                "une entreprise en {} avec un numéro de TVA vérifié est elle-même redevable de la TVA",
                "un'impresa in {} con un numero di partita IVA verificato è essa stessa debitrice dell'IVA",
                "a business in {} with a verified VAT number owes the VAT itself",
            )
            .replace("{}", country.as_str()),
        Treatment::OutsideScope if !seller_is_registered => language
            .pick(
                "keine MWST: Der Leistungserbringer ist nicht mehrwertsteuerpflichtig",
                "pas de TVA : le prestataire n'est pas assujetti",
                "nessuna IVA: il prestatore non è assoggettato all'imposta",
                "no VAT: the seller is not registered for VAT",
            )
            .to_owned(),
        Treatment::OutsideScope => language
            .pick(
                "nicht im Geltungsbereich der MWST des Leistungserbringers: Der Kunde ist in {}",
                "hors du champ de la TVA du prestataire : le client est en {}",
                "fuori dal campo dell'IVA del prestatore: il cliente è in {}",
                "outside the scope of the seller's VAT: the customer is in {}",
            )
            .replace("{}", country.as_str()),
    }
}

/// Returns the code of the reason for which no VAT is charged, of the code list VATEX (CEF).
pub const fn vat_exemption_code(treatment: Treatment) -> Option<&'static str> {
    match treatment {
        Treatment::Taxed(_) => None,
        Treatment::ReverseCharge => Some("VATEX-EU-AE"),
        Treatment::OutsideScope => Some("VATEX-EU-O"),
    }
}

/// Returns the note that the law requires on a bill with this VAT treatment.
pub const fn vat_note(language: Language, treatment: Treatment) -> Option<&'static str> {
    match treatment {
        // Directive 2006/112/EC, article 226, point 11a.
        Treatment::ReverseCharge => Some(language.pick(
            "Steuerschuldnerschaft des Leistungsempfängers (Artikel 44 und 196 der Richtlinie 2006/112/EG).",
            "Autoliquidation : le preneur est redevable de la TVA (articles 44 et 196 de la directive 2006/112/CE).",
            "Inversione contabile: il destinatario è debitore dell'IVA (articoli 44 e 196 della direttiva 2006/112/CE).",
            "Reverse charge: the customer owes the VAT (articles 44 and 196 of Directive 2006/112/EC).",
        )),
        Treatment::Taxed(_) | Treatment::OutsideScope => None,
    }
}
