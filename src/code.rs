//! The stable codes of problems. This is the one list: refusals, `GET /v1/problem` and the document come from it.

use std::fmt;

macro_rules! codes {
    ($($status:literal { $($variant:ident $name:literal $about:literal)* })*) => {
        /// What went wrong, for programs. A code never changes its meaning and never goes; new ones may come.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code {
            $($(#[doc = $about] $variant,)*)*
        }

        impl Code {
            /// All of them, by HTTP status.
            pub const ALL: &[Self] = &[$($(Self::$variant,)*)*];

            /// As programs read it.
            pub const fn name(self) -> &'static str {
                match self { $($(Self::$variant => $name,)*)* }
            }

            /// The HTTP status that it comes with.
            pub const fn status(self) -> u16 {
                match self { $($(Self::$variant => $status,)*)* }
            }

            /// What it means, for people.
            pub const fn about(self) -> &'static str {
                match self { $($(Self::$variant => $about,)*)* }
            }
        }
    };
}

codes! {
    400 {
        Malformed "malformed" "The request's form is invalid: not JSON, or an unknown or invalid parameter."
    }
    401 {
        Unauthenticated "unauthenticated" "Credentials are missing or wrong."
    }
    403 {
        Forbidden "forbidden" "The caller may not do this."
        InsufficientScope "insufficient_scope" "The scopes of the caller's token do not cover this."
    }
    404 {
        NotFound "not_found" "The object or path does not exist, or the object is not the caller's."
    }
    405 {
        MethodNotAllowed "method_not_allowed" "The path does not support this method; the header Allow lists those that it supports."
    }
    408 {
        RequestTimeout "request_timeout" "The body took too long to arrive."
    }
    409 {
        AlreadyBilled "already_billed" "The customer already has a bill of this very second."
        AmountTooLarge "amount_too_large" "The bill's amounts are larger than a bill can have."
        CurrencyMismatch "currency_mismatch" "An order is replaced by one in the same currency."
        Deleting "deleting" "The object is being deleted."
        IdempotencyKeyInUse "idempotency_key_in_use" "The first request with this Idempotency-Key is still running."
        InconsistentRecords "inconsistent_records" "The customer's orders or bills contradict each other, because they were changed outside of uncloud."
        ItemBilled "item_billed" "The bill item is already on a bill."
        JobEnded "job_ended" "The job has ended, so it can't be revoked."
        JobNotRetryable "job_not_retryable" "The job has not failed, so it can't be retried."
        KeyInUse "key_in_use" "Another network has this WireGuard key."
        MissingRequirement "missing_requirement" "The product requires a running order of another product."
        NameTaken "name_taken" "Another object has this name."
        NetworkNotReplaceable "network_not_replaceable" "The order of a network can't be replaced."
        NoBillingAddress "no_billing_address" "The customer has no billing address."
        NoChangePending "no_change_pending" "The order has no pending change that could be moved."
        NoSeller "no_seller" "The seller's details are missing, so no customer can be billed."
        NoVatNumber "no_vat_number" "The billing address has no VAT number."
        NoVatRate "no_vat_rate" "A VAT rate that a bill needs is missing."
        NoVpnProduct "no_vpn_product" "The catalogue has no product, or no price, for VPN networks."
        NotBillable "not_billable" "The customer can't be billed, for a reason that this version does not know."
        NotManual "not_manual" "The order is delivered automatically, so staff do not record its delivery."
        OrderEnded "order_ended" "The order has ended."
        OrderHasDependents "order_has_dependents" "Another running order requires this one."
        OrderNotRecurring "order_not_recurring" "The order was paid once, so it can be neither cancelled nor replaced."
        OrderPending "order_pending" "The order has not started yet."
        OrderReplaced "order_replaced" "Another order has replaced this one."
        OtherVatNumber "other_vat_number" "The billing address has another VAT number by now."
        Overlap "overlap" "The prefix overlaps with that of another pool."
        PeriodExists "period_exists" "The recurring period exists already."
        PoolExhausted "pool_exhausted" "No pool has a free prefix of this size."
        PoolInUse "pool_in_use" "The pool has networks."
        PortInUse "port_in_use" "Another pool of this host has this port."
        QuotaExceeded "quota_exceeded" "The customer has as many networks as the quota allows."
        ResponseLost "response_lost" "The change that was requested with this Idempotency-Key was made, but its response was lost."
        TooEarly "too_early" "The time for this has not come yet."
        TooManyTokens "too_many_tokens" "The user has as many tokens as a user may have."
        UnknownKind "unknown_kind" "This version does not know the schedule's kind."
    }
    412 {
        PreconditionFailed "precondition_failed" "The object has changed since the caller read it."
    }
    413 {
        ContentTooLarge "content_too_large" "The body is too large."
    }
    414 {
        UriTooLong "uri_too_long" "The URI is longer than 8 KiB."
    }
    415 {
        UnsupportedMediaType "unsupported_media_type" "The Content-Type is not application/json."
    }
    422 {
        Invalid "invalid" "Fields are invalid; `errors` lists all of them."
    }
    429 {
        TooManyRequests "too_many_requests" "Too many wrong passwords; the header Retry-After says how long to wait."
        RateLimited "rate_limited" "Too many requests; the header Retry-After says how long to wait."
    }
    431 {
        HeadersTooLarge "headers_too_large" "The headers are larger than 32 KiB."
    }
    500 {
        Internal "internal" "The server failed; staff find the cause by `request_id`."
    }
    503 {
        Unavailable "unavailable" "A part of the service does not respond; retry later."
    }
}

impl Code {
    /// As it is kept in the database, where a newer version may have written another one.
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
    fn codes_are_plain_words_and_each_is_there_once() {
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
        assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
    }
}
