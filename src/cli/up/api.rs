//! The API, served by this process.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::tls;
use crate::{
    cli::serve::{ServeSettings, serve},
    server,
};

/// Longest wait until the API reports that database and Redis are available.
const READY_DEADLINE: Duration = Duration::from_mins(1);
/// Longest wait for the server to stop; longer than the server's own wait for the requests in progress.
const DRAIN: Duration = server::listen::DRAIN.saturating_add(Duration::from_secs(25));

/// The running API.
#[derive(Debug)]
pub(super) struct Api {
    /// The address it listens on.
    pub(super) address: SocketAddr,
    /// Certificate file of its authority, with TLS.
    pub(super) authority: Option<PathBuf>,
    stop: watch::Sender<bool>,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Api {
    /// Starts the API and waits until it listens.
    pub(super) async fn start(settings: ServeSettings, authority: Option<PathBuf>) -> anyhow::Result<Self> {
        let (ready, listening) = oneshot::channel();
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(serve(settings, ready, stopped));
        match listening.await {
            Ok(address) => Ok(Self { address, authority, stop, task }),
            // The server ended before it listened, and returns the reason.
            Err(_) => match task.await.context("the API")? {
                Ok(()) => bail!("the API ended before it listened"),
                Err(error) => Err(error),
            },
        }
    }

    /// Waits until `GET /readyz` returns 200.
    pub(super) async fn ready(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_DEADLINE;
        let mut answer = String::from("no response");
        let tls = self.authority.as_deref().map(trusting).transpose()?;
        while Instant::now() < deadline {
            if self.task.is_finished() {
                return self.ended().await;
            }
            let response = get_readyz(reachable(self.address), tls.as_ref());
            match tokio::time::timeout(Duration::from_secs(5), response).await {
                Ok(Ok(status)) if status.split(' ').nth(1) == Some("200") => return Ok(()),
                Ok(Ok(status)) => answer = status,
                Ok(Err(error)) => answer = error.to_string(),
                Err(_) => "no response in 5 s".clone_into(&mut answer),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("the API did not become ready; last response to GET /readyz: {answer}")
    }

    /// Waits until the API ends by itself, which is always an error.
    pub(super) async fn ended(&mut self) -> anyhow::Result<()> {
        (&mut self.task).await.context("the API")?.context("the API ended")?;
        bail!("the API ended unexpectedly")
    }

    /// Stops the API; running requests may finish unless `hurry` becomes true.
    pub(super) async fn stop(mut self, mut hurry: watch::Receiver<bool>) {
        if self.task.is_finished() {
            return;
        }
        self.stop.send_replace(true);
        let outcome = tokio::select! {
            outcome = &mut self.task => Some(outcome),
            () = tokio::time::sleep(DRAIN) => None,
            true = async { hurry.wait_for(|hurry| *hurry).await.is_ok() } => None,
        };
        match outcome {
            Some(Ok(Ok(()))) => {}
            Some(Ok(Err(error))) => tracing::warn!("the API ended with an error: {error:#}"),
            Some(Err(error)) => tracing::warn!("the API ended with an error: {error:#}"),
            None => {
                tracing::warn!("closing the connections of requests in progress");
                self.task.abort();
            }
        }
    }
}

/// Returns an address to connect to: listening on all addresses includes the loopback one.
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

fn trusting(authority: &Path) -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority)?)?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Returns the status line of `GET /readyz`. A single fixed request does not justify an HTTP client in the program.
async fn get_readyz(address: SocketAddr, tls: Option<&TlsConnector>) -> anyhow::Result<String> {
    let stream = TcpStream::connect(address).await?;
    match tls {
        Some(tls) => status_line(tls.connect(ServerName::try_from(tls::NAME)?, stream).await?, address).await,
        None => status_line(stream, address).await,
    }
}

async fn status_line(mut stream: impl AsyncRead + AsyncWrite + Unpin, address: SocketAddr) -> anyhow::Result<String> {
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(64 * 1024).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).lines().next().unwrap_or("an empty response").to_owned())
}
