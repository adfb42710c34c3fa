//! Remembering for a short while which passwords were right.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::throttle::Key;

/// Then those that are over are dropped; when none is, the next ones are asked about each time.
const MOST: usize = 10_000;

/// Right answers by their keyed hash: what is in memory tells neither name nor password.
#[derive(Debug)]
pub(super) struct CredentialCache<V> {
    keep: Duration,
    /// With the time when each ends.
    answers: Mutex<HashMap<Key, (V, Instant)>>,
}

impl<V: Clone> CredentialCache<V> {
    pub(super) fn new(keep: Duration) -> Self {
        Self { keep, answers: Mutex::default() }
    }

    pub(super) fn recall(&self, guess: &Key) -> Option<V> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let (answer, end) = answers.get(guess)?;
        (Instant::now() < *end).then(|| answer.clone())
    }

    /// `asked`: from before the question, since the answer may have been true only then.
    pub(super) fn remember(&self, guess: Key, answer: V, asked: Instant) {
        self.remember_for(guess, answer, asked, self.keep);
    }

    /// For no longer than that either.
    pub(super) fn remember_for(&self, guess: Key, answer: V, asked: Instant, most: Duration) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= MOST {
            let now = Instant::now();
            answers.retain(|_, (_, end)| now < *end);
        }
        if answers.len() < MOST {
            answers.insert(guess, (answer, asked + self.keep.min(most)));
        }
    }

    pub(super) fn forget(&self, guess: &Key) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).remove(guess);
    }
}
