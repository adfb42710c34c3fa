//! Values of examples, by the name of a member and, where it has several meanings, by its component.

use serde_json::{Value, json};

/// Returns the example of a member whose name means something else in other components.
pub(super) fn of_member(component: &str, member: &str) -> Option<Value> {
    let value = match (component, member) {
        ("AuditEntry", "kind") => json!("vpn_pool"),
        ("BilledNow", "reason") => json!("nothing was due"),
        ("BillItem" | "BillItemCreate", "description") => json!("Work by the hour"),
        ("BillLine", "from") => json!("2026-01-01T00:00:00Z"),
        ("BillLine" | "BillRecord", "to") => json!("2026-01-31T00:00:00Z"),
        ("BillParty" | "BillingAddress" | "BillingAddressUpdate", "name") => json!("Alice Example"),
        ("BillVat" | "OrderQuoteVat", "reason") => json!("standard rate of Switzerland"),
        ("Problem", "code") => json!("invalid"),
        ("Problem", "title") => json!("Unprocessable Entity"),
        ("ProblemCode", "code") => json!("not_found"),
        ("ProblemCode", "description") => {
            json!("The object does not exist, or belongs to another customer.")
        }
        ("ProblemCode", "status") => json!(404),
        ("Product" | "ProductCreate" | "ProductUpdate", "description") => json!("A virtual machine."),
        ("Product" | "ProductComponent" | "ProductRequirement", "name") => json!("vm"),
        ("ProductParameter" | "ProductParameterPrice", "name") => json!("memory_gb"),
        ("Schedule", "name") => json!("nightly-reconcile"),
        ("Schedule", "kind") => json!("vpn_reconcile"),
        ("Seller" | "SellerUpdate", "name") => json!("ungleich glarus ag"),
        ("Token" | "TokenCreate", "name") => json!("backup"),
        ("VpnNetworkCreate", "network_size") => json!(48),
        ("VatRate", "from") => json!("2024-01-01"),
        ("VatRate", "to") => json!("2027-01-01"),
        _ => return None,
    };
    Some(value)
}

/// Returns the text of a member; none if it is not known.
pub(super) fn text(member: &str) -> Option<&'static str> {
    Some(match member {
        "buyer_reference" => "04011000-12345-34",
        "city" => "Linthal",
        "code" => "no_billing_address",
        "company" => "Example GmbH",
        "contact_email" => "billing@example.ch",
        "contact_name" => "Billing",
        "contact_phone" => "+41 55 505 62 66",
        "description" => "Virtual machine: cores 2",
        "detail" => "give a billing address: PUT /v1/billing_address",
        "docs" => "/docs",
        "electronic_address" => "9930:DE136695976",
        "email" => "alice@example.ch",
        "endpoint" => "vpn-1.example.ch:51820",
        "error" => "port 51820 of the host is taken by another program",
        "event" => "dispatched",
        "evidence" | "vat_evidence" => "found in VIES on 3 March 2026",
        "footer" => "Questions: billing@example.ch",
        "hint" => "start a worker for its queue: uncloud-worker --queue vpn-1.example.ch",
        "house_number" => "1",
        "href" => "/v1/net/vpn/{id}",
        "kind" | "kinds" => "vpn_apply",
        "message" => "50 of 100 bills",
        "name" | "worker" => "vpn-1.example.ch",
        "note" => "VAT is to be paid by the customer (reverse charge).",
        "number" => "2026-000042",
        "object_id" => "42",
        "one" => "core",
        "openapi" => "/openapi.json",
        "operation_id" => "vpn_read",
        "order_reference" => "PO-4711",
        "oss_number" => "EU276000001",
        "other" => "cores",
        "period" => "P30D",
        "pointer" => "/network_size",
        "postal_code" => "8783",
        "prefix" => "unc_8Fq2hX0c",
        "program" => "uncloud bill run",
        "quantity" => "1.000000",
        "reason" => "ticket 4711",
        "registration_number" => "CHE-116.281.710",
        "request_id" => "9f86d081884c7d65",
        "secret" => "unc_8Fq2hX0cQm1yTz7RkVbWsN4uJxLdEoPaHgCiYfGtS3A",
        "serial_key" | "unique_key" => "vpn_apply:1",
        "source" => "Directive 2006/112/EC, art. 97",
        "status_reason" => "the host has not confirmed this change yet",
        "street" => "Bahnhofstrasse 1",
        "summary" => "Read a network",
        "text" => "Virtual machine: cores 2, January 2026",
        "title" => "Virtual machine",
        "unit" => "GB",
        "unit_price" => "5.00",
        "vat_number" => "DE136695976",
        "vat_percent" => "8.1",
        "vat_reason" => "standard rate of Switzerland",
        "vat_unavailable_reason" => "it depends on your billing address; set it with PUT /v1/billing_address",
        "version" => env!("CARGO_PKG_VERSION"),
        _ => return None,
    })
}

/// Returns the number of a member.
pub(super) const fn number(member: &str) -> i64 {
    match member.as_bytes() {
        b"commitment_periods" => 12,
        b"concurrency" | b"slots" | b"maximum" => 64,
        b"duration_ms" => 120,
        b"expires_in_days" => 90,
        b"every_seconds" | b"keep_seconds" | b"min_age_seconds" => 3600,
        b"generation" | b"applied_generation" => 1_769_860_800_000_000,
        b"hard_limit_seconds" => 300,
        b"limit" => 50,
        b"listen_port" => 51820,
        b"max_failures" | b"vpn_quota" => 8,
        b"network_size" => 40,
        b"payment_days" | b"wait" => 30,
        b"period_seconds" => 2_592_000,
        b"priority" => 5,
        b"rate_limit" => 100,
        b"rate_period_seconds" => 60,
        b"received_bytes" | b"sent_bytes" => 1_048_576,
        b"rss_bytes" => 18_874_368,
        b"seconds" => 86_400,
        b"subnetwork_size" => 48,
        _ => 1,
    }
}

/// Returns the usual value of a yes or no.
pub(super) fn is_true(member: &str) -> bool {
    !["cash_rounding", "closed", "deleting", "is_placeholder", "locked", "open", "oss_eu", "paused", "staff"]
        .contains(&member)
}
