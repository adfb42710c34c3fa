//! The directory (LDAP), which checks names and passwords and defines the staff.
//!
//! A login is a search with the service's connection, a bind on a connection of its own, and a check of the staff
//! group, all within one timeout. A wrong password differs from a failed check: the server refuses a login only if the
//! directory reports that name or password are wrong; any other failure (a timeout, a wrong certificate, "busy") is an
//! outage.

mod connection;
mod dn;
mod entry;
mod settings;

use std::{collections::HashSet, sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow};
use ldap3::{Ldap, LdapError, Scope, SearchEntry, SearchOptions, controls::RawControl, ldap_escape};

pub use settings::DirectorySettings;

use self::{
    connection::{Server, Service, printable},
    entry::Entry,
};
use super::login_name::LoginName;
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
/// passwords), noSuchObject, inappropriateAuthentication (an entry without a password), invalidCredentials,
/// unwillingToPerform (389: the account is inactive; others: the password has expired, or must be changed first).
const REFUSALS: [u32; 5] = [19, NO_SUCH_OBJECT, 48, 49, UNWILLING];
const UNWILLING: u32 = 53;
/// The control by which a directory tells that a right password is not enough (draft-behera-ldap-password-policy).
const PASSWORD_POLICY: &str = "1.3.6.1.4.1.42.2.27.8.5.1";
/// The groups that are read at most to find a member of a member; more would be a fault of the directory.
const MOST_GROUPS: usize = 200;

/// A user whom the directory confirms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DirectoryUser {
    /// The name in the entry, in lower case; the user may have typed another one (an e-mail address).
    pub username: Username,
    /// The directory's identifier of the entry, if it has one.
    pub id: Option<String>,
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
    nested_groups: bool,
    timeout: Duration,
}

impl Directory {
    /// Checks a name and password in the directory now. Returns `None` if they are wrong or if the entry is locked.
    /// Every other failure is [`Error::Unavailable`], after the configured timeout at the latest.
    pub(super) async fn login(
        self: &Arc<Self>,
        name: &LoginName,
        password: &Secret<String>,
    ) -> Result<Option<DirectoryUser>, Error> {
        // A bind without a password succeeds anonymously (RFC 4513, 5.1.2).
        if password.expose().is_empty() {
            return Ok(None);
        }
        let (this, name, password) = (Arc::clone(self), name.clone(), password.clone());
        self.in_time(async move { this.check(&name, &password).await }).await
    }

    /// Looks up the user of a row with the service's connection alone. Returns `None` if the user does not exist, or if
    /// the entry is permanently locked. Errors are as with [`Self::login`].
    pub(super) async fn look_up(self: &Arc<Self>, username: &Username) -> Result<Option<DirectoryUser>, Error> {
        let (this, username) = (Arc::clone(self), username.clone());
        let look = async move {
            match this.find(&this.filter_of_row(&username)).await? {
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

    async fn check(&self, name: &LoginName, password: &Secret<String>) -> anyhow::Result<Option<DirectoryUser>> {
        let (mut ldap, entry) = self.find(&self.filter_of_login(name)).await?;
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
        Ok(Some(DirectoryUser { username: entry.username, id: entry.id, staff }))
    }

    fn filter_of_login(&self, name: &LoginName) -> String {
        self.filter.replace(PLACEHOLDER, &ldap_escape(name.as_str()))
    }

    /// Returns the filter for a row's user. The row has the entry's own name, which may differ from the typed one. The
    /// other conditions of the filter apply as at a login.
    fn filter_of_row(&self, username: &Username) -> String {
        let (attribute, name) = (&self.username_attribute, ldap_escape(username.as_str()));
        format!("(&({attribute}={name}){})", self.filter.replace(PLACEHOLDER, "*"))
    }

    /// Finds the only entry of a name, and the connection on which it was found. A kept connection may have been lost
    /// without notice (the directory was restarted), so it is replaced once.
    async fn find(&self, filter: &str) -> anyhow::Result<(Ldap, Option<Entry>)> {
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
            tracing::warn!(filter, "the directory has several entries for one user name; login refused");
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
        let policy = RawControl { ctype: PASSWORD_POLICY.to_owned(), crit: false, val: None };
        let result = ldap.with_controls(policy).simple_bind(dn, password.expose()).await;
        let result = result.map_err(|error| printable("checking a password", &error))?;
        let _ = ldap.unbind().await; // the result is already known
        match result.rc {
            0 if result.ctrls.iter().any(|control| is_policy_error(&control.1)) => Ok(false),
            0 => Ok(true),
            code if REFUSALS.contains(&code) => {
                if code == UNWILLING {
                    let refused = printable("checking a password", &result.into());
                    tracing::warn!(dn, "the directory refuses a user: {refused:#}");
                }
                Ok(false)
            }
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
        // The directory compares: `memberUid` with the entry's name as it is written there.
        let [dn, uid, lower] =
            [&entry.dn, &entry.name, entry.username.as_str()].map(|text: &str| ldap_escape(text).into_owned());
        let filter = format!("(|(member={dn})(uniqueMember={dn})(memberUid={uid})(memberUid={lower}))");
        let member = match matches(ldap, group, &filter).await? {
            Some(false) if self.nested_groups => Some(is_in_nested(ldap, group, &filter).await?),
            member => member,
        };
        if member.is_none() {
            // A group of names can't be empty, so removing its last member removes the group.
            tracing::warn!(group, "the staff group does not exist in the directory, so none of its users are staff");
        }
        Ok(member.unwrap_or(false))
    }
}

/// Returns whether the filter, of one member, matches a group that is a member of `group`, directly or through others.
async fn is_in_nested(ldap: &mut Ldap, group: &str, filter: &str) -> anyhow::Result<bool> {
    let (mut seen, mut waiting) = (HashSet::from([group.to_lowercase()]), vec![group.to_owned()]);
    while let Some(group) = waiting.pop() {
        let members = ldap.search(&group, Scope::Base, "(objectClass=*)", ["member", "uniqueMember"]).await;
        let (entries, result) =
            members.map(|found| (found.0, found.1)).map_err(|error| printable("reading a group", &error))?;
        if result.rc != 0 && result.rc != NO_SUCH_OBJECT {
            return Err(printable("reading a group", &result.into()));
        }
        let members = entries.into_iter().flat_map(|entry| SearchEntry::construct(entry).attrs.into_values().flatten());
        for member in members {
            if seen.len() >= MOST_GROUPS || !seen.insert(member.to_lowercase()) {
                continue;
            }
            if matches(ldap, &member, filter).await? == Some(true) {
                return Ok(true);
            }
            waiting.push(member);
        }
    }
    Ok(false)
}

/// Returns whether a response's control says that the password is right but not enough: it must be changed, or the account
/// is locked. Warnings (it expires soon) are not errors. The value is a sequence of a warning `[0]` and an error `[1]`.
fn is_policy_error(control: &RawControl) -> bool {
    let Some([0x30, length, value @ ..]) = control.val.as_deref().filter(|_| control.ctype == PASSWORD_POLICY) else {
        return false;
    };
    let mut rest = value.get(..usize::from(*length)).unwrap_or(value);
    while let [tag, length, after @ ..] = rest {
        if *tag == 0x81 {
            return true;
        }
        rest = after.get(usize::from(*length)..).unwrap_or_default();
    }
    false
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
