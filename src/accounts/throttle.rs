//! The throttling of password guessing, without locking out the users themselves.
//!
//! Wrong passwords are counted in four ways, each with a wait that doubles up to a limit:
//!
//! - *pair*, a user name from an address: five different wrong passwords. It applies to right
//!   passwords too, since otherwise the cache of right ones could be guessed at full speed.
//! - *guess*, the same wrong password from the same address: a forgotten script with an old
//!   password blocks only itself, not another user at that address, since it learns nothing new.
//! - *address*, over all names, and *user*, over all addresses: an attacker who tries one password
//!   on many users, or from many machines. They apply only to unfamiliar addresses: where a user
//!   has logged in lately, an attacker elsewhere can't lock that user out.
//!
//! So an attacker elsewhere can at most delay a user at *new* addresses, by 10 s at a time. The server locks no user
//! for good, and treats unknown names like existing ones. It keeps counts under a keyed hash, in bounded memory, in
//! this process: with several servers each counts the requests that it sees.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// A keyed hash.
pub(super) type Key = [u8; 32];

/// The time after the last wrong password, or after the wait for it, at which a count expires.
const WINDOW: Duration = Duration::from_mins(1);
/// The time for which a wrong password is not checked again.
const WRONG_FOR: Duration = Duration::from_secs(10);
/// The time for which an address stays familiar after a user has logged in there.
const FAMILIAR_FOR: Duration = Duration::from_hours(12);
/// The maximal number of entries of either kind, of about 100 bytes each.
const MOST: usize = 20_000;

/// The count at which waits start, and their length.
struct Limit {
    wrong: u32,
    longest: Duration,
}

const PAIR: Limit = Limit { wrong: 5, longest: Duration::from_mins(1) };
const GUESS: Limit = Limit { wrong: 5, longest: Duration::from_mins(1) };
const ADDRESS: Limit = Limit { wrong: 20, longest: Duration::from_mins(1) };
const USER: Limit = Limit { wrong: 30, longest: Duration::from_secs(10) };

/// The keys that are counted for one login attempt.
#[derive(Debug, Clone, Copy)]
pub(super) struct LoginAttempt {
    /// The key of user name, address and password.
    pub guess: Key,
    /// The key of user name and address.
    pub pair: Key,
    pub address: Key,
    pub user: Key,
}

/// A result for an attempt that is known before any check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The attempt is too early; the client has to wait this long.
    Wait(Duration),
    /// The same password was wrong a moment ago.
    Wrong,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    wrong: u32,
    blocked_until: Instant,
    forget_at: Instant,
    /// The time until which a guess is known to be wrong.
    wrong_until: Instant,
}

#[derive(Debug, Default)]
struct Counts {
    counts: HashMap<Key, Count>,
    /// The pairs that have logged in, and the time until which they are familiar.
    familiar: HashMap<Key, Instant>,
}

/// The counts of wrong passwords; see the module.
#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<Counts>);

impl Throttle {
    fn lock(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the wait for this user at this address, regardless of the password.
    pub(super) fn wait_of_pair(&self, attempt: &LoginAttempt, now: Instant) -> Option<Verdict> {
        self.lock().wait(&attempt.pair, now)
    }

    /// Returns a verdict if a check would be futile or too early. A repeated wrong password is counted here.
    pub(super) fn verdict(&self, attempt: &LoginAttempt, now: Instant) -> Option<Verdict> {
        let mut counts = self.lock();
        if let Some(wait) = counts.wait(&attempt.guess, now) {
            return Some(wait);
        }
        if counts.counts.get(&attempt.guess).is_some_and(|count| now < count.wrong_until) {
            counts.record_failure(attempt.guess, &GUESS, now);
            return Some(Verdict::Wrong);
        }
        if counts.familiar.get(&attempt.pair).is_some_and(|until| now < *until) {
            return None;
        }
        counts.wait(&attempt.address, now).or_else(|| counts.wait(&attempt.user, now))
    }

    /// Records that the password was checked and is wrong.
    pub(super) fn wrong(&self, attempt: &LoginAttempt, now: Instant) {
        let mut counts = self.lock();
        let repeated = counts.counts.get(&attempt.guess).is_some_and(|count| now < count.forget_at);
        counts.record_failure(attempt.guess, &GUESS, now);
        if let Some(count) = counts.counts.get_mut(&attempt.guess) {
            count.wrong_until = now + WRONG_FOR;
        }
        if !repeated {
            counts.record_failure(attempt.pair, &PAIR, now);
            counts.record_failure(attempt.address, &ADDRESS, now);
            counts.record_failure(attempt.user, &USER, now);
        }
    }

    /// Records that the password was checked and is right. Counts do not change: others who share the user's address
    /// must not gain new guesses.
    pub(super) fn right(&self, attempt: &LoginAttempt, now: Instant) {
        let mut counts = self.lock();
        counts.counts.remove(&attempt.guess);
        if counts.familiar.len() >= MOST {
            keep_later_half(&mut counts.familiar, now, |until| *until);
        }
        counts.familiar.insert(attempt.pair, now + FAMILIAR_FOR);
    }
}

impl Counts {
    fn wait(&self, key: &Key, now: Instant) -> Option<Verdict> {
        let left = self.counts.get(key)?.blocked_until.saturating_duration_since(now);
        (!left.is_zero()).then_some(Verdict::Wait(left))
    }

    fn record_failure(&mut self, key: Key, limit: &Limit, now: Instant) {
        if self.counts.len() >= MOST && !self.counts.contains_key(&key) {
            keep_later_half(&mut self.counts, now, |count| count.forget_at);
        }
        let fresh = Count { wrong: 0, blocked_until: now, forget_at: now, wrong_until: now };
        let count = self.counts.entry(key).or_insert(fresh);
        if count.forget_at <= now {
            *count = fresh;
        }
        count.wrong = count.wrong.saturating_add(1);
        if let Some(over) = count.wrong.checked_sub(limit.wrong) {
            let wait = Duration::from_secs(1 << over.min(16));
            count.blocked_until = now + wait.min(limit.longest);
        }
        count.forget_at = count.blocked_until.max(now) + WINDOW;
    }
}

/// Drops expired entries, and if these are few, also those that expire soonest, which have the lowest counts.
fn keep_later_half<V>(map: &mut HashMap<Key, V>, now: Instant, end: impl Fn(&V) -> Instant) {
    map.retain(|_, value| end(value) > now);
    if map.len() > MOST / 2 {
        let mut ends: Vec<Instant> = map.values().map(&end).collect();
        let (_, middle, _) = ends.select_nth_unstable(map.len() / 2);
        let middle = *middle;
        let mut surplus = map.len() - MOST / 2;
        map.retain(|_, value| {
            let dropped = surplus > 0 && end(value) <= middle;
            surplus -= usize::from(dropped);
            !dropped
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(parts: (u8, u32)) -> Key {
        let mut key = [parts.0; 32];
        key[..4].copy_from_slice(&parts.1.to_be_bytes());
        key
    }

    fn attempt(user: u32, address: u32, password: u32) -> LoginAttempt {
        let pair = user * 100_000 + address;
        LoginAttempt {
            guess: key((0, pair.wrapping_mul(31).wrapping_add(password))),
            pair: key((1, pair)),
            address: key((2, address)),
            user: key((3, user)),
        }
    }

    /// Attempts a login like the authenticator does; returns true if the password was checked.
    fn guess(throttle: &Throttle, attempt: &LoginAttempt, now: Instant) -> bool {
        let checked = throttle.wait_of_pair(attempt, now).or_else(|| throttle.verdict(attempt, now)).is_none();
        if checked {
            throttle.wrong(attempt, now);
        }
        checked
    }

    #[test]
    fn guesses_at_one_user_are_limited_to_one_a_minute() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let checked = |from: u64, seconds: u64| {
            let is_checked = |second: u64| {
                let password = u32::try_from(second).expect("small");
                guess(&throttle, &attempt(1, 1, password), start + Duration::from_secs(second / 10))
            };
            (from * 10..(from + seconds) * 10).filter(|second| is_checked(*second)).count()
        };
        assert_eq!(checked(0, 1), 5, "at once");
        assert_eq!(checked(1, 62), 5, "after 1, 2, 4, 8 and 16 s");
        assert_eq!(checked(63, 3600), 60, "then each minute");
    }

    #[test]
    fn repeated_wrong_password_blocks_only_itself() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let old_script = attempt(1, 1, 7);
        assert!(guess(&throttle, &old_script, now));
        for _ in 0..4 {
            assert_eq!(throttle.verdict(&old_script, now), Some(Verdict::Wrong));
        }
        assert_eq!(throttle.verdict(&old_script, now), Some(Verdict::Wait(Duration::from_secs(1))));
        let right = attempt(1, 1, 8);
        assert_eq!(throttle.wait_of_pair(&right, now), None);
        assert_eq!(throttle.verdict(&right, now), None);
    }

    #[test]
    fn guesses_elsewhere_do_not_block_familiar_address() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let at_home = attempt(1, 1, 1);
        throttle.right(&at_home, now);
        let checked = (10..1000).filter(|address| guess(&throttle, &attempt(1, *address, 2), now)).count();
        assert_eq!(checked, 30, "from a new address each time");
        assert_eq!(throttle.verdict(&at_home, now), None, "at home");
        let elsewhere = throttle.verdict(&attempt(1, 5000, 1), now);
        assert_eq!(elsewhere, Some(Verdict::Wait(Duration::from_secs(1))), "in a new place, and never for long");
        let other_users = (2..1000).filter(|user| guess(&throttle, &attempt(*user, 10, 1), now)).count();
        assert_eq!(other_users, 19, "one address, many users");
    }

    #[test]
    fn throttle_with_many_keys_is_bounded() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let blocked = attempt(0, 0, 0);
        for password in 0..5 {
            throttle.wrong(&attempt(0, 0, password), now);
        }
        for user in 0..40_000 {
            throttle.wrong(&attempt(user % 40_000 + 1, user, 1), now);
            throttle.right(&attempt(user % 40_000 + 1, user, 2), now);
        }
        let counts = throttle.lock();
        assert!(counts.counts.len() <= MOST && counts.familiar.len() <= MOST);
        drop(counts);
        assert!(throttle.wait_of_pair(&blocked, now).is_some(), "a waiting entry is dropped last");
    }
}
