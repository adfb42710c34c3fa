//! The stable codes of problems. This is the only list: error responses, `GET /v1/problem`, the OpenAPI document and
//! docs/reference/errors.md come from it. Each code has its meaning and, on the next line, the remedy.

use std::fmt;

macro_rules! codes {
    ($($status:literal { $($variant:ident $name:literal $about:literal $remedy:literal)* })*) => {
        /// A problem's code, for programs. A code never changes its meaning and is never removed; new ones may be
        /// added.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code {
            $($(#[doc = $about] $variant,)*)*
        }

        impl Code {
            /// All codes, by HTTP status.
            pub const ALL: &[Self] = &[$($(Self::$variant,)*)*];

            /// Returns the name that programs read.
            pub const fn name(self) -> &'static str {
                match self { $($(Self::$variant => $name,)*)* }
            }

            /// Returns the HTTP status of responses with this code.
            pub const fn status(self) -> u16 {
                match self { $($(Self::$variant => $status,)*)* }
            }

            /// Returns the meaning, for people.
            pub const fn about(self) -> &'static str {
                match self { $($(Self::$variant => $about,)*)* }
            }

            /// Returns the next step for the client.
            pub const fn remedy(self) -> &'static str {
                match self { $($(Self::$variant => $remedy,)*)* }
            }
        }
    };
}

codes! {
    400 {
        Malformed "malformed" "The request's form is invalid: not JSON, or an unknown or invalid parameter."
            "Compare the request with the document at /docs."
    }
    401 {
        Unauthenticated "unauthenticated" "Credentials are missing or wrong."
            "Send a user name and password (Basic) or a token (Bearer) that is valid."
    }
    403 {
        Forbidden "forbidden" "The caller may not do this."
            "Contact staff, or sign in as a member of staff."
        InsufficientScope "insufficient_scope" "The scopes of the caller's token do not cover this."
            "Create a token with the scope that the message names: POST /v1/token."
    }
    404 {
        NotFound "not_found" "The object or path does not exist, or the object is not the caller's."
            "Check the address and the number; a list shows the objects that exist."
    }
    405 {
        MethodNotAllowed "method_not_allowed" "The path does not support this method; the header Allow lists those that it supports."
            "Use a method that the header Allow names."
    }
    408 {
        RequestTimeout "request_timeout" "The body took too long to arrive."
            "Send the request again, on a better connection."
    }
    409 {
        AmountTooLarge "amount_too_large" "The bill's amounts are larger than a bill can have."
            "Correct the order or the bill item that is too expensive."
        BillRunEnded "bill_run_ended" "The bill run has ended: what has a number stays."
            "Correct a bill by a bill item, which the next bill contains."
        BillRunOpen "bill_run_open" "A bill run that has not ended has bills of this customer."
            "Wait until the run has ended, or abort it."
        CurrencyMismatch "currency_mismatch" "An order is replaced by one in the same currency."
            "Choose a price in the currency of the order."
        Deleting "deleting" "The object is being deleted."
            "Wait until it is gone, then create another one."
        IdempotencyKeyInUse "idempotency_key_in_use" "The first request with this Idempotency-Key is still running."
            "Wait for the response to the first request, or send the request again in a moment."
        InconsistentRecords "inconsistent_records" "The customer's orders or bills contradict each other, because they were changed outside of uncloud."
            "Staff find the fault with `uncloud bill verify`."
        ItemBilled "item_billed" "The bill item is already on a bill."
            "Create another bill item that corrects it."
        JobEnded "job_ended" "The job has ended, so it can't be revoked."
            "No action is needed; read the job to see how it ended."
        JobNotRetryable "job_not_retryable" "The job has not failed, so it can't be retried."
            "Read the job; wait until it has ended."
        KeyInUse "key_in_use" "Another network has this WireGuard key."
            "Create another key pair with `wg genkey` and send its public key."
        MissingRequirement "missing_requirement" "The product requires a running order of another product."
            "Order the product that the message names first."
        NameTaken "name_taken" "Another object has this name."
            "Choose another name."
        NetworkNotReplaceable "network_not_replaceable" "The order of a network can't be replaced."
            "Cancel the order, and order another network."
        NoBillingAddress "no_billing_address" "The customer has no billing address."
            "Set the address with PUT /v1/billing_address."
        NoChangePending "no_change_pending" "The order has no pending change that could be moved or undone."
            "No action is needed."
        NoPostalCode "no_postal_code" "The billing address has no postal code, which decides its VAT."
            "Set the postal code with PUT /v1/billing_address."
        NoSeller "no_seller" "The seller's details are missing or placeholders, so no customer can be billed."
            "Staff set the seller's details with PUT /v1/admin/seller."
        NoVatNumber "no_vat_number" "The billing address has no VAT number."
            "Set the number with PUT /v1/billing_address."
        NoVatRate "no_vat_rate" "A VAT rate that a bill needs is missing."
            "Staff import the rate with `uncloud import-vat-rates`."
        NoVpnProduct "no_vpn_product" "The catalogue has no product, or no price, for VPN networks."
            "Staff add a product for VPN networks, or its price: /v1/admin/product."
        NotBillable "not_billable" "The customer can't be billed, for a reason that this version does not know."
            "Update uncloud; a newer version wrote the reason."
        NotManual "not_manual" "The order is delivered automatically, so staff do not record its delivery."
            "No action is needed; a worker delivers the order."
        OrderEnded "order_ended" "The order has ended."
            "Place another order."
        OrderHasDependents "order_has_dependents" "Another running order requires this one."
            "Cancel the orders that the message names first."
        OrderNotRecurring "order_not_recurring" "The order was paid once, so it can be neither cancelled nor replaced."
            "Place another order."
        OrderReplaced "order_replaced" "Another order has replaced this one."
            "Use the order that replaced it."
        OtherVatNumber "other_vat_number" "The billing address has another VAT number by now."
            "Read the billing address again, and check its present number."
        Overlap "overlap" "The prefix overlaps with that of another pool."
            "Choose a prefix that no pool has: /v1/admin/vpnpool."
        PasswordInDirectory "password_in_directory" "The user's password is kept in the directory (LDAP)."
            "Change the password in the directory."
        PeriodExists "period_exists" "The recurring period exists already."
            "Use the period that exists."
        PoolExhausted "pool_exhausted" "No pool has a free prefix of this size."
            "Request a smaller network, or have staff add a pool."
        PoolInUse "pool_in_use" "The pool has networks."
            "Delete its networks first: /v1/admin/net/vpn."
        PortInUse "port_in_use" "Another pool of this host has this port."
            "Choose another port."
        QuotaExceeded "quota_exceeded" "The customer has as many networks as the quota allows."
            "Delete a network, or have staff raise `vpn_quota`."
        ResponseLost "response_lost" "The change that was requested with this Idempotency-Key was made, but its response was lost."
            "Read the object to see the change; with another key, the change would be made again."
        TooEarly "too_early" "The time for this has not come yet."
            "Try again later; the message says when where that is known."
        TooLate "too_late" "The change has taken effect, or has changed the service already."
            "Order another change."
        TooManyTokens "too_many_tokens" "The user has as many tokens as a user may have."
            "Delete a token that is not needed."
        UnknownKind "unknown_kind" "This version does not know the schedule's kind."
            "Update uncloud; a newer version created the schedule."
    }
    412 {
        PreconditionFailed "precondition_failed" "The object has changed since the caller read it, or If-Match has a weak ETag."
            "Read the object again, and send the change with its new ETag."
    }
    413 {
        ContentTooLarge "content_too_large" "The body is too large."
            "Send a smaller body."
    }
    414 {
        UriTooLong "uri_too_long" "The URI is longer than 8 KiB."
            "Send fewer or shorter parameters."
    }
    415 {
        UnsupportedMediaType "unsupported_media_type" "The Content-Type is not the one that the operation takes, or the body is compressed."
            "Send the header Content-Type: application/json, and no Content-Encoding."
    }
    422 {
        IdempotencyKeyReused "idempotency_key_reused" "The Idempotency-Key was used for another request."
            "Use a new key for each request."
        Invalid "invalid" "Fields are invalid; `errors` lists all of them."
            "Correct the fields that `errors` names."
    }
    429 {
        TooManyRequests "too_many_requests" "Too many wrong passwords; the header Retry-After says how long to wait."
            "Wait as long as Retry-After says, and check the password."
        RateLimited "rate_limited" "Too many requests; the header Retry-After says how long to wait."
            "Wait as long as Retry-After says, and send fewer requests."
    }
    431 {
        HeadersTooLarge "headers_too_large" "The headers are larger than 32 KiB."
            "Send fewer or shorter headers."
    }
    500 {
        Internal "internal" "The server failed; staff find the cause by `request_id`."
            "Report the `request_id`; staff find the cause in the log."
    }
    503 {
        Unavailable "unavailable" "A part of the service does not respond; retry later."
            "Send the request again later."
    }
}

impl Code {
    /// Returns the code that the database stores by this name; a newer version may have written another one.
    pub fn of_bill_problem(name: &str) -> Self {
        Self::ALL.iter().copied().find(|code| code.name() == name).unwrap_or(Self::NotBillable)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl serde::Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_codes_are_lowercase_words_and_unique() {
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
        assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
    }
}
