//! Secrets of an instance: given, or made at the first start and kept in the data folder.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::embedded::write_private;
use crate::secret::Secret;

/// The value of a setting that can also come from a file; empty is as good as not set.
pub(super) fn secret_or_file(
    name: &str,
    value: Option<Secret<String>>,
    file: Option<PathBuf>,
) -> anyhow::Result<Option<Secret<String>>> {
    let value = value.filter(|value| !value.expose().is_empty());
    let file = file.filter(|file| !file.as_os_str().is_empty());
    match (value, file) {
        (Some(_), Some(file)) => bail!("both {name} and {name}_FILE ({}) are set: leave one out", file.display()),
        (None, Some(file)) => match read(&file)? {
            Some(value) => Ok(Some(value)),
            None => bail!("{name}_FILE names {}, which is empty or not there", file.display()),
        },
        (value, None) => Ok(value),
    }
}

/// The password of `admin`: the one in `DIR/admin-password`, which is made at the first start.
pub(super) fn kept_admin_password(data_dir: &Path) -> anyhow::Result<Secret<String>> {
    kept(&data_dir.join("admin-password"), || Ok(URL_SAFE_NO_PAD.encode(random::<18>()?)))
}

/// The key that encrypts private keys at rest: the one in `DIR/secret-key`, which is made at the first start.
pub(super) fn kept_secret_key(data_dir: &Path) -> anyhow::Result<Secret<String>> {
    kept(&data_dir.join("secret-key"), || Ok(STANDARD.encode(random::<32>()?)))
}

fn kept(path: &Path, make: impl Fn() -> anyhow::Result<String>) -> anyhow::Result<Secret<String>> {
    if let Some(value) = read(path)? {
        return Ok(value);
    }
    let value = make()?;
    write_private(path, format!("{value}\n").as_bytes())?;
    tracing::info!(file = %path.display(), "made a new secret");
    Ok(Secret::new(value))
}

fn read(path: &Path) -> anyhow::Result<Option<Secret<String>>> {
    match std::fs::read_to_string(path) {
        Ok(text) if text.trim().is_empty() => Ok(None),
        Ok(text) => Ok(Some(Secret::new(text.trim().to_owned()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}

fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| anyhow::anyhow!("the system has no randomness"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::{kept_admin_password, kept_secret_key, secret_or_file};
    use crate::secret::Secret;

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

    #[test]
    fn a_secret_comes_from_one_place() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("url");
        std::fs::write(&file, "from-file\n").expect("write");
        let value = || Some(Secret::new("from-env".to_owned()));
        let got = secret_or_file("X", None, Some(file.clone())).expect("file").expect("set");
        assert_eq!(got.expose(), "from-file");
        secret_or_file("X", value(), Some(file)).expect_err("both");
        assert_eq!(secret_or_file("X", value(), None).expect("value"), value());
        assert_eq!(secret_or_file("X", Some(Secret::new(String::new())), None).expect("empty"), None);
        secret_or_file("X", None, Some(folder.path().join("missing"))).expect_err("missing");
    }
}
