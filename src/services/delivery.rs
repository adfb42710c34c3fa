//! The ways of delivering an order.

use serde::{Deserialize, Serialize};

use crate::http::word_scalar;

/// A way of delivering an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Delivery {
    /// Delivered by the VPN hosts.
    VpnNetwork,
    /// Delivered manually by staff.
    Manual,
}

word_scalar!(
    Delivery,
    "Delivery",
    "The way of delivering an order: by the VPN hosts, or manually by staff.",
    ["manual" => Self::Manual, "vpn_network" => Self::VpnNetwork]
);

#[cfg(test)]
mod tests {
    use poem_openapi::types::ToJSON as _;
    use serde_json::json;

    use super::*;
    use crate::http::Scalar as _;

    #[test]
    fn parse_of_a_written_word_returns_the_same_delivery() {
        for word in ["manual", "vpn_network"] {
            assert_eq!(Delivery::parse(&json!(word)).expect("one").to_json(), Some(json!(word)));
        }
    }
}
