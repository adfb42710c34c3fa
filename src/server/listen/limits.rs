//! Limits on how much of the server slow or numerous connections may use, from one address and in total.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::accounts::network_of;

/// Limits on connections.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections open at the same time; further ones wait. With room for PostgreSQL, Redis and the directory it stays
    /// below the 1,024 open files that a process usually may have.
    pub connections: usize,
    /// Connections from one address (IPv6: one /64); the server closes further ones. Trusted proxies may use the total.
    pub of_address: usize,
    /// Time limit for the TLS handshake.
    pub handshake: Duration,
    /// Time limit for a request's headers, counted from the start of the connection or from the last response.
    pub headers: Duration,
    /// Time limit for a request's body.
    pub body: Duration,
    /// Time limit for the client to read more of a response.
    pub unread_answer: Duration,
    /// Maximum size of a request's headers, in bytes.
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

/// Counts connections, in total and by address.
pub(super) struct ConnectionLimiter {
    all: Arc<Semaphore>,
    of_address: usize,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One of an address' connection slots, held as long as the value lives.
pub(super) struct Place {
    address: IpAddr,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl ConnectionLimiter {
    pub(super) fn new(limits: &Limits) -> Self {
        let all = Arc::new(Semaphore::new(limits.connections));
        Self { all, of_address: limits.of_address, taken: Arc::default() }
    }

    /// Waits for one of the total slots; `None` only if there will never be one.
    pub(super) async fn any(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.all).acquire_owned().await.ok()
    }

    /// Takes one of this address' slots, if one is free.
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
