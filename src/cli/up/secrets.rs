//! Secrets of an instance: given by option, or created at the first start and stored in the data folder.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom as _, SystemRandom};
use uncloud_wire::{Secret, program::read_secret};

use crate::embedded::write_private;

/// Returns the password of `admin` from `DIR/admin-password`, which the first start creates.
pub(super) fn kept_admin_password(data_dir: &Path) -> anyhow::Result<Secret<String>> {
    kept(&data_dir.join("admin-password"), || Ok(URL_SAFE_NO_PAD.encode(random::<18>()?)))
}

/// Returns the key that encrypts private keys at rest from `DIR/secret-key`, which the first start creates.
pub(super) fn kept_secret_key(data_dir: &Path) -> anyhow::Result<Secret<String>> {
    kept(&data_dir.join("secret-key"), || Ok(STANDARD.encode(random::<32>()?)))
}

fn kept(path: &Path, make: impl Fn() -> anyhow::Result<String>) -> anyhow::Result<Secret<String>> {
    if let Some(value) = read_secret(path)? {
        return Ok(value);
    }
    let value = make()?;
    write_private(path, format!("{value}\n").as_bytes())?;
    tracing::info!(file = %path.display(), "created a new secret");
    Ok(Secret::new(value))
}

fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| anyhow::anyhow!("the system can't generate random numbers"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::{kept_admin_password, kept_secret_key};

    #[test]
    fn kept_secret_is_private_and_read_again_unchanged() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let password = kept_admin_password(folder.path()).expect("password");
        assert!(password.expose().len() >= 20);
        assert_eq!(kept_admin_password(folder.path()).expect("again"), password);
        let mode = folder.path().join("admin-password").metadata().expect("file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_ne!(kept_secret_key(folder.path()).expect("key"), password);
    }
}
