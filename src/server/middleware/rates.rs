//! Request rate limits. Each process counts for itself: of several servers, each counts the requests that it receives.

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use poem::{
    Response,
    http::{HeaderName, HeaderValue},
};

use crate::error::Error;

const WINDOW: Duration = Duration::from_mins(1);
/// Maximum number of counters of each kind.
const MOST: usize = 20_000;

/// Requests per minute; 0 disables the limit.
#[derive(Debug, Clone, Copy)]
pub struct RateLimits {
    /// Limit per user, from any address and with any authentication method.
    pub user: u32,
    /// Limit per address (IPv6: one /64) for callers without credentials or with wrong ones. Above it, the server
    /// refuses the address' requests without checking credentials.
    pub address: u32,
}

impl RateLimits {
    /// Enough for any well-behaved program, including its startup.
    pub const DEFAULT: Self = Self { user: 6000, address: 1200 };
    /// No limits, for benchmarks.
    pub const NONE: Self = Self { user: 0, address: 0 };
}

/// The counters per user and per address.
#[derive(Debug)]
pub(in crate::server) struct Rates {
    pub users: Rate<i64>,
    pub addresses: Rate<IpAddr>,
}

impl Rates {
    pub(in crate::server) fn new(limits: RateLimits) -> Self {
        Self { users: Rate::new("user", limits.user), addresses: Rate::new("address", limits.address) }
    }
}

#[derive(Debug, Clone, Copy)]
struct Count {
    requests: u32,
    since: Instant,
}

/// Requests in the current minute, which starts with the first request of each key.
#[derive(Debug)]
pub(in crate::server) struct Rate<K> {
    name: &'static str,
    most: u32,
    counts: Mutex<HashMap<K, Count>>,
}

/// The remainder of a minute's limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) struct RateLimitStatus {
    name: &'static str,
    most: u32,
    requests: u32,
    secs: u64,
}

fn secs_left(count: &Count, now: Instant) -> u64 {
    let left = WINDOW.saturating_sub(now.duration_since(count.since));
    left.as_secs() + u64::from(left.subsec_nanos() > 0)
}

impl<K: Eq + Hash + Copy> Rate<K> {
    fn new(name: &'static str, most: u32) -> Self {
        Self { name, most, counts: Mutex::default() }
    }

    /// Refuses a caller that has used up its limit, without counting the request.
    pub(in crate::server) fn check(&self, key: K, now: Instant) -> Result<(), RateLimitStatus> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get(&key).filter(|count| now.duration_since(count.since) < WINDOW);
        match count {
            Some(count) if self.most > 0 && count.requests >= self.most => Err(self.left(0, secs_left(count, now))),
            _ => Ok(()),
        }
    }

    /// Counts a request or refuses it; returns `None` when there is no limit.
    pub(in crate::server) fn try_acquire(
        &self,
        key: K,
        now: Instant,
    ) -> Result<Option<RateLimitStatus>, RateLimitStatus> {
        if self.most == 0 {
            return Ok(None);
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MOST && !counts.contains_key(&key) {
            make_room(&mut counts, now);
        }
        let fresh = Count { requests: 0, since: now };
        let count = counts.entry(key).or_insert(fresh);
        if now.duration_since(count.since) >= WINDOW {
            *count = fresh;
        }
        let secs = secs_left(count, now);
        if count.requests >= self.most {
            return Err(self.left(0, secs));
        }
        count.requests += 1;
        Ok(Some(self.left(self.most - count.requests, secs)))
    }

    const fn left(&self, requests: u32, secs: u64) -> RateLimitStatus {
        RateLimitStatus { name: self.name, most: self.most, requests, secs }
    }
}

/// Counts a request whose caller hangs up before its credentials are checked, like one with wrong credentials.
pub(in crate::server) struct HangUp<'a> {
    pub rate: &'a Rate<IpAddr>,
    pub address: IpAddr,
    pub answered: bool,
}

impl HangUp<'_> {
    /// The caller is known to be right or wrong.
    pub(in crate::server) fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for HangUp<'_> {
    fn drop(&mut self) {
        if !self.answered {
            let _ = self.rate.try_acquire(self.address, Instant::now());
        }
    }
}

/// Evicts all old counts at once, so that a caller with very many addresses gains nothing by starting a new minute.
fn make_room<K: Eq + Hash>(counts: &mut HashMap<K, Count>, now: Instant) {
    counts.retain(|_, count| now.duration_since(count.since) < WINDOW);
    if counts.len() > MOST / 2 {
        counts.clear();
    }
}

impl RateLimitStatus {
    /// Returns the error for a caller that has used up its limit.
    pub(in crate::server) const fn refusal(self) -> Error {
        Error::RateLimited { retry_after_seconds: self.secs }
    }

    /// Adds the headers that describe the limit (draft-ietf-httpapi-ratelimit-headers).
    pub(in crate::server) fn add_headers(self, response: &mut Response) {
        let Self { name, most, requests, secs } = self;
        let headers = response.headers_mut();
        for (header, value) in [
            ("ratelimit-policy", format!("\"{name}\";q={most};w={}", WINDOW.as_secs())),
            ("ratelimit", format!("\"{name}\";r={requests};t={secs}")),
        ] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(header), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_beyond_limit_is_refused_until_next_minute() {
        let (rate, start) = (Rate::new("user", 2), Instant::now());
        let at = |secs| start + Duration::from_secs(secs);
        let acquire =
            |user: u32, secs| rate.try_acquire(user, at(secs)).map(|left| left.map(|left| (left.requests, left.secs)));
        assert_eq!(acquire(1, 0).expect("first"), Some((1, 60)));
        assert!(rate.check(1, at(10)).is_ok());
        assert_eq!(acquire(1, 20).expect("second"), Some((0, 40)));
        assert!(matches!(acquire(1, 59), Err(RateLimitStatus { requests: 0, secs: 1, .. })));
        assert!(matches!(rate.check(1, at(59)), Err(RateLimitStatus { requests: 0, secs: 1, .. })));
        assert_eq!(acquire(2, 59).expect("another one"), Some((1, 60)));
        assert!(rate.check(1, at(60)).is_ok());
        assert_eq!(acquire(1, 60).expect("another minute"), Some((1, 60)));
        let unlimited = Rate::new("user", 0);
        assert_eq!(unlimited.try_acquire(1, start).expect("no limit"), None);
        assert!(unlimited.check(1, start).is_ok());
    }

    #[test]
    fn rate_with_many_keys_is_bounded() {
        let (rate, now) = (Rate::new("address", 1), Instant::now());
        for address in 0..100_000_u32 {
            rate.try_acquire(address, now).expect("the first of each");
        }
        assert!(rate.counts.lock().expect("no panic").len() <= MOST);
    }
}
