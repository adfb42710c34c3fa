//! Connections to the directory: one that is kept for the service, one for each user who binds.

use std::{fmt, sync::Arc, time::Duration};

use anyhow::anyhow;
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError};
use tokio::{sync::Mutex, time::Instant};
use uncloud_wire::Secret;
use url::Url;

/// A kept connection that nobody used for so long may have been forgotten by a firewall, which shows only as silence.
const MOST_IDLE: Duration = Duration::from_mins(1);
/// Characters of a directory's text that a log line gets.
const MOST_CHARACTERS: usize = 300;

/// Where the directory is.
#[derive(Debug)]
pub(super) struct Server {
    pub url: Url,
    pub starttls: bool,
    /// None: not encrypted.
    pub tls: Option<Arc<rustls::ClientConfig>>,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

impl Server {
    /// A connection as nobody. The caller limits the time.
    pub(super) async fn connect(&self) -> anyhow::Result<Ldap> {
        let mut settings = LdapConnSettings::new().set_starttls(self.starttls);
        if let Some(tls) = &self.tls {
            settings = settings.set_config(Arc::clone(tls));
        }
        let connected = LdapConnAsync::from_url_with_settings(settings, &self.url).await;
        let (connection, ldap) = connected.map_err(|error| printable("connecting", &error))?;
        tokio::spawn(async move {
            // Whoever waits for an answer is told, and logs it.
            let _ = connection.drive().await;
        });
        Ok(ldap)
    }
}

/// The service's connection: made when first needed, shared by concurrent searches, made anew when it is lost.
#[derive(Debug, Default)]
pub(super) struct Service {
    /// DN and password; none searches as nobody.
    pub account: Option<(String, Secret<String>)>,
    kept: Mutex<Option<(Ldap, Instant)>>,
}

impl Service {
    pub(super) fn new(account: Option<(String, Secret<String>)>) -> Self {
        Self { account, ..Self::default() }
    }

    /// A handle, and whether its connection is new.
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

    /// Lets go of the connection; the next search makes a new one.
    pub(super) async fn forget(&self) {
        drop(self.kept.lock().await.take());
    }
}

/// An error's text with what a directory wrote into it made harmless for a log.
pub(super) fn printable(doing: &str, error: &LdapError) -> anyhow::Error {
    let text: String = error.to_string().chars().take(MOST_CHARACTERS).map(harmless).collect();
    anyhow!("{doing}: {text}")
}

/// Control characters could forge lines or talk to a terminal; those that turn the writing direction could hide text.
fn harmless(character: char) -> char {
    let hides = matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}');
    if character.is_control() || hides { ' ' } else { character }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directorys_text_forges_no_log_lines() {
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
