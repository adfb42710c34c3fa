//! A user's entry in the directory.

use ldap3::SearchEntry;

use crate::user::Username;

/// The attribute of a locked entry in the password policy (draft-behera-ldap-password-policy).
const LOCKED_TIME: &str = "pwdAccountLockedTime";
/// The value of a lock that only an administrator ends. A lock with any other value may have expired, which only the
/// directory knows, since it has the duration of locks: the bind shows it.
const LOCKED_FOR_GOOD: &str = "000001010000Z";
/// The attribute of locked entries in 389 Directory Server and FreeIPA.
const ACCOUNT_LOCK: &str = "nsAccountLock";

/// Returns the attributes to request.
pub(super) fn attributes(username_attribute: &str) -> Vec<&str> {
    vec![username_attribute, LOCKED_TIME, ACCOUNT_LOCK]
}

/// A user's entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub dn: String,
    pub username: Username,
    pub locked: bool,
}

impl Entry {
    /// Reads an entry. Returns none if the entry does not have a valid user name.
    pub(super) fn new(entry: SearchEntry, username_attribute: &str) -> Option<Self> {
        let names = values(&entry, username_attribute);
        let username = own_name(&entry.dn, username_attribute, names).and_then(|name| name.parse().ok());
        let Some(username) = username else {
            tracing::warn!(
                dn = ?entry.dn,
                "the entry does not have a single {username_attribute} that is a valid user name; login refused"
            );
            return None;
        };
        let locked = values(&entry, LOCKED_TIME).iter().any(|time| time == LOCKED_FOR_GOOD)
            || values(&entry, ACCOUNT_LOCK).iter().any(|lock| lock.eq_ignore_ascii_case("true"));
        Some(Self { username, locked, dn: entry.dn })
    }
}

/// Returns the values of an attribute, whose name is case-insensitive.
fn values<'a>(entry: &'a SearchEntry, attribute: &str) -> &'a [String] {
    let named = entry.attrs.iter().find(|(name, _)| name.eq_ignore_ascii_case(attribute));
    named.map_or(&[], |(_, values)| values)
}

/// Returns the only name of a user: if an entry has several names, the one in the DN counts.
fn own_name<'a>(dn: &str, attribute: &str, names: &'a [String]) -> Option<&'a String> {
    match names {
        [name] => Some(name),
        names => {
            let (first, _) = dn.split_once(',')?;
            let (named_by, value) = first.split_once('=')?;
            let is_own = |name: &&String| name.eq_ignore_ascii_case(value);
            names.iter().find(is_own).filter(|_| named_by.eq_ignore_ascii_case(attribute))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn entry(dn: &str, attributes: &[(&str, &[&str])]) -> Option<Entry> {
        let attrs: HashMap<_, _> = attributes
            .iter()
            .map(|(name, values)| ((*name).to_owned(), values.iter().map(|value| (*value).to_owned()).collect()))
            .collect();
        Entry::new(SearchEntry { dn: dn.into(), attrs, bin_attrs: HashMap::new() }, "uid")
    }

    #[test]
    fn entry_with_several_names_has_name_of_dn_in_lower_case() {
        let name = |dn, names: &[&str]| entry(dn, &[("UID", names)]).map(|entry| entry.username.to_string());
        assert_eq!(name("cn=A,dc=test", &["Alice"]), Some("alice".into()));
        assert_eq!(name("uid=alice,dc=test", &["zoe", "alice"]), Some("alice".into()));
        assert_eq!(name("cn=A,dc=test", &["zoe", "alice"]), None);
        assert_eq!(name("cn=A,dc=test", &[]), None);
        assert_eq!(name("uid=a b,dc=test", &["a b"]), None);
    }

    #[test]
    fn entry_with_permanent_lock_is_locked() {
        let locked = |lock| entry("uid=a,dc=test", &[("uid", &["a"]), lock]).expect("an entry").locked;
        assert!(locked(("pwdAccountLockedTime", &["000001010000Z"])));
        assert!(locked(("nsaccountlock", &["TRUE"])));
        assert!(!locked(("pwdAccountLockedTime", &["20260101000000Z"])), "the bind shows this lock");
        assert!(!locked(("nsAccountLock", &["false"])));
    }
}
