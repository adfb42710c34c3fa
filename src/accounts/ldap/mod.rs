//! The directory (LDAP): whose name and password are right, and who is staff.
//!
//! A login is a search with the service's connection, a bind on a connection of its own, and a look at the staff group,
//! all within one timeout. "Wrong" and "could not ask" are different answers: only the directory's own word that name or
//! password are wrong is a refusal; whatever else happens (silence, a wrong certificate, "busy") is an outage.

mod connection;
mod entry;
mod settings;

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow};
use ldap3::{Ldap, LdapError, Scope, SearchEntry, SearchOptions, ldap_escape};

pub use settings::DirectorySettings;

use self::{
    connection::{Server, Service, printable},
    entry::Entry,
};
use crate::{error::Error, user::Username};
use uncloud_wire::Secret;

/// What the filter has in place of the user's name.
const PLACEHOLDER: &str = "{username}";
/// Asks for no attribute (RFC 4511): only whether there is an entry.
const NO_ATTRIBUTES: [&str; 1] = ["1.1"];

/// noSuchObject.
const NO_SUCH_OBJECT: u32 = 32;
/// sizeLimitExceeded.
const SIZE_LIMIT_EXCEEDED: u32 = 4;
/// What a directory says about a bind that will not become right by waiting: constraintViolation (389 Directory Server:
/// too many wrong passwords), noSuchObject, inappropriateAuthentication (an entry without a password), invalidCredentials.
const REFUSALS: [u32; 4] = [19, NO_SUCH_OBJECT, 48, 49];

/// Somebody the directory vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DirectoryUser {
    /// As in the entry, lower case; the name that was typed may be another one (an e-mail address).
    pub username: Username,
    /// In the staff group just now.
    pub staff: bool,
}

/// A configured directory.
#[derive(Debug)]
pub struct Directory {
    server: Server,
    service: Service,
    base_dn: String,
    filter: String,
    username_attribute: String,
    locked_filter: Option<String>,
    staff_group: Option<String>,
    timeout: Duration,
}

impl Directory {
    /// Whether name and password are right, asked of the directory now. `None`: they are not, or the entry is locked.
    /// Everything else is [`Error::Unavailable`], after the configured timeout at the latest.
    pub(super) async fn login(
        self: &Arc<Self>,
        username: &Username,
        password: &Secret<String>,
    ) -> Result<Option<DirectoryUser>, Error> {
        // RFC 4513, 5.1.2: a bind without a password succeeds as nobody.
        if password.expose().is_empty() {
            return Ok(None);
        }
        let (this, username, password) = (Arc::clone(self), username.clone(), password.clone());
        self.in_time(async move { this.check(&username, &password).await }).await
    }

    /// Whether there still is the user of a row, asked with the service's connection alone. `None`: there is not, or the
    /// entry is locked for good. Errors are as with [`Self::login`].
    pub(super) async fn look_up(self: &Arc<Self>, username: &Username) -> Result<Option<DirectoryUser>, Error> {
        let (this, username) = (Arc::clone(self), username.clone());
        let look = async move {
            match this.find(&this.filter_of_row(&username), &username).await? {
                (mut ldap, Some(entry)) => this.vouch(&mut ldap, entry).await,
                (_, None) => Ok(None),
            }
        };
        self.in_time(look).await
    }

    /// Whether the service may bind, for a word at start.
    pub async fn probe(self: &Arc<Self>) -> Result<(), Error> {
        let this = Arc::clone(self);
        self.in_time(async move { this.service.handle(&this.server).await.map(drop) }).await
    }

    /// A task of its own: ldap3 panics on some malformed answers, and that is an outage like any other.
    async fn in_time<T: Send + 'static>(
        &self,
        asked: impl Future<Output = anyhow::Result<T>> + Send + 'static,
    ) -> Result<T, Error> {
        let outcome = match tokio::spawn(tokio::time::timeout(self.timeout, asked)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(anyhow!("no answer within {:?}", self.timeout)),
            Err(_) => Err(anyhow!("its answer can't be understood")),
        };
        if outcome.is_err() {
            self.service.forget().await;
        }
        outcome.with_context(|| format!("the directory {}", self.server)).map_err(Error::Unavailable)
    }

    async fn check(&self, username: &Username, password: &Secret<String>) -> anyhow::Result<Option<DirectoryUser>> {
        let (mut ldap, entry) = self.find(&self.filter_of_login(username), username).await?;
        // Without an entry somebody else's name is tried, so that the time does not tell which names exist.
        let nobody = || format!("cn=nobody,{}", self.base_dn);
        let dn = entry.as_ref().map_or_else(nobody, |entry| entry.dn.clone());
        let correct = self.bind_as(&dn, password).await?;
        match entry.filter(|_| correct) {
            Some(entry) => self.vouch(&mut ldap, entry).await,
            None => Ok(None),
        }
    }

    /// What the directory says about an entry's user, whoever asks.
    async fn vouch(&self, ldap: &mut Ldap, entry: Entry) -> anyhow::Result<Option<DirectoryUser>> {
        if entry.locked || self.is_locked(ldap, &entry.dn).await? {
            return Ok(None);
        }
        let staff = self.is_staff(ldap, &entry).await?;
        Ok(Some(DirectoryUser { username: entry.username, staff }))
    }

    fn filter_of_login(&self, username: &Username) -> String {
        self.filter.replace(PLACEHOLDER, &ldap_escape(username.as_str()))
    }

    /// The row has the entry's own name, which need not be the one that was typed. What else the filter asks for counts
    /// as at a login.
    fn filter_of_row(&self, username: &Username) -> String {
        let (attribute, name) = (&self.username_attribute, ldap_escape(username.as_str()));
        format!("(&({attribute}={name}){})", self.filter.replace(PLACEHOLDER, "*"))
    }

    /// The one entry of a name, and the connection it was found on. A kept connection may be gone without our knowing
    /// (the directory was restarted), so a lost one is replaced once.
    async fn find(&self, filter: &str, username: &Username) -> anyhow::Result<(Ldap, Option<Entry>)> {
        let (mut ldap, fresh) = self.service.handle(&self.server).await?;
        let found = match self.search_user(&mut ldap, filter).await {
            Err(error) if !fresh && !matches!(error, LdapError::LdapResult { .. }) => {
                self.service.forget().await;
                (ldap, _) = self.service.handle(&self.server).await?;
                self.search_user(&mut ldap, filter).await
            }
            found => found,
        };
        let found = found.map_err(|error| printable("searching the user", &error))?;
        if found.len() > 1 {
            tracing::warn!(%username, "the directory has several entries for one user name; nobody is let in by it");
        }
        let entry = match <[SearchEntry; 1]>::try_from(found) {
            Ok([entry]) => Entry::new(entry, &self.username_attribute),
            Err(_) => None,
        };
        Ok((ldap, entry))
    }

    async fn search_user(&self, ldap: &mut Ldap, filter: &str) -> Result<Vec<SearchEntry>, LdapError> {
        let attributes = entry::attributes(&self.username_attribute);
        let most_two = SearchOptions::new().sizelimit(2);
        let search = ldap.with_search_options(most_two).search(&self.base_dn, Scope::Subtree, filter, attributes);
        let found = search.await?;
        if found.1.rc != 0 && found.1.rc != SIZE_LIMIT_EXCEEDED {
            return Err(found.1.into());
        }
        Ok(found.0.into_iter().map(SearchEntry::construct).collect())
    }

    /// On a connection of its own, which ends with it: nobody ever asks anything as this user.
    async fn bind_as(&self, dn: &str, password: &Secret<String>) -> anyhow::Result<bool> {
        let mut ldap = self.server.connect().await?;
        let answer = ldap.simple_bind(dn, password.expose()).await;
        let answer = answer.map_err(|error| printable("checking a password", &error))?;
        let _ = ldap.unbind().await; // it has answered all that matters
        match answer.rc {
            0 => Ok(true),
            code if REFUSALS.contains(&code) => Ok(false),
            _ => Err(printable("checking a password", &answer.into())),
        }
    }

    async fn is_locked(&self, ldap: &mut Ldap, dn: &str) -> anyhow::Result<bool> {
        match &self.locked_filter {
            // An entry that is not there any more counts as locked.
            Some(filter) => Ok(matches(ldap, dn, filter).await?.unwrap_or(true)),
            None => Ok(false),
        }
    }

    /// Asked of the group itself: `memberOf` needs an overlay that few have, and may lag behind.
    async fn is_staff(&self, ldap: &mut Ldap, entry: &Entry) -> anyhow::Result<bool> {
        let Some(group) = &self.staff_group else { return Ok(false) };
        let (dn, uid) = (ldap_escape(entry.dn.as_str()), ldap_escape(entry.username.as_str()));
        let filter = format!("(|(member={dn})(uniqueMember={dn})(memberUid={uid}))");
        let member = matches(ldap, group, &filter).await?;
        if member.is_none() {
            // A group of names can't be empty, so its last member takes it along.
            tracing::warn!(group, "the staff group is not in the directory, so none of its users is staff");
        }
        Ok(member.unwrap_or(false))
    }
}

/// Whether the entry is there and what the filter says about it.
async fn matches(ldap: &mut Ldap, dn: &str, filter: &str) -> anyhow::Result<Option<bool>> {
    let found = ldap.search(dn, Scope::Base, filter, NO_ATTRIBUTES).await;
    let found = found.map_err(|error| printable("looking at an entry", &error))?;
    match found.1.rc {
        0 => Ok(Some(!found.0.is_empty())),
        NO_SUCH_OBJECT => Ok(None),
        _ => Err(printable("looking at an entry", &found.1.into())),
    }
}
