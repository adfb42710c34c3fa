//! Serialised checks: of many requests with the same password only the first is checked, the others use the cached
//! result.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::OwnedMutexGuard;

use super::throttle::Key;

/// The keys with a check in progress, bounded by the number of open requests and of checks.
#[derive(Debug, Default, Clone)]
pub(super) struct SingleFlight(Arc<Mutex<HashMap<Key, Arc<tokio::sync::Mutex<()>>>>>);

/// A turn of a key, which goes with the check: its caller may hang up before the check has ended.
#[derive(Debug)]
pub(super) struct Turn {
    _turn: OwnedMutexGuard<()>,
    _ticket: Ticket,
}

/// A place in the queue of a key.
#[derive(Debug)]
struct Ticket {
    flights: SingleFlight,
    key: Key,
    lock: Arc<tokio::sync::Mutex<()>>,
}

impl SingleFlight {
    /// Waits for the key's turn.
    pub(super) async fn turn(&self, key: Key) -> Turn {
        let ticket = self.ticket(key);
        let turn = Arc::clone(&ticket.lock).lock_owned().await;
        Turn { _turn: turn, _ticket: ticket }
    }

    fn ticket(&self, key: Key) -> Ticket {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lock = Arc::clone(turns.entry(key).or_default());
        Ticket { flights: self.clone(), key, lock }
    }
}

impl Drop for Ticket {
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
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn turn_dropped_by_last_holder_removes_key() {
        let turns = SingleFlight::default();
        let first = turns.turn([1; 32]).await;
        let mut second = Box::pin(turns.turn([1; 32]));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(turns.turn([1; 32]).now_or_never().is_none(), "a third one, which hangs up");
        drop(first);
        drop(second.await);
        assert!(turns.0.lock().expect("no panic").is_empty());
    }
}
