//! The long polls in flight, limited for each user: each holds a connection.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// The number of a user's requests that may wait at the same time.
const MOST: usize = 32;

/// Counts waiting requests by user.
#[derive(Debug, Default)]
pub struct Waits(Mutex<HashMap<i64, usize>>);

/// A request that waits.
#[derive(Debug)]
pub(super) struct Wait<'a> {
    waits: &'a Waits,
    user_id: i64,
}

impl Waits {
    /// Counts a request of a user; none if the user has as many as may wait.
    pub(super) fn begin(&self, user_id: i64) -> Option<Wait<'_>> {
        let mut waits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waits.entry(user_id).or_default();
        if *count >= MOST {
            return None;
        }
        *count += 1;
        Some(Wait { waits: self, user_id })
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut waits = self.waits.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = waits.get_mut(&self.user_id) {
            *count -= 1;
            if *count == 0 {
                waits.remove(&self.user_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begin_beyond_limit_of_user_is_refused_until_one_ends() {
        let waits = Waits::default();
        let mut mine: Vec<_> = (0..MOST).filter_map(|_| waits.begin(1)).collect();
        assert_eq!(mine.len(), MOST);
        assert!(waits.begin(1).is_none() && waits.begin(2).is_some());
        mine.pop();
        assert!(waits.begin(1).is_some());
        drop(mine);
        assert!(waits.0.lock().expect("no panic").is_empty());
    }
}
