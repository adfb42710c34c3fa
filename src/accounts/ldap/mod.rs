//! The directory (LDAP), which checks names and passwords and defines the staff.
//!
//! A login is a search with the service's connection, a bind on a connection of its own, and a check of the staff
//! group, all within one timeout. A wrong password differs from a failed check: the server refuses a login only if the
//! directory reports that name or password are wrong; any other failure (a timeout, a wrong certificate, "busy") is an
//! outage.

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

/// The placeholder of the user's name in the filter.
const PLACEHOLDER: &str = "{username}";
/// The attribute list that requests no attributes (RFC 4511), for checks of existence.
const NO_ATTRIBUTES: [&str; 1] = ["1.1"];

/// The result code noSuchObject.
const NO_SUCH_OBJECT: u32 = 32;
/// The result code sizeLimitExceeded.
const SIZE_LIMIT_EXCEEDED: u32 = 4;
/// The result codes of a bind that retrying does not fix: constraintViolation (389 Directory Server: too many wrong
/// passwords), noSuchObject, inappropriateAuthentication (an entry without a password), invalidCredentials.
const REFUSALS: [u32; 4] = [19, NO_SUCH_OBJECT, 48, 49];

/// A user whom the directory confirms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DirectoryUser {
    /// The name in the entry, in lower case; the user may have typed another one (an e-mail address).
    pub username: Username,
    /// True if the user is in the staff group at present.
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
    /// Checks a name and password in the directory now. Returns `None` if they are wrong or if the entry is locked.
    /// Every other failure is [`Error::Unavailable`], after the configured timeout at the latest.
    pub(super) async fn login(
        self: &Arc<Self>,
        username: &Username,
        password: &Secret<String>,
    ) -> Result<Option<DirectoryUser>, Error> {
        // A bind without a password succeeds anonymously (RFC 4513, 5.1.2).
        if password.expose().is_empty() {
            return Ok(None);
        }
        let (this, username, password) = (Arc::clone(self), username.clone(), password.clone());
        self.in_time(async move { this.check(&username, &password).await }).await
    }

    /// Looks up the user of a row with the service's connection alone. Returns `None` if the user does not exist, or if
    /// the entry is permanently locked. Errors are as with [`Self::login`].
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

    /// Checks that the service can bind, for a log line at start.
    pub async fn probe(self: &Arc<Self>) -> Result<(), Error> {
        let this = Arc::clone(self);
        self.in_time(async move { this.service.handle(&this.server).await.map(drop) }).await
    }

    /// Runs a request in a task of its own: ldap3 panics on some malformed responses, and that is an outage like any
    /// other.
    async fn in_time<T: Send + 'static>(
        &self,
        request: impl Future<Output = anyhow::Result<T>> + Send + 'static,
    ) -> Result<T, Error> {
        let outcome = match tokio::spawn(tokio::time::timeout(self.timeout, request)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(anyhow!("no response within {:?}", self.timeout)),
            Err(_) => Err(anyhow!("its response is malformed")),
        };
        if outcome.is_err() {
            self.service.forget().await;
        }
        outcome.with_context(|| format!("the directory {}", self.server)).map_err(Error::Unavailable)
    }

    async fn check(&self, username: &Username, password: &Secret<String>) -> anyhow::Result<Option<DirectoryUser>> {
        let (mut ldap, entry) = self.find(&self.filter_of_login(username), username).await?;
        // Without an entry, bind with another name, so that the time does not reveal which names exist.
        let nobody = || format!("cn=nobody,{}", self.base_dn);
        let dn = entry.as_ref().map_or_else(nobody, |entry| entry.dn.clone());
        let correct = self.bind_as(&dn, password).await?;
        match entry.filter(|_| correct) {
            Some(entry) => self.vouch(&mut ldap, entry).await,
            None => Ok(None),
        }
    }

    /// Returns the directory's data on an entry's user, regardless of the connection.
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

    /// Returns the filter for a row's user. The row has the entry's own name, which may differ from the typed one. The
    /// other conditions of the filter apply as at a login.
    fn filter_of_row(&self, username: &Username) -> String {
        let (attribute, name) = (&self.username_attribute, ldap_escape(username.as_str()));
        format!("(&({attribute}={name}){})", self.filter.replace(PLACEHOLDER, "*"))
    }

    /// Finds the only entry of a name, and the connection on which it was found. A kept connection may have been lost
    /// without notice (the directory was restarted), so it is replaced once.
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
        let found = found.map_err(|error| printable("searching for the user", &error))?;
        if found.len() > 1 {
            tracing::warn!(%username, "the directory has several entries for one user name; login refused");
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

    /// Binds on a connection of its own, which ends here: the server never sends other requests as this user.
    async fn bind_as(&self, dn: &str, password: &Secret<String>) -> anyhow::Result<bool> {
        let mut ldap = self.server.connect().await?;
        let result = ldap.simple_bind(dn, password.expose()).await;
        let result = result.map_err(|error| printable("checking a password", &error))?;
        let _ = ldap.unbind().await; // the result is already known
        match result.rc {
            0 => Ok(true),
            code if REFUSALS.contains(&code) => Ok(false),
            _ => Err(printable("checking a password", &result.into())),
        }
    }

    async fn is_locked(&self, ldap: &mut Ldap, dn: &str) -> anyhow::Result<bool> {
        match &self.locked_filter {
            // A missing entry counts as locked.
            Some(filter) => Ok(matches(ldap, dn, filter).await?.unwrap_or(true)),
            None => Ok(false),
        }
    }

    /// Checks the membership in the group itself: `memberOf` needs an overlay that few directories have, and may lag
    /// behind.
    async fn is_staff(&self, ldap: &mut Ldap, entry: &Entry) -> anyhow::Result<bool> {
        let Some(group) = &self.staff_group else { return Ok(false) };
        let (dn, uid) = (ldap_escape(entry.dn.as_str()), ldap_escape(entry.username.as_str()));
        let filter = format!("(|(member={dn})(uniqueMember={dn})(memberUid={uid}))");
        let member = matches(ldap, group, &filter).await?;
        if member.is_none() {
            // A group of names can't be empty, so removing its last member removes the group.
            tracing::warn!(group, "the staff group does not exist in the directory, so none of its users are staff");
        }
        Ok(member.unwrap_or(false))
    }
}

/// Returns the result of the filter for an entry; none if the entry does not exist.
async fn matches(ldap: &mut Ldap, dn: &str, filter: &str) -> anyhow::Result<Option<bool>> {
    let found = ldap.search(dn, Scope::Base, filter, NO_ATTRIBUTES).await;
    let found = found.map_err(|error| printable("reading an entry", &error))?;
    match found.1.rc {
        0 => Ok(Some(!found.0.is_empty())),
        NO_SUCH_OBJECT => Ok(None),
        _ => Err(printable("reading an entry", &found.1.into())),
    }
}
