//! Ports for servers that cannot choose one themselves.

use std::{
    io::ErrorKind,
    net::TcpListener,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

/// The first port and how many there are: below those that the system gives to programs that name none (ip(7): from
/// 32768 on), because one of these could be taken by another program before its server is up.
const PORTS: (u16, u16) = (10_000, 20_000);

/// Returns a port that is free on both loopback addresses and that this process has not been given before.
pub fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let (first, count) = PORTS;
    // Processes that run at the same time have ids close to each other; each begins at a place of its own.
    let next = || process::id().wrapping_mul(64).wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % u32::from(count);
    let is_free = |port: &u16| {
        let taken =
            |address| TcpListener::bind((address, *port)).is_err_and(|error| error.kind() == ErrorKind::AddrInUse);
        !taken("127.0.0.1") && !taken("::1")
    };
    let mut ports = (0..count).map(|_| first + u16::try_from(next()).expect("below 20,000"));
    ports.find(is_free).expect("a free port from 10000 to 29999")
}
