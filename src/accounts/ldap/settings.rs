//! The check of the settings at start, with an error of one line.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use uncloud_wire::Secret;
use url::Url;

use super::{Directory, PLACEHOLDER, Server, Service, dn};

/// The settings of a directory, which [`Directory::new`] checks.
#[derive(Debug, Clone)]
pub struct DirectorySettings {
    /// The URL: `ldap://HOST` or `ldaps://HOST`.
    pub url: String,
    /// True to encrypt an `ldap://` connection before the first request.
    pub starttls: bool,
    /// The file with the only certificates to trust; none for those of the system.
    pub ca_file: Option<PathBuf>,
    /// True if passwords may travel unencrypted to another machine.
    pub allow_plaintext: bool,
    /// The DN that searches; none for anonymous searches.
    pub bind_dn: Option<String>,
    /// The password of `bind_dn`.
    pub bind_password: Option<Secret<String>>,
    /// The DN below which users are.
    pub base_dn: String,
    /// The filter that finds the entry of `{username}`.
    pub filter: String,
    /// The attribute with the name that the user's row gets.
    pub username_attribute: String,
    /// The filter that matches entries which may not log in.
    pub locked_filter: Option<String>,
    /// The DN of the group whose members are staff.
    pub staff_group: Option<String>,
    /// True if members of groups in the staff group are staff too.
    pub nested_groups: bool,
    /// The timeout of a whole login.
    pub timeout: Duration,
}

impl Directory {
    /// Checks the settings without any connection. The errors name the environment variables.
    pub fn new(settings: DirectorySettings) -> anyhow::Result<Self> {
        let server = server(&settings)?;
        let account = match (settings.bind_dn, settings.bind_password) {
            (Some(dn), Some(password)) => Some((dn, password)),
            (None, None) => None,
            (Some(_), None) => bail!("UNCLOUD_LDAP_BIND_DN requires UNCLOUD_LDAP_BIND_PASSWORD or its _FILE"),
            (None, Some(_)) => bail!("UNCLOUD_LDAP_BIND_PASSWORD requires UNCLOUD_LDAP_BIND_DN"),
        };
        ensure!(
            settings.filter.contains(PLACEHOLDER),
            "UNCLOUD_LDAP_FILTER must contain {PLACEHOLDER}, as in (uid={PLACEHOLDER})"
        );
        check_filter("UNCLOUD_LDAP_FILTER", &settings.filter.replace(PLACEHOLDER, "x"))?;
        if let Some(filter) = &settings.locked_filter {
            check_filter("UNCLOUD_LDAP_LOCKED_FILTER", filter)?;
        }
        let dns = [
            ("UNCLOUD_LDAP_BASE_DN", Some(&settings.base_dn)),
            ("UNCLOUD_LDAP_STAFF_GROUP", settings.staff_group.as_ref()),
        ];
        for (name, dn) in dns {
            ensure!(
                dn.is_none_or(|dn| dn::parse(dn).is_some()),
                "{name} must be a DN, as in ou=users,dc=example,dc=ch"
            );
        }
        ensure!(
            (Duration::from_millis(1)..=Duration::from_mins(1)).contains(&settings.timeout),
            "UNCLOUD_LDAP_TIMEOUT must be from 1 to 60 seconds"
        );
        Ok(Self {
            server,
            service: Service::new(account),
            base_dn: settings.base_dn,
            filter: settings.filter,
            username_attribute: settings.username_attribute,
            locked_filter: settings.locked_filter,
            staff_group: settings.staff_group,
            nested_groups: settings.nested_groups,
            timeout: settings.timeout,
        })
    }
}

fn check_filter(name: &str, filter: &str) -> anyhow::Result<()> {
    ensure!(
        filter.starts_with('(') && ldap3::parse_filter(filter).is_ok(),
        "{name} must be an LDAP filter (RFC 4515), as in (&(objectClass=person)(uid={PLACEHOLDER}))"
    );
    Ok(())
}

fn server(settings: &DirectorySettings) -> anyhow::Result<Server> {
    let (url, host) = parse(&settings.url)
        .context("UNCLOUD_LDAP_URL must be ldap://HOST or ldaps://HOST, with a port if it is not the default")?;
    let secure = url.scheme() == "ldaps";
    ensure!(!(secure && settings.starttls), "UNCLOUD_LDAP_STARTTLS is for ldap://; ldaps:// is encrypted anyway");
    let encrypted = secure || settings.starttls;
    ensure!(
        encrypted || settings.ca_file.is_none(),
        "UNCLOUD_LDAP_CA_FILE is set, but nothing is encrypted: use ldaps:// or UNCLOUD_LDAP_STARTTLS"
    );
    let here = host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    ensure!(
        encrypted || here || settings.allow_plaintext,
        "passwords would go to {host} unencrypted: use ldaps:// or UNCLOUD_LDAP_STARTTLS, or set UNCLOUD_LDAP_ALLOW_PLAINTEXT"
    );
    // ldap3 does not recognise an IPv6 address in a URL when it compares it with the certificate.
    ensure!(
        !(encrypted && host.contains(':')),
        "the certificate can't be compared with an IPv6 address: use the directory's name in UNCLOUD_LDAP_URL"
    );
    let tls = if encrypted { Some(Arc::new(tls(settings.ca_file.as_deref())?)) } else { None };
    Ok(Server { url, starttls: settings.starttls, tls })
}

/// Parses the URL; returns it and its host without brackets.
fn parse(text: &str) -> Option<(Url, String)> {
    let url = Url::parse(text).ok()?;
    let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let only_server = ["", "/"].contains(&url.path()) && url.query().is_none() && url.fragment().is_none();
    let nobody = url.username().is_empty() && url.password().is_none();
    let right = ["ldap", "ldaps"].contains(&url.scheme()) && !host.is_empty() && only_server && nobody;
    right.then_some((url, host))
}

fn tls(ca_file: Option<&Path>) -> anyhow::Result<ClientConfig> {
    let roots = match ca_file {
        Some(file) => roots_of(file).with_context(|| format!("UNCLOUD_LDAP_CA_FILE ({})", file.display()))?,
        None => system_roots()?,
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(versions.with_root_certificates(roots).with_no_client_auth())
}

fn roots_of(file: &Path) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).context("can't be read")? {
        roots.add(certificate.context("is not a PEM file")?).context("contains an unusable certificate")?;
    }
    ensure!(!roots.is_empty(), "contains no certificate (PEM)");
    Ok(roots)
}

fn system_roots() -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    // Some systems have a few certificates that can't be parsed; the others still count.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    ensure!(
        !roots.is_empty(),
        "this system has no trusted certificates: install ca-certificates or set UNCLOUD_LDAP_CA_FILE"
    );
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> DirectorySettings {
        DirectorySettings {
            url: url.into(),
            starttls: false,
            ca_file: None,
            allow_plaintext: false,
            bind_dn: None,
            bind_password: None,
            base_dn: "dc=test".into(),
            filter: "(uid={username})".into(),
            username_attribute: "uid".into(),
            locked_filter: None,
            staff_group: None,
            nested_groups: false,
            timeout: Duration::from_secs(5),
        }
    }

    #[test]
    fn directory_settings_complete_are_accepted() {
        for url in ["ldap://127.0.0.1", "ldap://[::1]:1389", "ldap://LOCALHOST/", "ldaps://ldap.example.ch"] {
            Directory::new(settings(url)).expect(url);
        }
        Directory::new(DirectorySettings { allow_plaintext: true, ..settings("ldap://ldap.example.ch") })
            .expect("allowed");
        Directory::new(DirectorySettings { starttls: true, ..settings("ldap://ldap.example.ch") }).expect("encrypted");
    }

    #[test]
    fn directory_settings_wrong_are_refused_with_their_name() {
        let here = || settings("ldap://localhost");
        let cases = [
            (settings("localhost"), "UNCLOUD_LDAP_URL"),
            (settings("http://localhost"), "UNCLOUD_LDAP_URL"),
            (settings("ldap://user:pw@localhost"), "UNCLOUD_LDAP_URL"),
            (settings("ldap://localhost/dc=test"), "UNCLOUD_LDAP_URL"),
            (settings("ldap://ldap.example.ch"), "UNCLOUD_LDAP_ALLOW_PLAINTEXT"),
            (settings("ldaps://[::1]"), "IPv6"),
            (DirectorySettings { starttls: true, ..settings("ldaps://localhost") }, "UNCLOUD_LDAP_STARTTLS"),
            (DirectorySettings { ca_file: Some("/ca.pem".into()), ..here() }, "UNCLOUD_LDAP_CA_FILE"),
            (DirectorySettings { ca_file: Some("/not/there".into()), ..settings("ldaps://localhost") }, "/not/there"),
            (
                DirectorySettings { ca_file: Some("/dev/null".into()), ..settings("ldaps://localhost") },
                "no certificate",
            ),
            (DirectorySettings { bind_dn: Some("cn=a".into()), ..here() }, "UNCLOUD_LDAP_BIND_PASSWORD"),
            (DirectorySettings { bind_password: Some("pw".to_owned().into()), ..here() }, "UNCLOUD_LDAP_BIND_DN"),
            (DirectorySettings { filter: "(uid=x)".into(), ..here() }, "{username}"),
            (DirectorySettings { filter: "(uid={username}".into(), ..here() }, "UNCLOUD_LDAP_FILTER"),
            (DirectorySettings { locked_filter: Some("locked".into()), ..here() }, "UNCLOUD_LDAP_LOCKED_FILTER"),
            (DirectorySettings { base_dn: "example.ch".into(), ..here() }, "UNCLOUD_LDAP_BASE_DN"),
            (DirectorySettings { staff_group: Some("staff".into()), ..here() }, "UNCLOUD_LDAP_STAFF_GROUP"),
            (DirectorySettings { timeout: Duration::ZERO, ..here() }, "UNCLOUD_LDAP_TIMEOUT"),
        ];
        for (wrong, named) in cases {
            let error = format!("{:#}", Directory::new(wrong).expect_err(named));
            assert!(error.contains(named) && !error.contains('\n'), "{named}: {error}");
            assert!(!error.contains("pw"), "no secret: {error}");
        }
    }
}
