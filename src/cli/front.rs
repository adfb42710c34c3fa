//! How the API is reached: who stands in front of it, and how it proves to be itself.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use crate::{
    http::{Proxy, TrustedProxies},
    server::{Origin, RateLimits, listen::TlsFiles},
};

/// Proxies and pages before the API, and how much it takes of whom.
#[derive(Debug, Clone, Args)]
pub(super) struct FrontArgs {
    /// Address or network of proxies in front, whose X-Forwarded-For is believed; several with commas between.
    #[arg(long = "trusted-proxy", env = "UNCLOUD_TRUSTED_PROXIES", value_delimiter = ',', value_name = "NETWORK")]
    trusted_proxies: Vec<Proxy>,
    /// Whose pages may call the API from a browser (CORS), as in https://panel.example.ch; several with commas between.
    #[arg(long = "cors-origin", env = "UNCLOUD_CORS_ORIGINS", value_delimiter = ',', value_name = "ORIGIN")]
    cors_origins: Vec<Origin>,
    /// Requests a minute of one user; 0: any number.
    #[arg(long, env = "UNCLOUD_RATE_LIMIT", default_value_t = RateLimits::DEFAULT.user, value_name = "N")]
    rate_limit: u32,
    /// Requests a minute of one address with wrong credentials or without; 0: any number.
    #[arg(long, env = "UNCLOUD_ADDRESS_RATE_LIMIT", default_value_t = RateLimits::DEFAULT.address, value_name = "N")]
    address_rate_limit: u32,
}

impl FrontArgs {
    /// All of it, for the service.
    pub(super) fn parts(self) -> (TrustedProxies, Vec<Origin>, RateLimits) {
        let rates = RateLimits { user: self.rate_limit, address: self.address_rate_limit };
        (TrustedProxies::new(self.trusted_proxies), self.cors_origins, rates)
    }
}

/// The server's certificate.
#[derive(Debug, Clone, Args)]
pub(super) struct TlsArgs {
    /// Certificate of the server and those between it and its authority (PEM): https instead of http. Read again when it
    /// changes.
    #[arg(long, env = "UNCLOUD_TLS_CERT_FILE", value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM).
    #[arg(long, env = "UNCLOUD_TLS_KEY_FILE", value_name = "FILE")]
    tls_key: Option<PathBuf>,
}

impl TlsArgs {
    /// The files; none: http. Empty is as good as not set.
    pub(super) fn files(self) -> anyhow::Result<Option<TlsFiles>> {
        let named = |file: Option<PathBuf>| file.filter(|file| !file.as_os_str().is_empty());
        match (named(self.tls_cert), named(self.tls_key)) {
            (Some(certificate), Some(key)) => Ok(Some(TlsFiles { certificate, key })),
            (None, None) => Ok(None),
            (Some(_), None) => bail!("a certificate is named, but not its key: set --tls-key or UNCLOUD_TLS_KEY_FILE"),
            (None, Some(_)) => {
                bail!("a key is named, but not its certificate: set --tls-cert or UNCLOUD_TLS_CERT_FILE")
            }
        }
    }
}
