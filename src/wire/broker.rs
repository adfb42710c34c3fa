//! The broker's address: a URL of Redis, and for `rediss://` the certificate authority.

use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use redis::{ConnectionAddr, ConnectionInfo, TlsCertificates};

use super::secret::Secret;

/// Creates a client for server and workers alike, without connecting yet.
///
/// With a CA file only that authority is trusted, otherwise those of the machine. No error quotes the URL, which may
/// contain a password, as errors of the crate `redis` do.
pub fn client(url: &Secret<String>, ca_file: Option<&Path>) -> anyhow::Result<redis::Client> {
    let Ok(info) = url.expose().parse::<ConnectionInfo>() else {
        bail!(
            "the broker is not a valid URL of Redis, such as rediss://user:password@redis.example.ch:6379, \
             redis://127.0.0.1:6379 or redis+unix:///run/redis.sock"
        );
    };
    // Otherwise it sends its name, which a host's user may not do: one refusal in Redis' log per connection.
    let settings = info.redis_settings().clone().set_skip_set_lib_name();
    let info = info.set_redis_settings(settings);
    let insecure = matches!(info.addr(), ConnectionAddr::TcpTls { insecure: true, .. });
    ensure!(!insecure, "the broker's URL ends with #insecure, which accepts any certificate; use a CA file instead");
    let Some(ca_file) = ca_file.filter(|file| !file.as_os_str().is_empty()) else {
        return redis::Client::open(info).map_err(|_| anyhow::anyhow!("the broker's URL can't be used"));
    };
    ensure!(
        matches!(info.addr(), ConnectionAddr::TcpTls { .. }),
        "a CA file is set ({}), but the broker's URL does not start with rediss://: nothing would be encrypted",
        ca_file.display()
    );
    let pem = std::fs::read(ca_file)
        .with_context(|| format!("can't read the certificates of the broker's CA in {}", ca_file.display()))?;
    ensure!(
        pem.windows(27).any(|window| window == b"-----BEGIN CERTIFICATE-----"),
        "{} contains no certificate; it must be PEM (-----BEGIN CERTIFICATE-----)",
        ca_file.display()
    );
    let certificates = TlsCertificates { client_tls: None, root_cert: Some(pem) };
    redis::Client::build_with_tls(info, certificates)
        .map_err(|error| anyhow::anyhow!("can't use the certificates in {}: {error}", ca_file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str, ca_file: Option<&Path>) -> String {
        let error = client(&Secret::new(url.to_owned()), ca_file).expect_err("refused");
        let text = format!("{error:#} {error:?}");
        assert!(!text.contains("hunter2"), "{text}");
        text
    }

    #[test]
    fn client_with_an_invalid_url_fails_without_the_password() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("ca.pem");
        assert!(refusal("http://x:hunter2@redis", None).contains("not a valid URL of Redis"));
        assert!(refusal("hunter2", None).contains("not a valid URL of Redis"));
        assert!(refusal("rediss://x:hunter2@redis/#insecure", None).contains("#insecure"));
        assert!(refusal("redis://x:hunter2@redis", Some(&file)).contains("nothing would be encrypted"));
        assert!(refusal("rediss://x:hunter2@redis", Some(&file)).contains("can't read"));
        std::fs::write(&file, "nonsense").expect("written");
        assert!(refusal("rediss://x:hunter2@redis", Some(&file)).contains("no certificate"));
    }

    #[test]
    fn client_with_a_valid_url_is_created() {
        for url in
            ["redis://127.0.0.1:6379", "rediss://u:p@redis.example.ch", "redis+unix:///run/redis.sock?user=u&pass=p"]
        {
            client(&Secret::new(url.to_owned()), None).expect(url);
            client(&Secret::new(url.to_owned()), Some(Path::new(""))).expect(url);
        }
    }
}
