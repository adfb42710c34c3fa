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
        Malformed "malformed" "Not even the form is right: no JSON, a parameter that is unknown or wrong."
    }
    401 {
        Unauthenticated "unauthenticated" "Nobody known asked: credentials are missing or wrong."
    }
    403 {
        Forbidden "forbidden" "The caller may not do this at all."
        InsufficientScope "insufficient_scope" "The caller's token may not be used for this."
    }
    404 {
        NotFound "not_found" "There is no such object or address, or it is not the caller's."
    }
    405 {
        MethodNotAllowed "method_not_allowed" "The address does not take this method; the header Allow names those that it takes."
    }
    408 {
        TooSlow "too_slow" "The body took too long to arrive."
    }
    409 {
        AlreadyBilled "already_billed" "The customer has a bill of this very second already."
        AmountTooLarge "amount_too_large" "The bill's amounts are larger than bills can have."
        AnswerLost "answer_lost" "The change that this Idempotency-Key asked for was made, but its answer was lost."
        Deleting "deleting" "The object is being deleted."
        JobEnded "job_ended" "The job has ended, so it can't be revoked."
        JobNotRetryable "job_not_retryable" "The job has not failed, so it can't be tried again."
        KeyInUse "key_in_use" "Another network has this WireGuard key."
        LineBilled "line_billed" "The line is on a bill already."
        MissingRequirement "missing_requirement" "The product needs a running order of another product."
        NameTaken "name_taken" "Another object has this name."
        NetworkNotReplaceable "network_not_replaceable" "The order of a network can't be replaced."
        NoBillingAddress "no_billing_address" "The customer has no billing address."
        NoChangePending "no_change_pending" "Nothing is about to change that could be moved."
        NoSeller "no_seller" "The seller's details are missing, so nobody can be billed."
        NoVatNumber "no_vat_number" "The billing address has no VAT number."
        NoVatRate "no_vat_rate" "A VAT rate is missing that a bill needs."
        NoVpnProduct "no_vpn_product" "There is no product, or no price, for VPN networks."
        NotBillable "not_billable" "The customer can't be billed, for a reason that this version does not know."
        NotByHand "not_by_hand" "The order is not delivered by hand."
        NotDue "not_due" "It is too early for this."
        OrderEnded "order_ended" "The order has ended."
        OrderNeeded "order_needed" "Another running order needs this one."
        OrderNotRecurring "order_not_recurring" "The order was paid once, so it can be neither cancelled nor replaced."
        OrderPending "order_pending" "The order has not begun yet."
        OrderReplaced "order_replaced" "Another order has replaced this one."
        OtherCurrency "other_currency" "An order is replaced by one in the same currency."
        OtherVatNumber "other_vat_number" "The billing address has another VAT number by now."
        Overlap "overlap" "The prefix overlaps with that of another pool."
        PeriodExists "period_exists" "There is such a recurring period."
        PoolExhausted "pool_exhausted" "No pool has a free prefix of this size."
        PoolInUse "pool_in_use" "The pool has networks."
        PortInUse "port_in_use" "Another pool of this host has this port."
        QuotaExceeded "quota_exceeded" "The customer has as many networks as allowed."
        RefusedByDatabase "refused_by_database" "The customer's orders or bills do not fit together; they were changed by hand."
        StillRunning "still_running" "The first request with this Idempotency-Key is still being worked on."
        TooManyTokens "too_many_tokens" "The user has as many tokens as anybody may have."
        UnknownKind "unknown_kind" "The schedule is of a kind that this version does not know."
    }
    413 {
        TooLarge "too_large" "The body is too large."
    }
    414 {
        AddressTooLong "address_too_long" "The address is longer than 8 KiB."
    }
    415 {
        UnsupportedMediaType "unsupported_media_type" "The body is not said to be JSON."
    }
    422 {
        Invalid "invalid" "Fields have wrong values; `errors` names all of them."
    }
    429 {
        TooManyRequests "too_many_requests" "Too many wrong passwords; the header Retry-After says how long to wait."
    }
    431 {
        HeadersTooLarge "headers_too_large" "The headers are larger than 32 KiB."
    }
    500 {
        Internal "internal" "Our fault; `request_id` helps to find out what happened."
    }
    503 {
        Unavailable "unavailable" "A part of the service does not answer; trying again later helps."
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
