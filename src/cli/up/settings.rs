//! Settings of `uncloud up`: its options, checked, with the defaults filled in.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use uncloud_wire::{
    Secret,
    program::{Failure, secret_or_file},
};

use super::{super::front::Front, args::UpArgs};
use crate::{
    accounts::{AccountSettings, NewPassword},
    embedded::default_data_dir,
    http::TrustedProxies,
    server::{Origin, RateLimits},
};

/// The provider's own queue, for jobs that do not run on a host.
pub(super) const BILLING: &str = "billing";

/// The checked settings from [`UpArgs`].
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) data_dir: PathBuf,
    pub(super) listen: SocketAddr,
    pub(super) tls: bool,
    pub(super) metrics_listen: Option<SocketAddr>,
    /// Names of the hosts in lower case, each once.
    pub(super) hosts: Vec<String>,
    pub(super) host_network: bool,
    pub(super) run_as: Option<String>,
    pub(super) database_url: Option<Secret<String>>,
    pub(super) redis_url: Option<Secret<String>>,
    pub(super) redis_ca_file: Option<PathBuf>,
    pub(super) admin_password: Option<NewPassword>,
    pub(super) secret_key: Option<Secret<String>>,
    pub(super) accounts: AccountSettings,
    pub(super) proxies: TrustedProxies,
    pub(super) origins: Vec<Origin>,
    pub(super) rates: RateLimits,
    pub(super) allow_plaintext: bool,
}

impl Settings {
    pub(super) fn from_args(args: UpArgs) -> anyhow::Result<Self> {
        let Front { proxies, origins, rates, allow_plaintext } = args.front.front();
        Ok(Self {
            data_dir: args.data_dir.map_or_else(default_data_dir, Ok)?,
            listen: args.listen,
            tls: args.tls,
            metrics_listen: args.metrics_listen,
            hosts: host_names(&args.queues)?,
            host_network: args.host_network,
            run_as: args.run_as,
            database_url: secret_or_file("DATABASE_URL", args.database_url, args.database_url_file.as_deref())?,
            redis_url: args.redis.given()?,
            // Workers are started in another folder.
            redis_ca_file: args.redis.ca_file().map(std::path::absolute).transpose()?,
            admin_password: admin_password(args.admin_password, args.admin_password_file.as_deref())?,
            secret_key: args.secret_key.given()?,
            accounts: AccountSettings { directory: args.ldap.directory()?, ..AccountSettings::default() },
            proxies,
            origins,
            rates,
            allow_plaintext,
        })
    }
}

fn admin_password(password: Option<Secret<String>>, file: Option<&Path>) -> anyhow::Result<Option<NewPassword>> {
    let password = secret_or_file("UNCLOUD_ADMIN_PASSWORD", password, file)?;
    let checked = password.map(|password| NewPassword::new(&password)).transpose();
    Ok(checked.map_err(|error| Failure::usage(format!("UNCLOUD_ADMIN_PASSWORD {error}")))?)
}

fn host_names(queues: &[String]) -> anyhow::Result<Vec<String>> {
    if queues.is_empty() {
        return Ok(vec![
            host_name(&machine_name())
                .context(Failure::usage("this machine's name is not a valid host name: choose one with --queue"))?,
        ]);
    }
    let mut hosts = Vec::new();
    for queue in queues {
        let host = host_name(queue)?;
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    Ok(hosts)
}

fn machine_name() -> String {
    nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Checks a host's name, because it becomes part of file names, namespaces and queues.
fn host_name(text: &str) -> anyhow::Result<String> {
    let name = text.to_ascii_lowercase();
    if name == BILLING {
        let what = format!("the queue {BILLING} has a worker already: leave out --queue {BILLING}");
        return Err(Failure::usage(what).into());
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // Shorter than DNS allows (253): the name of the namespace is a file name with a prefix.
    if name.len() > 200 || !name.split('.').all(is_label) {
        let what = format!(
            "{text:?} is not a valid host name: letters, digits and hyphens, in parts divided by dots, as in \
             vpn1.example.net"
        );
        return Err(Failure::usage(what).into());
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::{host_name, host_names};

    #[test]
    fn host_name_is_lower_cased_and_refused_if_invalid() {
        assert_eq!(host_name("VPN1.Example.Net").expect("a name"), "vpn1.example.net");
        for bad in ["", ".", "a..b", "../x", "a/b", "-a", "a-", "a b", "a_b", "billing", "Billing", &"a".repeat(64)] {
            host_name(bad).expect_err(bad);
        }
    }

    #[test]
    fn duplicate_host_gets_one_worker() {
        let names = ["a.net", "A.net", "b.net"].map(str::to_owned);
        assert_eq!(host_names(&names).expect("names"), ["a.net", "b.net"]);
    }
}
