//! Who delivers what is ordered.

use serde::{Deserialize, Serialize};

use crate::http::word_scalar;

/// Who realises an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Delivery {
    /// The VPN hosts.
    VpnNetwork,
    /// Staff.
    Manual,
}

word_scalar!(
    Delivery,
    "Delivery",
    "How an order is realised: by the VPN hosts, or manually by staff.",
    ["manual" => Self::Manual, "vpn_network" => Self::VpnNetwork]
);

#[cfg(test)]
mod tests {
    use poem_openapi::types::ToJSON as _;
    use serde_json::json;

    use super::*;
    use crate::http::Scalar as _;

    #[test]
    fn words_are_read_as_they_are_written() {
        for word in ["manual", "vpn_network"] {
            assert_eq!(Delivery::parse(&json!(word)).expect("one").to_json(), Some(json!(word)));
        }
    }
}
