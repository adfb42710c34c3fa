//! TLS on one machine: a local authority, limited to this machine's own names, so that trusting it is safe.

use std::{
    fs::{DirBuilder, Permissions, set_permissions},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use chrono::{DateTime, Datelike as _, TimeDelta, Utc};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SanType,
};
use uncloud_wire::program::read_secret;

use crate::{embedded::write_private, server::listen::TlsFiles};

/// The name in the certificate, which also has the loopback addresses.
pub(super) const NAME: &str = "localhost";
const ADDRESSES: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
const AUTHORITY_DAYS: i64 = 3650;
/// Validity of the server's certificate, which every start creates anew. Some clients refuse longer ones.
const SERVER_DAYS: i64 = 800;

/// The prepared files.
#[derive(Debug)]
pub(super) struct LocalTls {
    pub(super) files: TlsFiles,
    /// Certificate file of the authority, which clients must trust.
    pub(super) authority: PathBuf,
}

/// Creates the authority at the first start, and a certificate at each start. `id` distinguishes authorities of one
/// machine.
pub(super) fn prepare(data_dir: &Path, id: &str, now: DateTime<Utc>) -> anyhow::Result<LocalTls> {
    let folder = data_dir.join("tls");
    // Readable for everyone, so that all users can trust the authority; the keys' own files are private.
    let made = DirBuilder::new().recursive(true).mode(0o755).create(&folder);
    made.with_context(|| format!("creating {}", folder.display()))?;
    let file = |name: &str| folder.join(name);
    let (authority, authority_key) = (file("ca.pem"), file("ca.key"));
    let key = match read_secret(&authority_key)? {
        Some(kept) => KeyPair::from_pem(kept.expose())
            .with_context(|| format!("{} is not a private key; remove it", authority_key.display()))?,
        None => KeyPair::generate()?,
    };
    let params = authority_params(id, now)?;
    if !authority.exists() || !authority_key.exists() {
        write_private(&authority_key, key.serialize_pem().as_bytes())?;
        write_public(&authority, &params.self_signed(&key)?.pem())?;
        tracing::info!(file = %authority.display(), "created a TLS authority for this machine");
    }
    let server_key = KeyPair::generate()?;
    let server = server_params(now)?.signed_by(&server_key, &Issuer::new(params, key))?;
    let files = TlsFiles { certificate: file("server.pem"), key: file("server.key") };
    write_private(&files.key, server_key.serialize_pem().as_bytes())?;
    write_public(&files.certificate, &server.pem())?;
    Ok(LocalTls { files, authority })
}

fn write_public(path: &Path, content: &str) -> anyhow::Result<()> {
    write_private(path, content.as_bytes())?;
    set_permissions(path, Permissions::from_mode(0o644)).with_context(|| format!("opening {} to all", path.display()))
}

fn authority_params(id: &str, now: DateTime<Utc>) -> anyhow::Result<CertificateParams> {
    let mut params = valid(CertificateParams::default(), now, AUTHORITY_DAYS)?;
    params.distinguished_name = named(&format!("uncloud up on this machine only ({id})"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let addresses = ADDRESSES.map(|address| {
        GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, if address.is_ipv4() { 32 } else { 128 }))
    });
    let permitted_subtrees = std::iter::once(GeneralSubtree::DnsName(NAME.to_owned())).chain(addresses).collect();
    params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
    Ok(params)
}

fn server_params(now: DateTime<Utc>) -> anyhow::Result<CertificateParams> {
    let mut params = valid(CertificateParams::default(), now, SERVER_DAYS)?;
    params.distinguished_name = named(NAME);
    params.subject_alt_names = vec![SanType::DnsName(NAME.try_into()?)];
    params.subject_alt_names.extend(ADDRESSES.map(SanType::IpAddress));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn named(name: &str) -> DistinguishedName {
    let mut full = DistinguishedName::new();
    full.push(DnType::CommonName, name);
    full
}

/// Sets the validity from yesterday on, because clocks differ.
fn valid(mut params: CertificateParams, now: DateTime<Utc>, days: i64) -> anyhow::Result<CertificateParams> {
    let midnight = |date: DateTime<Utc>| {
        let (month, day) = (u8::try_from(date.month())?, u8::try_from(date.day())?);
        anyhow::Ok(rcgen::date_time_ymd(date.year(), month, day))
    };
    params.not_before = midnight(now - TimeDelta::days(1))?;
    params.not_after = midnight(now + TimeDelta::days(days))?;
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authority_prepared_again_is_unchanged_and_keys_are_private() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let now = DateTime::from_timestamp(1_790_000_000, 0).expect("a time");
        let read = |path: &Path| std::fs::read_to_string(path).expect("a file");
        let first = prepare(folder.path(), "0", now).expect("made");
        let (authority, server) = (read(&first.authority), read(&first.files.certificate));
        let second = prepare(folder.path(), "0", now).expect("made again");
        assert_eq!(read(&second.authority), authority, "clients that trust it keep trusting it");
        assert_ne!(read(&second.files.certificate), server);
        for (name, mode) in [("ca.pem", 0o644), ("ca.key", 0o600), ("server.pem", 0o644), ("server.key", 0o600)] {
            let permissions = folder.path().join("tls").join(name).metadata().expect(name).permissions();
            assert_eq!(permissions.mode() & 0o777, mode, "{name}");
        }
    }
}
