//! Attackers from many addresses at once: callers who send wrong passwords and hang up, callers who wait for the
//! refusal, readers who do not read, and connections that only take places. Meanwhile a customer asks as usual.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::fd::AsRawFd as _,
    panic,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};

use super::load::{Connection, Request};

/// Wrong passwords whose callers hang up: in the finding that this measures, 400 within a second took a gigabyte.
const HANG_UPS: u32 = 1000;
/// Connections that only take places: more than the server has.
const IDLE: u32 = 1000;
/// Readers who do not read, each with more megabytes on the way than the kernel keeps.
const SLOW: u32 = 50;
/// The time between two requests of the customer.
const PACE: Duration = Duration::from_millis(20);

/// The customer's requests and the attackers'.
pub(crate) struct Attacked {
    /// Duration of each of the customer's requests in milliseconds, over a new connection.
    pub(crate) millis: Vec<f64>,
    pub(crate) hang_ups: u32,
    pub(crate) refused: u32,
}

/// Returns the address of an attacker by its number; all of 127.0.0.0/8 is this machine.
fn attacker(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 1).to_bits() + number)
}

/// Connects from an address; `None` if the server does not take the connection.
fn connected(from: Ipv4Addr, to: SocketAddr) -> Option<TcpStream> {
    let SocketAddr::V4(to) = to else { return None };
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).ok()?;
    bind(socket.as_raw_fd(), &SockaddrIn::from(std::net::SocketAddrV4::new(from, 0))).ok()?;
    connect(socket.as_raw_fd(), &SockaddrIn::from(to)).ok()?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    Some(stream)
}

/// Returns a request with a wrong password of a user that exists.
fn guess(number: u32) -> String {
    let credentials = STANDARD.encode(format!("admin:wrong password {number}"));
    format!("GET /v1/net/vpn HTTP/1.1\r\nhost: localhost\r\nauthorization: Basic {credentials}\r\n\r\n")
}

/// Attacks for a time, and returns what the customer with this token saw.
pub(crate) fn attack(address: SocketAddr, token: &str, took: Duration) -> Attacked {
    let (over, hang_ups, refused) = (AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
    let goes_on = || !over.load(Ordering::Relaxed);
    let millis = thread::scope(|scope| {
        scope.spawn(|| {
            while goes_on() && hang_ups.load(Ordering::Relaxed) < HANG_UPS {
                let number = hang_ups.fetch_add(1, Ordering::Relaxed);
                if let Some(mut stream) = connected(attacker(number), address) {
                    let _ = stream.write_all(guess(number).as_bytes());
                }
                thread::sleep(Duration::from_millis(2));
            }
        });
        for thread in 0..2 {
            let (refused, goes_on) = (&refused, &goes_on);
            scope.spawn(move || {
                for number in (0..).map(|number| 10_000 + 2 * number + thread).take_while(|_| goes_on()) {
                    let stream = connected(attacker(number), address);
                    let mut answer = [0; 12];
                    let answered = stream.is_some_and(|mut stream| {
                        stream.write_all(guess(number).as_bytes()).is_ok() && stream.read_exact(&mut answer).is_ok()
                    });
                    refused.fetch_add(u32::from(answered), Ordering::Relaxed);
                }
            });
        }
        scope.spawn(|| {
            let mut held = Vec::new();
            for number in 0..IDLE + SLOW {
                // 200 from each address: one alone may not have so many.
                let Some(mut stream) = connected(attacker(60_000 + number / 200), address) else { continue };
                if number < SLOW {
                    let _ =
                        stream.write_all("GET /docs/swagger-ui.js HTTP/1.1\r\nhost: x\r\n\r\n".repeat(20).as_bytes());
                }
                held.push(stream);
            }
            while goes_on() {
                thread::sleep(PACE);
            }
        });
        let millis = panic::catch_unwind(|| ask(address, token, took));
        over.store(true, Ordering::Relaxed); // also if the customer was refused
        millis.unwrap_or_else(|refused| panic::resume_unwind(refused))
    });
    Attacked { millis, hang_ups: hang_ups.into_inner(), refused: refused.into_inner() }
}

/// The customer: reads a network now and then, over a new connection each time.
fn ask(address: SocketAddr, token: &str, took: Duration) -> Vec<f64> {
    let request = Request::new("GET", "/v1/net/vpn/1", token, None);
    let (begin, mut millis) = (Instant::now(), Vec::new());
    while begin.elapsed() < took {
        let sent = Instant::now();
        let response = Connection::open(address).send(&request);
        assert_eq!(response.status, 200, "{}", response.body);
        millis.push(sent.elapsed().as_secs_f64() * 1000.0);
        thread::sleep(PACE);
    }
    millis
}
