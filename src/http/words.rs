//! Scalars that are one of a few words.

use poem_openapi::registry::MetaSchema;
use serde_json::Value;

use super::scalars::{Scalar, scalar};
use crate::{
    billing::charge::{Timing, UpgradeCredit},
    catalog::Delivery,
    orders::ServiceChange,
};

macro_rules! word_scalar {
    ($ty:ty, $component:literal, $description:literal, [$first:literal => $first_value:expr $(, $word:literal => $value:expr)*]) => {
        impl Scalar for $ty {
            fn component() -> String {
                $component.into()
            }

            fn schema() -> MetaSchema {
                MetaSchema {
                    enum_items: vec![$first.into() $(, $word.into())*],
                    example: Some($first.into()),
                    description: Some($description),
                    ..MetaSchema::new("string")
                }
            }

            fn parse(value: &Value) -> Result<Self, String> {
                match value.as_str() {
                    Some($first) => Ok($first_value),
                    $(Some($word) => Ok($value),)*
                    _ => Err(concat!("must be ", $first $(, " or ", $word)*).to_owned()),
                }
            }
        }
        scalar!([] $ty);

        impl poem_openapi::types::ToJSON for $ty {
            fn to_json(&self) -> Option<Value> {
                serde_json::to_value(self).ok()
            }
        }
    };
}

word_scalar!(
    Timing,
    "BillingTime",
    "Whether a period is billed when it begins (advance) or when it has ended (arrears).",
    ["advance" => Self::Advance, "arrears" => Self::Arrears]
);
word_scalar!(
    Delivery,
    "Delivery",
    "Who realises an order: the VPN hosts, or staff by hand.",
    ["by_hand" => Self::ByHand, "vpn_network" => Self::VpnNetwork]
);
word_scalar!(
    UpgradeCredit,
    "UpgradeCredit",
    "What an upgrade does with the period that it interrupts: only what was used of it is charged (prorate), or all (none).",
    ["prorate" => Self::Prorate, "none" => Self::None]
);
word_scalar!(
    ServiceChange,
    "ServiceChange",
    "When what is delivered follows a downgrade or a cancellation: at once (now), or when charging changes too (at_end).",
    ["now" => Self::Now, "at_end" => Self::AtEnd]
);

#[cfg(test)]
mod tests {
    use poem_openapi::types::ToJSON as _;
    use serde_json::json;

    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for word in ["advance", "arrears"] {
            assert_eq!(Timing::parse(&json!(word)).expect("one").to_json(), Some(json!(word)));
        }
        for word in ["by_hand", "vpn_network"] {
            assert_eq!(Delivery::parse(&json!(word)).expect("one").to_json(), Some(json!(word)));
        }
        assert_eq!(Timing::parse(&json!("Advance")), Err("must be advance or arrears".into()));
        assert_eq!(Timing::parse(&json!(1)), Err("must be advance or arrears".into()));
    }
}
