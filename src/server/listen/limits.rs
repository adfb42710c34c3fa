//! How much one caller, and all together, may take of the server by being slow or many.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::accounts::network_of;

/// What connections may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open at the same time; further ones wait. With room for PostgreSQL, Redis and the directory it stays below the
    /// 1,024 open files that a process usually has.
    pub connections: usize,
    /// Of these from one address (IPv6: one /64); further ones are closed. Trusted proxies may have all.
    pub of_address: usize,
    /// Until TLS is agreed on.
    pub handshake: Duration,
    /// Until a request's headers are there, counted from the connection or from the last answer.
    pub headers: Duration,
    /// Until a request's body is there.
    pub body: Duration,
    /// Until the caller takes more of an answer.
    pub unread_answer: Duration,
    /// Bytes of a request's headers.
    pub header_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 900,
            of_address: 256,
            handshake: Duration::from_secs(10),
            headers: Duration::from_secs(30),
            body: Duration::from_secs(30),
            unread_answer: Duration::from_secs(30),
            header_bytes: 64 * 1024,
        }
    }
}

/// Counts connections.
pub(super) struct ConnectionLimiter {
    all: Arc<Semaphore>,
    of_address: usize,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One of an address' connections, as long as the value lives.
pub(super) struct Place {
    address: IpAddr,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl ConnectionLimiter {
    pub(super) fn new(limits: &Limits) -> Self {
        let all = Arc::new(Semaphore::new(limits.connections));
        Self { all, of_address: limits.of_address, taken: Arc::default() }
    }

    /// One of all, as soon as there is one; none only if there never will be.
    pub(super) async fn any(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.all).acquire_owned().await.ok()
    }

    /// One of this address', if there is one.
    pub(super) fn of(&self, address: IpAddr) -> Option<Place> {
        let address = network_of(address);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(address).or_default();
        if *count >= self.of_address {
            return None;
        }
        *count += 1;
        Some(Place { address, taken: Arc::clone(&self.taken) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.address);
            }
        }
    }
}
