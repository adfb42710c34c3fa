//! TLS: a certificate and its key, read from files that may change while they are in use.

use std::{
    fmt, fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::{net::TcpStream, task::JoinSet};
use tokio_rustls::{Accept, TlsAcceptor};

/// Interval between checks of the files. A check is two `stat` calls; a signal instead would be one more step that a
/// renewal of certificates can forget, which shows only when the old certificate has expired.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Paths of the certificate and its key.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The server's certificate and its intermediate certificates (PEM).
    pub certificate: PathBuf,
    /// The certificate's private key (PEM).
    pub key: PathBuf,
}

/// TLS with the current certificate; follows changes of the files as long as it lives.
pub struct Tls {
    acceptor: TlsAcceptor,
    _follows: JoinSet<()>,
}

impl Tls {
    /// Reads the files; fails unless the key belongs to the certificate.
    pub fn start(files: TlsFiles) -> anyhow::Result<Self> {
        let provider = Arc::new(ring::default_provider());
        let seen = files.stamps();
        let current = Arc::new(Current(RwLock::new(files.load(&provider)?)));
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as _);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut follows = JoinSet::new();
        follows.spawn(follow(files, provider, current, seen));
        Ok(Self { acceptor: Arc::new(config).into(), _follows: follows })
    }

    pub(super) fn accept(&self, stream: TcpStream) -> Accept<TcpStream> {
        self.acceptor.accept(stream)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// The certificate that new connections get.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Loads changed files. The two files are not written at the same moment, so a mismatch may be temporary: the old pair
/// stays in use until a new one is complete.
async fn follow(files: TlsFiles, provider: Arc<CryptoProvider>, current: Arc<Current>, mut seen: [Option<Stamp>; 2]) {
    loop {
        tokio::time::sleep(LOOK_AGAIN).await;
        let stamps = files.stamps();
        if stamps == seen {
            continue;
        }
        seen = stamps;
        match files.load(&provider) {
            Ok(pair) => {
                *current.0.write().unwrap_or_else(PoisonError::into_inner) = pair;
                tracing::info!(file = %files.certificate.display(), "using the new certificate for new connections");
            }
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "the new certificate can't be used; keeping the old one");
            }
        }
    }
}

/// Attributes that change when a file is written or replaced.
type Stamp = (u64, u64, i64, i64);

impl TlsFiles {
    fn stamps(&self) -> [Option<Stamp>; 2] {
        let stamp = |path: &Path| -> io::Result<Stamp> {
            let file = fs::metadata(path)?;
            Ok((file.ino(), file.len(), file.mtime(), file.mtime_nsec()))
        };
        [&self.certificate, &self.key].map(|path| stamp(path).ok())
    }

    fn load(&self, provider: &CryptoProvider) -> anyhow::Result<Arc<CertifiedKey>> {
        let (certificate, key) = (self.certificate.display(), self.key.display());
        let chain = CertificateDer::pem_file_iter(&self.certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let chain = chain.with_context(|| format!("can't read the certificate {certificate}"))?;
        ensure!(!chain.is_empty(), "{certificate} does not contain a certificate (PEM, -----BEGIN CERTIFICATE-----)");
        // The error's own text is left out: at worst it contains a part of the key.
        let private = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| match error {
            rustls::pki_types::pem::Error::Io(error) => anyhow::anyhow!("can't read the private key {key}: {error}"),
            _ => anyhow::anyhow!("{key} does not contain a private key (PEM, -----BEGIN PRIVATE KEY-----)"),
        })?;
        let pair = CertifiedKey::from_der(chain, private, provider);
        Ok(Arc::new(pair.with_context(|| format!("the certificate {certificate} and the key {key} can't be used"))?))
    }
}
