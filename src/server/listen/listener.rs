//! The socket that requests come in by: our own, or one that outlives us.

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
    /// The socket that systemd hands over (`LISTEN_FDS`, see uncloud.socket), else one of our own at `address`.
    ///
    /// A socket that is handed over stays open while one server ends and the next starts; who connects meanwhile waits in
    /// the kernel's queue, and nobody is refused. `SO_REUSEPORT` would not do: what waits for a socket that is closed is
    /// reset.
    pub async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let Some(socket) = inherited()? else {
            let own = TcpListener::bind(address).await;
            return own.map(Self).with_context(|| format!("can't listen on {address}; is another server there?"));
        };
        socket.set_nonblocking(true)?;
        let listener = Self(TcpListener::from_std(socket)?);
        tracing::info!(address = %listener.address()?, "listening on the socket that was handed over");
        Ok(listener)
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    pub(super) async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.0.accept().await
    }
}

fn inherited() -> anyhow::Result<Option<StdListener>> {
    let mut sockets = ListenFd::from_env();
    ensure!(sockets.len() <= 1, "{} sockets were handed over (LISTEN_FDS); one is served", sockets.len());
    sockets.take_tcp_listener(0).context("what was handed over (LISTEN_FDS) is no listening TCP socket")
}
