//! Remembering for a short while which passwords were right.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{User, throttle::Key};

/// Then those that are over are dropped; when none is, the next ones are asked about each time.
const MOST: usize = 10_000;

/// Right answers by their keyed hash: what is in memory tells neither name nor password.
#[derive(Debug)]
pub(super) struct Memory {
    keep: Duration,
    answers: Mutex<HashMap<Key, (User, Instant)>>,
}

impl Memory {
    pub(super) fn new(keep: Duration) -> Self {
        Self { keep, answers: Mutex::default() }
    }

    pub(super) fn recall(&self, guess: &Key) -> Option<User> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let (user, since) = answers.get(guess)?;
        (since.elapsed() < self.keep).then(|| user.clone())
    }

    /// `asked`: from before the question, since the answer may have been true only then.
    pub(super) fn remember(&self, guess: Key, user: User, asked: Instant) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= MOST {
            answers.retain(|_, (_, since)| since.elapsed() < self.keep);
        }
        if answers.len() < MOST {
            answers.insert(guess, (user, asked));
        }
    }
}
