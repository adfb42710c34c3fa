//! Secrets of an instance: given, or made at the first start and kept in the data folder.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom as _, SystemRandom};
use uncloud_wire::{Secret, program::read_secret};

use crate::embedded::write_private;

/// The password of `admin`: the one in `DIR/admin-password`, which is made at the first start.
pub(super) fn kept_admin_password(data_dir: &Path) -> anyhow::Result<Secret<String>> {
    kept(&data_dir.join("admin-password"), || Ok(URL_SAFE_NO_PAD.encode(random::<18>()?)))
}

/// The key that encrypts private keys at rest: the one in `DIR/secret-key`, which is made at the first start.
pub(super) fn kept_secret_key(data_dir: &Path) -> anyhow::Result<Secret<String>> {
    kept(&data_dir.join("secret-key"), || Ok(STANDARD.encode(random::<32>()?)))
}

fn kept(path: &Path, make: impl Fn() -> anyhow::Result<String>) -> anyhow::Result<Secret<String>> {
    if let Some(value) = read_secret(path)? {
        return Ok(value);
    }
    let value = make()?;
    write_private(path, format!("{value}\n").as_bytes())?;
    tracing::info!(file = %path.display(), "made a new secret");
    Ok(Secret::new(value))
}

fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| anyhow::anyhow!("the system has no randomness"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::{kept_admin_password, kept_secret_key};

    #[test]
    fn made_secrets_are_private_and_stay() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let password = kept_admin_password(folder.path()).expect("password");
        assert!(password.expose().len() >= 20);
        assert_eq!(kept_admin_password(folder.path()).expect("again"), password);
        let mode = folder.path().join("admin-password").metadata().expect("file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_ne!(kept_secret_key(folder.path()).expect("key"), password);
    }
}
