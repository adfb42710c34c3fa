//! The cache of recently confirmed passwords and tokens.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::throttle::Key;

/// The number of entries at which the cache drops expired ones; while none has expired, further results are not cached.
const MOST: usize = 10_000;

/// Confirmed results by their keyed hash: the cache reveals neither name nor password.
#[derive(Debug)]
pub(super) struct CredentialCache<V> {
    keep: Duration,
    entries: Mutex<Entries<V>>,
}

#[derive(Debug)]
struct Entries<V> {
    /// The results with the time at which each expires.
    results: HashMap<Key, (V, Instant)>,
    /// The last time at which results that match were dropped: a check that began before may have read what they came from.
    dropped: Option<Instant>,
}

impl<V: Clone> CredentialCache<V> {
    pub(super) fn new(keep: Duration) -> Self {
        Self { keep, entries: Mutex::new(Entries { results: HashMap::new(), dropped: None }) }
    }

    fn lock(&self) -> MutexGuard<'_, Entries<V>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn recall(&self, guess: &Key) -> Option<V> {
        let entries = self.lock();
        let (value, end) = entries.results.get(guess)?;
        (Instant::now() < *end).then(|| value.clone())
    }

    /// Caches a result. `started` is the time before the check, since the result may have been true only then.
    pub(super) fn remember(&self, guess: Key, value: V, started: Instant) {
        self.remember_for(guess, value, started, self.keep);
    }

    /// Caches a result for `most` at the longest.
    pub(super) fn remember_for(&self, guess: Key, value: V, started: Instant, most: Duration) {
        let mut entries = self.lock();
        if entries.dropped.is_some_and(|dropped| started <= dropped) {
            return;
        }
        if entries.results.len() >= MOST {
            let now = Instant::now();
            entries.results.retain(|_, (_, end)| now < *end);
        }
        if entries.results.len() < MOST {
            entries.results.insert(guess, (value, started + self.keep.min(most)));
        }
    }

    /// Drops the results that match, also those of checks in progress.
    pub(super) fn forget_all(&self, matches: impl Fn(&V) -> bool) {
        let mut entries = self.lock();
        entries.results.retain(|_, (value, _)| !matches(value));
        entries.dropped = Some(Instant::now());
    }

    pub(super) fn forget(&self, guess: &Key) {
        self.lock().results.remove(guess);
    }
}
