//! Ports for servers that cannot choose one themselves.

use std::{
    io::ErrorKind,
    net::TcpListener,
    ops::Range,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixListener},
    },
    sync::Mutex,
};

/// Below those that the system gives to programs that name none (ip(7): from 32768 on), because one of these could be
/// taken by another program before its server is up.
const PORTS: Range<u16> = 10_000..30_000;

/// Returns a port that is free on both loopback addresses, and that belongs to this process until its end: a server may
/// be stopped and started again on it.
pub fn free_port() -> u16 {
    static RESERVED: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());
    let mut reserved = RESERVED.lock().expect("no panic with the lock held");
    for port in PORTS {
        // The reservation is an abstract socket: of its network namespace, as the port, and gone with the process.
        let name = SocketAddr::from_abstract_name(format!("uncloud-test-port-{port}")).expect("a short name");
        let Ok(reservation) = UnixListener::bind_addr(&name) else { continue };
        let taken =
            |address| TcpListener::bind((address, port)).is_err_and(|error| error.kind() == ErrorKind::AddrInUse);
        if !taken("127.0.0.1") && !taken("::1") {
            reserved.push(reservation);
            return port;
        }
    }
    panic!("no port from {} to {} is free", PORTS.start, PORTS.end - 1);
}
