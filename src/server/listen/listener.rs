//! The listening socket: the server's own, or an inherited one that outlives the process.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
};

use anyhow::{Context as _, ensure};
use listenfd::ListenFd;
use tokio::net::{TcpListener, TcpStream};

/// A listening socket.
#[derive(Debug)]
pub struct Listener(TcpListener);

impl Listener {
    /// Takes the socket inherited from systemd (`LISTEN_FDS`, see uncloud.socket), or else opens one at `address`.
    ///
    /// An inherited socket stays open between the end of one server and the start of the next; meanwhile connections
    /// wait in the kernel's queue and none is refused. `SO_REUSEPORT` would not do: the kernel resets the connections
    /// that wait on a socket when it is closed.
    pub async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let Some(socket) = inherited()? else { return Self::bind(address).await };
        socket.set_nonblocking(true)?;
        let listener = Self(TcpListener::from_std(socket)?);
        tracing::info!(address = %listener.address()?, "listening on the inherited socket");
        Ok(listener)
    }

    /// Opens a socket at `address`.
    pub async fn bind(address: SocketAddr) -> anyhow::Result<Self> {
        let own = TcpListener::bind(address).await;
        own.map(Self).with_context(|| format!("can't listen on {address}; is another server using it?"))
    }

    /// Returns the address it listens on.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    pub(super) async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.0.accept().await
    }
}

fn inherited() -> anyhow::Result<Option<StdListener>> {
    let mut sockets = ListenFd::from_env();
    ensure!(sockets.len() <= 1, "{} sockets were inherited (LISTEN_FDS); pass exactly one", sockets.len());
    sockets.take_tcp_listener(0).context("the inherited file descriptor (LISTEN_FDS) is not a listening TCP socket")
}
