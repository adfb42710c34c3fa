//! A user's entry in the directory.

use ldap3::SearchEntry;

use super::dn;
use crate::user::Username;

/// The attribute of a locked entry in the password policy (draft-behera-ldap-password-policy).
const LOCKED_TIME: &str = "pwdAccountLockedTime";
/// The value of a lock that only an administrator ends. A lock with any other value may have expired, which only the
/// directory knows, since it has the duration of locks: the bind shows it.
const LOCKED_FOR_GOOD: &str = "000001010000Z";
/// The attribute of locked entries in 389 Directory Server and FreeIPA.
const ACCOUNT_LOCK: &str = "nsAccountLock";

/// The attributes that identify an entry for ever, of which the first that it has counts: of most directories (RFC 4530), Active
/// Directory, 389 Directory Server and FreeIPA. Another entry with the same name has another value.
const IDS: [&str; 4] = ["entryUUID", "objectGUID", "nsUniqueId", "ipaUniqueID"];

/// Returns the attributes to request.
pub(super) fn attributes(username_attribute: &str) -> Vec<&str> {
    [&[username_attribute, LOCKED_TIME, ACCOUNT_LOCK][..], &IDS].concat()
}

/// A user's entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub dn: String,
    /// The name as the entry has it.
    pub name: String,
    pub username: Username,
    /// The identifier, if the entry has one.
    pub id: Option<String>,
    pub locked: bool,
}

impl Entry {
    /// Reads an entry. Returns none if the entry does not have a valid user name.
    pub(super) fn new(entry: SearchEntry, username_attribute: &str) -> Option<Self> {
        let names = values(&entry, username_attribute);
        let name = own_name(&entry.dn, username_attribute, names);
        let Some((name, username)) = name.and_then(|name| Some((name.clone(), name.parse().ok()?))) else {
            tracing::warn!(
                dn = ?entry.dn,
                "the entry does not have a single {username_attribute} that is a valid user name; login refused"
            );
            return None;
        };
        let locked = values(&entry, LOCKED_TIME).iter().any(|time| time == LOCKED_FOR_GOOD)
            || values(&entry, ACCOUNT_LOCK).iter().any(|lock| lock.eq_ignore_ascii_case("true"));
        let id = IDS.iter().find_map(|attribute| id(&entry, attribute));
        Some(Self { name, username, id, locked, dn: entry.dn })
    }
}

/// Returns an identifier as text: as it is, or the hexadecimal digits of its bytes.
fn id(entry: &SearchEntry, attribute: &str) -> Option<String> {
    let is_plain =
        |id: &&String| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') && id.len() <= 100;
    let hex = |bytes: &[u8]| bytes.iter().take(50).fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let binary = entry.bin_attrs.iter().find(|(name, _)| name.eq_ignore_ascii_case(attribute));
    match values(entry, attribute).first() {
        Some(text) => Some(Some(text).filter(is_plain).cloned().unwrap_or_else(|| hex(text.as_bytes()))),
        None => binary.and_then(|(_, values)| values.first()).map(|bytes| hex(bytes)),
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
            let first = dn::parse(dn)?.into_iter().next()?;
            let (_, value) = first.into_iter().find(|(named_by, _)| named_by.eq_ignore_ascii_case(attribute))?;
            names.iter().find(|name| name.eq_ignore_ascii_case(&value))
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
        assert_eq!(name("cn=A+uid=\\61lice,dc=test", &["zoe", "Alice"]), Some("alice".into()));
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
