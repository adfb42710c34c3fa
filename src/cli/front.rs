//! Options for the API's front end: proxies, browsers, rate limits and TLS.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueHint};
use uncloud_wire::program::{Failure, switch};

use crate::{
    http::{Proxy, TrustedProxies},
    server::{Origin, RateLimits, listen::TlsFiles},
};

/// Trusted proxies, allowed web origins, and rate limits.
#[derive(Debug, Clone, Args)]
pub(super) struct FrontArgs {
    /// Address or network of reverse proxies, whose X-Forwarded-For is trusted; several with commas between them.
    #[arg(long = "trusted-proxy", env = "UNCLOUD_TRUSTED_PROXIES", value_delimiter = ',', value_name = "NETWORK")]
    trusted_proxies: Vec<Proxy>,
    /// Origin whose pages may call the API from a browser (CORS), as in https://panel.example.ch; several with commas
    /// between them.
    #[arg(long = "cors-origin", env = "UNCLOUD_CORS_ORIGINS", value_delimiter = ',', value_name = "ORIGIN")]
    cors_origins: Vec<Origin>,
    /// Requests per minute of one user; 0 for no limit.
    #[arg(long, env = "UNCLOUD_RATE_LIMIT", default_value_t = RateLimits::DEFAULT.user, value_name = "N")]
    rate_limit: u32,
    /// Requests per minute of one address without valid credentials; 0 for no limit.
    #[arg(long, env = "UNCLOUD_ADDRESS_RATE_LIMIT", default_value_t = RateLimits::DEFAULT.address, value_name = "N")]
    address_rate_limit: u32,
    /// Serve http on an address that other machines reach. Passwords and tokens can be read on the way: only for a proxy
    /// with TLS on a network that nobody else is on.
    #[arg(long, env = "UNCLOUD_ALLOW_PLAINTEXT", value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1,
        require_equals = true, default_value = "false", default_missing_value = "true", value_parser = switch)]
    allow_plaintext: bool,
}

/// The front end's settings.
#[derive(Debug, Clone)]
pub(super) struct Front {
    pub proxies: TrustedProxies,
    pub origins: Vec<Origin>,
    pub rates: RateLimits,
    pub allow_plaintext: bool,
}

impl FrontArgs {
    /// Returns the settings for the service.
    pub(super) fn front(self) -> Front {
        Front {
            proxies: TrustedProxies::new(self.trusted_proxies),
            origins: self.cors_origins,
            rates: RateLimits { user: self.rate_limit, address: self.address_rate_limit },
            allow_plaintext: self.allow_plaintext,
        }
    }
}

/// The server's certificate and key.
#[derive(Debug, Clone, Args)]
pub(super) struct TlsArgs {
    /// File with the server's certificate and the intermediate ones (PEM): serve https instead of http. It is read again
    /// when it changes.
    #[arg(long, env = "UNCLOUD_TLS_CERT_FILE", value_name = "FILE", value_hint = ValueHint::FilePath)]
    tls_cert: Option<PathBuf>,
    /// File with the certificate's private key (PEM).
    #[arg(long, env = "UNCLOUD_TLS_KEY_FILE", value_name = "FILE", value_hint = ValueHint::FilePath)]
    tls_key: Option<PathBuf>,
}

impl TlsArgs {
    /// Returns the files, or `None` for http. An empty path counts as not set.
    pub(super) fn files(self) -> anyhow::Result<Option<TlsFiles>> {
        let named = |file: Option<PathBuf>| file.filter(|file| !file.as_os_str().is_empty());
        match (named(self.tls_cert), named(self.tls_key)) {
            (Some(certificate), Some(key)) => Ok(Some(TlsFiles { certificate, key })),
            (None, None) => Ok(None),
            (Some(_), None) => {
                let what = "a certificate is given, but not its key: set --tls-key or UNCLOUD_TLS_KEY_FILE";
                Err(Failure::usage(what).into())
            }
            (None, Some(_)) => {
                let what = "a key is given, but not its certificate: set --tls-cert or UNCLOUD_TLS_CERT_FILE";
                Err(Failure::usage(what).into())
            }
        }
    }
}
