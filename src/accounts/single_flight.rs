//! Serialised checks: of many requests with the same password only the first is checked, the others use the cached
//! result.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::throttle::Key;

/// The keys with a check in progress, bounded by the number of open requests.
#[derive(Debug, Default)]
pub(super) struct SingleFlight(Mutex<HashMap<Key, Arc<tokio::sync::Mutex<()>>>>);

/// A place in the queue of a key; the caller awaits `lock` for its turn.
#[derive(Debug)]
pub(super) struct FlightTicket<'a> {
    flights: &'a SingleFlight,
    key: Key,
    /// The lock that is held during a turn.
    pub lock: Arc<tokio::sync::Mutex<()>>,
}

impl SingleFlight {
    pub(super) fn ticket(&self, key: Key) -> FlightTicket<'_> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lock = Arc::clone(turns.entry(key).or_default());
        FlightTicket { flights: self, key, lock }
    }
}

impl Drop for FlightTicket<'_> {
    fn drop(&mut self) {
        let mut turns = self.flights.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The map's reference and ours are the only ones: no other request is waiting.
        if Arc::strong_count(&self.lock) == 2 {
            turns.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ticket_dropped_by_last_holder_removes_key() {
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
