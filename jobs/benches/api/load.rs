//! A load generator that costs next to nothing: requests as bytes, one connection per client, which sends its next
//! request when it has the response.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

/// Time before measuring, in which connections, caches and plans warm up.
const WARM_UP: Duration = Duration::from_secs(1);
const GIVE_UP: Duration = Duration::from_secs(30);

/// A request as the bytes that are sent.
#[derive(Clone)]
pub(crate) struct Request(Vec<u8>);

impl Request {
    pub(crate) fn new(method: &str, path: &str, authorization: &str, body: Option<&str>) -> Self {
        let content = body.map_or_else(
            || "\r\n".to_owned(),
            |body| format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len()),
        );
        let head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: {authorization}\r\n");
        Self((head + &content).into_bytes())
    }
}

/// A response.
pub(crate) struct ApiResponse {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// A persistent connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("nodelay");
        stream.set_read_timeout(Some(GIVE_UP)).expect("a timeout");
        Self { stream, buffer: Vec::new() }
    }

    /// Sends a request and waits for the complete response.
    pub(crate) fn send(&mut self, request: &Request) -> ApiResponse {
        self.stream.write_all(&request.0).expect("sent");
        self.buffer.clear();
        let (head, length) = loop {
            if let Some(found) = head(&self.buffer) {
                break found;
            }
            self.read();
        };
        while self.buffer.len() < head + length {
            self.read();
        }
        let status = self.buffer.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        let body = String::from_utf8_lossy(&self.buffer[head..]).into_owned();
        ApiResponse { status: status.expect("a status"), body }
    }

    fn read(&mut self) {
        let mut part = [0; 16 * 1024];
        let count = self.stream.read(&mut part).expect("a response in time");
        assert!(count > 0, "closed in the middle of {:?}", String::from_utf8_lossy(&self.buffer));
        self.buffer.extend_from_slice(&part[..count]);
    }
}

/// Returns the start of the body and its length; `None` while headers are incomplete.
fn head(buffer: &[u8]) -> Option<(usize, usize)> {
    let end = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let text = std::str::from_utf8(&buffer[..end]).expect("headers");
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let length = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-length")).expect("a length");
    Some((end + 4, length.1.trim().parse().expect("a number")))
}

/// The measured load.
pub(crate) struct Load {
    /// Duration of each request in milliseconds.
    pub(crate) millis: Vec<f64>,
    took: Duration,
}

impl Load {
    pub(crate) fn per_second(&self) -> f64 {
        u32::try_from(self.millis.len()).map_or(f64::NAN, f64::from) / self.took.as_secs_f64()
    }
}

/// Runs this many clients, each of which sends the request made by `request` as fast as it can; every response must
/// have this status.
pub(crate) fn measure(
    address: SocketAddr,
    callers: usize,
    took: Duration,
    status: u16,
    request: impl Fn(usize) -> Request + Sync,
) -> Load {
    let begin = Instant::now() + WARM_UP;
    let client = |caller: usize| {
        let (mut connection, mut millis) = (Connection::open(address), Vec::new());
        loop {
            let request = request(caller);
            let sent = Instant::now();
            if sent >= begin + took {
                return millis;
            }
            let response = connection.send(&request);
            assert_eq!(response.status, status, "{}", response.body);
            if sent >= begin {
                millis.push(sent.elapsed().as_secs_f64() * 1000.0);
            }
        }
    };
    let millis = thread::scope(|scope| {
        let client = &client;
        let threads: Vec<_> = (0..callers).map(|caller| scope.spawn(move || client(caller))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    Load { millis, took }
}
