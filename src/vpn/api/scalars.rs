//! Prefixes, host names and keys in requests.

use poem_openapi::registry::MetaSchema;
use serde_json::Value;
use uncloud_wire::key::{PrivateKey, PublicKey};

use crate::{
    http::{Scalar, parse_text, scalar, string_schema, text},
    vpn::hostname::Hostname,
};

/// A prefix, with or without its length; the domain decides which prefixes are suitable.
#[derive(Debug, Clone)]
pub struct PrefixText(pub String);

impl Scalar for PrefixText {
    fn component() -> String {
        "Prefix".into()
    }

    fn schema() -> MetaSchema {
        string_schema(
            "ip-prefix",
            "^[0-9a-fA-F:.]{2,45}(/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))?$",
            "2a0a:e5c1:200::/40",
            "An IPv6 or IPv4 prefix; network_size may contain its length instead.",
        )
    }

    fn parse(value: &Value) -> Result<Self, String> {
        let text = text(value)?;
        let (address, size) = text.split_once('/').map_or((text, None), |(address, size)| (address, Some(size)));
        let size_is_number =
            |size: &str| size.parse::<u8>().is_ok_and(|number| number <= 128 && number.to_string() == size);
        if address.parse::<std::net::IpAddr>().is_ok() && size.is_none_or(size_is_number) {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be an IPv6 or IPv4 prefix, as in 2a0a:e5c1:200::/40, or its address with the length in network_size".into())
        }
    }
}
scalar!([] PrefixText);

/// The full name of a host.
#[derive(Debug, Clone)]
pub struct HostnameText(pub Hostname);

impl Scalar for HostnameText {
    fn component() -> String {
        "Hostname".into()
    }

    fn schema() -> MetaSchema {
        MetaSchema {
            max_length: Some(253),
            ..string_schema(
                "hostname",
                r"^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$",
                "vpn-2a0ae5c1200.ungleich.ch",
                "The full name of a host with at least one dot (RFC 1123); converted to lowercase.",
            )
        }
    }

    fn parse(value: &Value) -> Result<Self, String> {
        parse_text(value).map(Self)
    }
}
scalar!([] HostnameText);

const KEY_PATTERN: &str = "^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$";

/// A WireGuard public key.
#[derive(Debug, Clone)]
pub struct PublicKeyText(pub PublicKey);

impl Scalar for PublicKeyText {
    fn component() -> String {
        "WireguardPublicKey".into()
    }

    fn schema() -> MetaSchema {
        let description =
            "A Curve25519 public key in base64, as `wg pubkey` prints it; points of low order are refused.";
        string_schema("wireguard-key", KEY_PATTERN, "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=", description)
    }

    fn parse(value: &Value) -> Result<Self, String> {
        parse_text(value).map(Self)
    }
}
scalar!([] PublicKeyText);

/// A WireGuard private key, which is only read from requests.
#[derive(Debug, Clone)]
pub struct PrivateKeyText(pub PrivateKey);

impl Scalar for PrivateKeyText {
    fn component() -> String {
        "WireguardPrivateKey".into()
    }

    fn schema() -> MetaSchema {
        let description = "A Curve25519 private key in base64, as `wg genkey` prints it.";
        let mut schema =
            string_schema("wireguard-key", KEY_PATTERN, "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=", description);
        schema.write_only = true;
        schema
    }

    fn parse(value: &Value) -> Result<Self, String> {
        parse_text(value).map(Self)
    }
}
scalar!([] PrivateKeyText);
