//! Connections: the server accepts, limits, serves and closes them so that no request fails because of it.
//!
//! HTTP/1.1 only. HTTP/2 would let one connection do what the limits deny to many, and callers of an API like this gain
//! nothing from it; a proxy in front can speak it to browsers.

mod deadline;
mod limits;
mod listener;
mod places;
mod tls;

pub use limits::Limits;
pub use listener::Listener;
pub use tls::{Tls, TlsFiles};

use std::{
    convert::Infallible,
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper::{
    body::{Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::sys::socket::{setsockopt, sockopt::TcpUserTimeout};
use poem::{
    Endpoint, EndpointExt as _, Request, Response,
    endpoint::DynEndpoint,
    http::{HeaderValue, header, uri::Scheme},
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
    task::JoinSet,
    time::timeout,
};

use self::{
    deadline::WriteDeadline,
    places::{Activity, Places},
};
use crate::http::{BodyDeadline, TrustedProxies};

/// The time limit for the client to read a response, or a part of one that is streamed, if it is not the usual one;
/// attached to the response.
#[derive(Debug, Clone, Copy)]
pub(super) struct ResponseDeadline(pub Duration);

/// Longest wait at shutdown for requests in progress.
pub(crate) const DRAIN: Duration = Duration::from_secs(10);
/// Time for which a closed connection still reads what its client sends, and an idle one stays open at shutdown. A client that uses it meanwhile is told to open a new one;
/// closing it at once could collide with a request that is already on its way.
const LINGER: Duration = Duration::from_secs(1);
/// Wait before the next attempt when no file descriptor is free for a connection; trying again at once would be
/// useless.
const OUT_OF_FILES: Duration = Duration::from_millis(100);

/// The shared state of every connection.
struct Service {
    endpoint: Box<dyn DynEndpoint<Output = Response>>,
    tls: Option<Tls>,
    limits: Limits,
    stop: watch::Receiver<bool>,
}

/// Serves until `stop` becomes true and the requests in progress have been responded to.
pub async fn run(
    listener: Listener,
    endpoint: impl Endpoint<Output = Response> + 'static,
    tls: Option<Tls>,
    limits: Limits,
    proxies: &TrustedProxies,
    mut stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Places::new(&limits));
    let service = Arc::new(Service { endpoint: endpoint.boxed(), tls, limits, stop: stop.clone() });
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, peer)) => {
                let address = peer.ip().to_canonical();
                // While it waits for a place, further connections wait in the kernel's queue.
                let place = tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => break,
                    place = places.take(address, proxies.trusts(address)) => place,
                };
                // Dropping the stream closes it, which is all that a client with too many connections gets to know.
                let Some(place) = place else { continue };
                let service = Arc::clone(&service);
                connections.spawn(async move {
                    tokio::select! {
                        () = service.connection(stream, peer, &place.activity) => {}
                        () = place.activity.given_up() => tracing::debug!(%peer, "closed an idle connection for a new one"),
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(OUT_OF_FILES).await;
            }
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(DRAIN, ended).await.is_err() {
        tracing::warn!("closing the connections of requests that took longer than {DRAIN:?}");
        connections.shutdown().await;
    }
}

impl Service {
    async fn connection(&self, stream: TcpStream, peer: SocketAddr, activity: &Arc<Activity>) {
        let Ok(local) = stream.local_addr() else { return };
        let addresses = (LocalAddr(local.into()), RemoteAddr(peer.into()));
        // Responses are written at once, and a client that does not read them must not hold the connection.
        let unread = u32::try_from(self.limits.unread_answer.as_millis()).unwrap_or(u32::MAX);
        if stream.set_nodelay(true).is_err() || setsockopt(&stream, TcpUserTimeout, &unread).is_err() {
            return; // the client has disconnected
        }
        let Some(tls) = &self.tls else { return self.http(stream, addresses, &Scheme::HTTP, activity).await };
        match timeout(self.limits.handshake, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.http(stream, addresses, &Scheme::HTTPS, activity).await,
            Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
            Err(_) => tracing::debug!(%peer, "TLS handshake timed out"),
        }
    }

    async fn http(
        &self,
        io: impl AsyncRead + AsyncWrite + Unpin,
        (local, remote): (LocalAddr, RemoteAddr),
        scheme: &Scheme,
        activity: &Arc<Activity>,
    ) {
        let service = service_fn(|request: hyper::Request<Incoming>| {
            let request = Request::from((request, local.clone(), remote.clone(), scheme.clone()));
            Box::pin(async {
                if !activity.begin() {
                    std::future::pending::<()>().await; // the connection is about to be dropped
                }
                let response = self.respond(request).await;
                let deadline = response.data::<ResponseDeadline>().map_or(self.limits.answer, |deadline| deadline.0);
                activity.set_patience(deadline);
                let response: hyper::Response<_> = response.into();
                let activity = Arc::clone(activity);
                Ok::<_, Infallible>(response.map(|body| ResponseBody { body, activity }))
            })
        });
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.headers)
            .max_buf_size(self.limits.header_bytes)
            .serve_connection(TokioIo::new(WriteDeadline::new(io, activity)), service);
        let ended = tokio::select! {
            ended = poll_fn(|context| connection.poll_without_shutdown(context)) => ended,
            () = self.lingered() => {
                Pin::new(&mut connection).graceful_shutdown();
                poll_fn(|context| connection.poll_without_shutdown(context)).await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(remote = %remote, %error, "connection ended");
        }
        close(connection.into_parts().io.into_inner()).await;
    }

    async fn respond(&self, mut request: Request) -> Response {
        request.set_data(BodyDeadline(self.limits.body));
        let mut response = self.endpoint.get_response(request).await;
        if *self.stop.borrow() {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// Completes when idle connections have been told to close, or have been unused, for long enough.
    async fn lingered(&self) {
        let mut stop = self.stop.clone();
        if stop.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await; // the sender is gone, so this never happens
        }
        tokio::time::sleep(LINGER).await;
    }
}

/// A response's body; when it is dropped, all of it has been handed over for sending.
struct ResponseBody<B> {
    body: B,
    activity: Arc<Activity>,
}

impl<B: hyper::body::Body + Unpin> hyper::body::Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for ResponseBody<B> {
    fn drop(&mut self) {
        self.activity.respond();
    }
}

/// Closes a connection so that its client can read the last response. A socket that is closed while the client is still
/// sending (a body that is too large, say) is reset, and the response is lost.
async fn close(mut io: impl AsyncRead + AsyncWrite + Unpin) {
    let read_rest = async {
        io.shutdown().await?;
        let mut rest = vec![0; 16 * 1024];
        while io.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    let _ = timeout(LINGER, read_rest).await;
}
