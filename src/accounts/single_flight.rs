//! One at a time for each key: of many requests with the same password only the first asks, the others recall.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::throttle::Key;

/// Bounded by the requests under way.
#[derive(Debug, Default)]
pub(super) struct SingleFlight(Mutex<HashMap<Key, Arc<tokio::sync::Mutex<()>>>>);

/// A place in the queue of a key; `lock` it for the turn.
#[derive(Debug)]
pub(super) struct FlightTicket<'a> {
    turns: &'a SingleFlight,
    key: Key,
    /// Locked while it is somebody's turn.
    pub lock: Arc<tokio::sync::Mutex<()>>,
}

impl SingleFlight {
    pub(super) fn ticket(&self, key: Key) -> FlightTicket<'_> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lock = Arc::clone(turns.entry(key).or_default());
        FlightTicket { turns: self, key, lock }
    }
}

impl Drop for FlightTicket<'_> {
    fn drop(&mut self) {
        let mut turns = self.turns.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The map's and ours: nobody else waits.
        if Arc::strong_count(&self.lock) == 2 {
            turns.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_left_behind() {
        let turns = SingleFlight::default();
        let (first, second) = (turns.ticket([1; 32]), turns.ticket([1; 32]));
        let turn = first.lock.lock().await;
        assert!(second.lock.try_lock().is_err());
        drop(turn);
        assert!(second.lock.try_lock().is_ok());
        drop((first, second));
        assert!(turns.0.lock().expect("no panic").is_empty());
    }
}
