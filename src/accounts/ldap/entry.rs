//! What an entry says about its user.

use ldap3::SearchEntry;

use crate::user::Username;

/// Password policy (draft-behera-ldap-password-policy): set on a locked entry.
const LOCKED_TIME: &str = "pwdAccountLockedTime";
/// Its value for a lock that only an administrator ends. With any other the lock may be over, which the directory
/// knows, since it also knows for how long it locks: the bind tells.
const LOCKED_FOR_GOOD: &str = "000001010000Z";
/// 389 Directory Server and FreeIPA.
const ACCOUNT_LOCK: &str = "nsAccountLock";

/// What to ask for.
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
    /// Nothing when the entry has no name that can be a user's.
    pub(super) fn new(entry: SearchEntry, username_attribute: &str) -> Option<Self> {
        let names = values(&entry, username_attribute);
        let username = own_name(&entry.dn, username_attribute, names).and_then(|name| name.parse().ok());
        let Some(username) = username else {
            tracing::warn!(
                dn = ?entry.dn,
                "the entry has no single {username_attribute} that can be a user name; it is not let in"
            );
            return None;
        };
        let locked = values(&entry, LOCKED_TIME).iter().any(|time| time == LOCKED_FOR_GOOD)
            || values(&entry, ACCOUNT_LOCK).iter().any(|lock| lock.eq_ignore_ascii_case("true"));
        Some(Self { username, locked, dn: entry.dn })
    }
}

/// Attribute names have no case.
fn values<'a>(entry: &'a SearchEntry, attribute: &str) -> &'a [String] {
    let named = entry.attrs.iter().find(|(name, _)| name.eq_ignore_ascii_case(attribute));
    named.map_or(&[], |(_, values)| values)
}

/// One person is one user, however many names the entry has: of several, the one in the DN counts.
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
    fn a_person_has_one_name_in_lower_case() {
        let name = |dn, names: &[&str]| entry(dn, &[("UID", names)]).map(|entry| entry.username.to_string());
        assert_eq!(name("cn=A,dc=test", &["Alice"]), Some("alice".into()));
        assert_eq!(name("uid=alice,dc=test", &["zoe", "alice"]), Some("alice".into()));
        assert_eq!(name("cn=A,dc=test", &["zoe", "alice"]), None);
        assert_eq!(name("cn=A,dc=test", &[]), None);
        assert_eq!(name("uid=a b,dc=test", &["a b"]), None);
    }

    #[test]
    fn locks_that_only_an_administrator_ends_are_seen() {
        let locked = |lock| entry("uid=a,dc=test", &[("uid", &["a"]), lock]).expect("an entry").locked;
        assert!(locked(("pwdAccountLockedTime", &["000001010000Z"])));
        assert!(locked(("nsaccountlock", &["TRUE"])));
        assert!(!locked(("pwdAccountLockedTime", &["20260101000000Z"])), "the bind tells");
        assert!(!locked(("nsAccountLock", &["false"])));
    }
}
