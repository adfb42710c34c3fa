//! Limits on how much of the server slow or numerous connections may use, from one address and in total.

use std::time::Duration;

/// Limits on connections.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections open at the same time; a further one waits until the longest idle one is closed. With room for PostgreSQL, Redis and the directory it stays
    /// below the 1,024 open files that a process usually may have.
    pub connections: usize,
    /// Connections from one address (IPv6: one /64); the server closes further ones.
    pub of_address: usize,
    /// Connections from one site (IPv6: one /48), and from one trusted proxy.
    pub of_site: usize,
    /// Time limit for the TLS handshake.
    pub handshake: Duration,
    /// Time limit for a request's headers, counted from the start of the connection or from the last response.
    pub headers: Duration,
    /// Time limit for a request's body.
    pub body: Duration,
    /// Time limit for the client to read more of a response.
    pub unread_answer: Duration,
    /// Time limit for the client to read what is written at once: a whole response, or a part of one that is streamed.
    pub answer: Duration,
    /// Maximum size of a request's headers, in bytes.
    pub header_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 900,
            of_address: 256,
            of_site: 600,
            handshake: Duration::from_secs(10),
            headers: Duration::from_secs(30),
            body: Duration::from_secs(30),
            unread_answer: Duration::from_secs(30),
            answer: Duration::from_mins(2),
            header_bytes: 64 * 1024,
        }
    }
}
