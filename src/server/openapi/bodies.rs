//! Examples of bodies whose members depend on each other. The examples of other bodies are made from those of their
//! members.

use serde_json::{Value, json};

/// Returns the example of a component.
pub(super) fn example(component: &str) -> Option<Value> {
    let body = match component {
        "VpnPoolCreate" => json!({
            "network": "2a0a:e5c1:200::",
            "network_size": 40,
            "subnetwork_size": 48,
            "vpn_hostname": "vpn-2a0ae5c1200.ungleich.ch",
        }),
        "VpnPoolUpdate" => json!({ "listen_port": 51821 }),
        "VpnPoolKeyCreate" => json!({}),
        "ScheduleCreate" => json!({
            "name": "nightly-reconcile",
            "kind": "vpn_reconcile",
            "payload": { "vpn_hostname": "vpn-2a0ae5c1200.ungleich.ch" },
            "cron": "17 3 * * *",
            "time_zone": "Europe/Zurich",
        }),
        "ScheduleUpdate" => json!({ "cron": "17 4 * * *", "time_zone": "Europe/Zurich", "paused": false }),
        "ProductCreate" => {
            let mut product = product();
            product["name"] = "backup".into();
            product
        }
        "ProductUpdate" => product(),
        "BillingAddressUpdate" => json!({
            "name": "Alice Example",
            "company": "Example GmbH",
            "street": "Hauptstrasse 1",
            "postal_code": "10115",
            "city": "Berlin",
            "country": "DE",
            "vat_number": "DE136695976",
        }),
        "BillingAddressVerificationCreate" => {
            json!({ "evidence": "found in VIES on 3 March 2026", "vat_number": "DE136695976" })
        }
        "SellerUpdate" => json!({
            "name": "ungleich glarus ag",
            "street": "Bahnhofstrasse 1",
            "postal_code": "8783",
            "city": "Linthal",
            "country": "CH",
            "vat_number": "CHE-116.281.710 MWST",
            "time_zone": "Europe/Zurich",
            "oss_eu": true,
            "cash_rounding": false,
        }),
        "OrderReplacementCreate" => json!({ "parameters": { "cores": 4, "memory_gb": 8 } }),
        "CustomerOrderCreate" => json!({
            "username": "alice",
            "description": "A rack unit",
            "one_time": "50.00",
            "recurring": "20.00",
            "recurring_period": "P30D",
            "currency": "CHF",
        }),
        "QueueUpdate" => json!({ "paused": false, "rate_limit": 100, "rate_period_seconds": 60 }),
        "BillItemCreate" => json!({
            "description": "Work by the hour",
            "net": "120.00",
            "currency": "CHF",
            "reason": "ticket 4711",
        }),
        _ => return None,
    };
    Some(body)
}

fn product() -> Value {
    json!({
        "title": "Backup",
        "description": "Of everything, every night.",
        "parameters": [{ "name": "size_gb", "unit": "GB", "minimum": 10, "maximum": 1000, "step": 10 }],
        "prices": [{
            "recurring_period": "P30D",
            "currency": "CHF",
            "one_time": "5.00",
            "recurring": "1.00",
            "parameters": [{ "name": "size_gb", "recurring": "0.02" }],
        }],
    })
}
