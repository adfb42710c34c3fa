//! Types of response members, by name: identifiers and scalars have the same type everywhere, so that values from
//! responses can be used in requests without a conversion; no number is negative.

use serde_json::{Value, json};

/// Members that are identifiers although their names do not end in `_id`.
const IDS: [&str; 8] =
    ["corrects", "id", "order", "replaced_by", "replaces", "superseded_by", "vat_verified_by", "vpn_network"];

/// Scalars of requests that also occur in responses.
const SCALARS: [(&str, &str); 19] = [
    ("country", "CountryCode"),
    ("cron", "Cron"),
    ("currency", "CurrencyCode"),
    ("network", "Prefix"),
    ("next", "Cursor"),
    ("next_wireguard_public_key", "WireguardPublicKey"),
    ("ordered_by", "Username"),
    ("parameter", "ParameterName"),
    ("product", "ProductName"),
    ("queue", "QueueName"),
    ("server_public_key", "WireguardPublicKey"),
    ("territory", "VatTerritory"),
    ("time_zone", "TimeZone"),
    ("username", "Username"),
    ("created_by", "Username"),
    ("vat_territory", "VatTerritory"),
    ("vpn_hostname", "Hostname"),
    ("wireguard_public_key", "WireguardPublicKey"),
    ("voided_by", "Username"),
];

/// Texts with a fixed set of values.
const WORDS: [(&str, &[&str]); 6] = [
    ("category", &["S", "AE", "O"]),
    ("document", &["invoice", "credit_note"]),
    ("method", &["GET", "POST", "PUT", "PATCH", "DELETE"]),
    ("outcome", &["retry", "snoozed", "failed", "lost", "revoked"]),
    ("replacement", &["upgrade", "downgrade"]),
    ("vat_category", &["S", "AE", "O"]),
];

/// Adds to an object's members the types that the framework does not know.
pub(in crate::server) fn describe(schema: &mut Value) {
    for (name, member) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        let is_plain = ["format", "pattern", "enum"].iter().all(|form| member.get(*form).is_none());
        if let Some((_, words)) = WORDS.iter().find(|(known, _)| known == name && is_plain) {
            member["enum"] = json!(words);
        }
        let scalar = SCALARS.iter().find(|(known, _)| known == name).map(|(_, scalar)| *scalar);
        match (member["type"].as_str(), scalar) {
            (Some("string"), Some(scalar)) if is_plain => refer(member, scalar),
            (Some("integer"), _)
                if member["format"] == "int64" && (IDS.contains(&name.as_str()) || name.ends_with("_id")) =>
            {
                refer(member, "Id");
            }
            (Some("integer"), _) if member.get("minimum").is_none() => member["minimum"] = 0.into(),
            _ => {}
        }
    }
}

fn refer(member: &mut Value, component: &str) {
    let place = format!("#/components/schemas/{component}");
    *member = json!({ "description": member["description"], "allOf": [{ "$ref": place }] });
}
