//! Connections to the directory: one is kept for the service, and each user who binds gets another one.

use std::{fmt, sync::Arc, time::Duration};

use anyhow::anyhow;
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError};
use tokio::{sync::Mutex, time::Instant};
use uncloud_wire::Secret;
use url::Url;

use crate::text::is_invisible;

/// The longest time for which a connection is kept unused: a firewall may forget it later, which shows only as a
/// timeout.
const MOST_IDLE: Duration = Duration::from_mins(1);
/// The number of characters of a directory's text in a log line.
const MOST_CHARACTERS: usize = 300;

/// The address of the directory.
#[derive(Debug)]
pub(super) struct Server {
    pub url: Url,
    pub starttls: bool,
    /// The TLS configuration; none for an unencrypted connection.
    pub tls: Option<Arc<rustls::ClientConfig>>,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

impl Server {
    /// Opens an anonymous connection. The caller limits the time.
    pub(super) async fn connect(&self) -> anyhow::Result<Ldap> {
        let mut settings = LdapConnSettings::new().set_starttls(self.starttls);
        if let Some(tls) = &self.tls {
            settings = settings.set_config(Arc::clone(tls));
        }
        let connected = LdapConnAsync::from_url_with_settings(settings, &self.url).await;
        let (connection, ldap) = connected.map_err(|error| printable("connecting", &error))?;
        tokio::spawn(async move {
            // The caller that waits for a response gets the error, and logs it.
            let _ = connection.drive().await;
        });
        Ok(ldap)
    }
}

/// The service's connection: opened on first use, shared by concurrent searches, and reopened when it is lost.
#[derive(Debug, Default)]
pub(super) struct Service {
    /// The DN and password of the service; none searches anonymously.
    pub account: Option<(String, Secret<String>)>,
    kept: Mutex<Option<(Ldap, Instant)>>,
}

impl Service {
    pub(super) fn new(account: Option<(String, Secret<String>)>) -> Self {
        Self { account, ..Self::default() }
    }

    /// Returns a handle, and true for a new connection.
    pub(super) async fn handle(&self, server: &Server) -> anyhow::Result<(Ldap, bool)> {
        let mut kept = self.kept.lock().await;
        if let Some((ldap, used)) = &mut *kept
            && !ldap.is_closed()
            && used.elapsed() < MOST_IDLE
        {
            *used = Instant::now();
            return Ok((ldap.clone(), false));
        }
        *kept = None;
        let mut ldap = server.connect().await?;
        if let Some((dn, password)) = &self.account {
            let bound = ldap.simple_bind(dn, password.expose()).await.and_then(ldap3::LdapResult::success);
            bound.map_err(|error| printable(&format!("binding as {dn}"), &error))?;
        }
        *kept = Some((ldap.clone(), Instant::now()));
        Ok((ldap, true))
    }

    /// Drops the connection; the next search opens a new one.
    pub(super) async fn forget(&self) {
        drop(self.kept.lock().await.take());
    }
}

/// Returns an error's text in which the directory's part is safe for a log.
pub(super) fn printable(doing: &str, error: &LdapError) -> anyhow::Error {
    let text: String = error.to_string().chars().take(MOST_CHARACTERS).map(harmless).collect();
    anyhow!("{doing}: {text}")
}

/// Replaces control characters, which could forge lines or control a terminal, and those that change the writing
/// direction, which could hide text.
fn harmless(character: char) -> char {
    if character.is_control() || is_invisible(character) { ' ' } else { character }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printable_directory_text_has_no_control_characters() {
        let result = ldap3::LdapResult {
            rc: 53,
            matched: String::new(),
            text: "no\u{1b}[2J\r\nINFO all is well\u{202e}".to_owned() + &"x".repeat(1000),
            refs: Vec::new(),
            ctrls: Vec::new(),
        };
        let text = printable("binding", &result.into()).to_string();
        assert!(text.contains("rc=53") && text.contains("no [2J  INFO"), "{text}");
        assert!(!text.contains(|character: char| character.is_control() || character == '\u{202e}'), "{text:?}");
        assert!(text.len() < 350);
    }
}
