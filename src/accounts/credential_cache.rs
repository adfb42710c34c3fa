//! The cache of recently confirmed passwords and tokens.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::throttle::Key;

/// The number of entries at which the cache drops expired ones; while none has expired, further results are not cached.
const MOST: usize = 10_000;

/// Confirmed results by their keyed hash: the cache reveals neither name nor password.
#[derive(Debug)]
pub(super) struct CredentialCache<V> {
    keep: Duration,
    /// The results with the time at which each expires.
    entries: Mutex<HashMap<Key, (V, Instant)>>,
}

impl<V: Clone> CredentialCache<V> {
    pub(super) fn new(keep: Duration) -> Self {
        Self { keep, entries: Mutex::default() }
    }

    pub(super) fn recall(&self, guess: &Key) -> Option<V> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let (value, end) = entries.get(guess)?;
        (Instant::now() < *end).then(|| value.clone())
    }

    /// Caches a result. `started` is the time before the check, since the result may have been true only then.
    pub(super) fn remember(&self, guess: Key, value: V, started: Instant) {
        self.remember_for(guess, value, started, self.keep);
    }

    /// Caches a result for `most` at the longest.
    pub(super) fn remember_for(&self, guess: Key, value: V, started: Instant, most: Duration) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= MOST {
            let now = Instant::now();
            entries.retain(|_, (_, end)| now < *end);
        }
        if entries.len() < MOST {
            entries.insert(guess, (value, started + self.keep.min(most)));
        }
    }

    /// Drops the results that match.
    pub(super) fn forget_all(&self, matches: impl Fn(&V) -> bool) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, (value, _)| !matches(value));
    }

    pub(super) fn forget(&self, guess: &Key) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).remove(guess);
    }
}
