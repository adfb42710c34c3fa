//! Options of the directory (LDAP).

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use clap::{ArgAction, Args, ValueHint};
use uncloud_wire::{
    Secret,
    program::{Failure, secret_or_file, switch},
};

use crate::accounts::{Directory, DirectorySettings};

/// The directory that checks the passwords of users without a local one.
#[derive(Debug, Clone, Default, Args)]
#[expect(clippy::struct_field_names, reason = "the options' names come from them")]
#[command(next_help_heading = "Directory (LDAP)")]
pub(super) struct LdapArgs {
    /// URL of the directory that knows the users, as in ldaps://ldap.example.ch [default: none, local users only].
    #[arg(long, env = "UNCLOUD_LDAP_URL", value_name = "URL", value_hint = ValueHint::Url)]
    ldap_url: Option<String>,
    /// Encrypt an ldap:// connection before anything else is sent.
    #[arg(long, env = "UNCLOUD_LDAP_STARTTLS", value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1,
        require_equals = true, default_value = "false", default_missing_value = "true", value_parser = switch)]
    ldap_starttls: bool,
    /// File with the certificates (PEM) to trust, and no others [default: those of the system].
    #[arg(long, env = "UNCLOUD_LDAP_CA_FILE", value_name = "FILE", value_hint = ValueHint::FilePath)]
    ldap_ca_file: Option<PathBuf>,
    /// Allow passwords to be sent to another machine unencrypted.
    #[arg(long, env = "UNCLOUD_LDAP_ALLOW_PLAINTEXT", value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1,
        require_equals = true, default_value = "false", default_missing_value = "true", value_parser = switch)]
    ldap_allow_plaintext: bool,
    /// DN that searches for users [default: none, an anonymous search].
    #[arg(long, env = "UNCLOUD_LDAP_BIND_DN", value_name = "DN")]
    ldap_bind_dn: Option<String>,
    /// Password of the bind DN.
    #[arg(long, env = "UNCLOUD_LDAP_BIND_PASSWORD", value_name = "PASSWORD")]
    ldap_bind_password: Option<Secret<String>>,
    /// File with the password of the bind DN.
    #[arg(long, env = "UNCLOUD_LDAP_BIND_PASSWORD_FILE", value_name = "FILE", value_hint = ValueHint::FilePath)]
    ldap_bind_password_file: Option<PathBuf>,
    /// DN below which users are searched for.
    #[arg(long, env = "UNCLOUD_LDAP_BASE_DN", value_name = "DN")]
    ldap_base_dn: Option<String>,
    /// Filter that finds a user's entry.
    #[arg(long, env = "UNCLOUD_LDAP_FILTER", default_value = "(uid={username})", value_name = "FILTER")]
    ldap_filter: String,
    /// Attribute that holds the user's name here, whatever name the filter found the entry by.
    #[arg(long, env = "UNCLOUD_LDAP_USERNAME_ATTRIBUTE", default_value = "uid", value_name = "NAME")]
    ldap_username_attribute: String,
    /// Filter for entries that may not sign in, besides those that the directory itself refuses or marks as locked.
    #[arg(long, env = "UNCLOUD_LDAP_LOCKED_FILTER", value_name = "FILTER")]
    ldap_locked_filter: Option<String>,
    /// DN of the group (member, uniqueMember or memberUid) whose members are staff.
    #[arg(long, env = "UNCLOUD_LDAP_STAFF_GROUP", value_name = "DN")]
    ldap_staff_group: Option<String>,
    /// Members of groups in the staff group are staff too.
    #[arg(long, env = "UNCLOUD_LDAP_NESTED_GROUPS", value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1,
        require_equals = true, default_value = "false", default_missing_value = "true", value_parser = switch)]
    ldap_nested_groups: bool,
    /// Longest time that the directory may take for a sign-in.
    #[arg(long, env = "UNCLOUD_LDAP_TIMEOUT", default_value = "5", value_name = "SECONDS")]
    ldap_timeout: u64,
}

/// Treats an empty value as not set.
#[expect(clippy::ref_option, reason = "the fields are options")]
fn set(text: &Option<String>) -> Option<String> {
    text.clone().filter(|text| !text.trim().is_empty())
}

impl LdapArgs {
    /// Returns the directory, if one is configured. Does not connect yet.
    pub(super) fn directory(&self) -> anyhow::Result<Option<Arc<Directory>>> {
        let Some(url) = set(&self.ldap_url) else {
            self.ensure_nothing_else()?;
            return Ok(None);
        };
        let bind_password = secret_or_file(
            "UNCLOUD_LDAP_BIND_PASSWORD",
            self.ldap_bind_password.clone(),
            self.ldap_bind_password_file.as_deref(),
        )?;
        let directory = Directory::new(DirectorySettings {
            url,
            starttls: self.ldap_starttls,
            ca_file: self.ldap_ca_file.clone().filter(|file| !file.as_os_str().is_empty()),
            allow_plaintext: self.ldap_allow_plaintext,
            bind_dn: set(&self.ldap_bind_dn),
            bind_password,
            base_dn: set(&self.ldap_base_dn).ok_or_else(|| {
                Failure::usage(
                    "UNCLOUD_LDAP_URL is set, so UNCLOUD_LDAP_BASE_DN must be, as in ou=users,dc=example,dc=ch",
                )
            })?,
            filter: self.ldap_filter.clone(),
            username_attribute: self.ldap_username_attribute.clone(),
            locked_filter: set(&self.ldap_locked_filter),
            staff_group: set(&self.ldap_staff_group),
            nested_groups: self.ldap_nested_groups,
            timeout: Duration::from_secs(self.ldap_timeout),
        });
        Ok(Some(Arc::new(directory.context(Failure::usage("the directory can't be used"))?)))
    }

    /// Fails if options are set without the URL: a half-configured directory is a mistake, and falling back to local
    /// users only would be a surprise.
    fn ensure_nothing_else(&self) -> anyhow::Result<()> {
        let others = [
            ("UNCLOUD_LDAP_BASE_DN", set(&self.ldap_base_dn).is_some()),
            ("UNCLOUD_LDAP_BIND_DN", set(&self.ldap_bind_dn).is_some()),
            ("UNCLOUD_LDAP_STAFF_GROUP", set(&self.ldap_staff_group).is_some()),
            ("UNCLOUD_LDAP_STARTTLS", self.ldap_starttls),
        ];
        for (name, is_set) in others {
            if is_set {
                return Err(Failure::usage(format!("{name} is set, but UNCLOUD_LDAP_URL is not")).into());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Example {
        #[command(flatten)]
        ldap: LdapArgs,
    }

    fn directory(args: &[&str]) -> Result<bool, String> {
        let args = Example::parse_from([&["example"], args].concat()).ldap;
        args.directory().map(|directory| directory.is_some()).map_err(|error| error.to_string())
    }

    #[test]
    fn directory_with_missing_options_is_refused() {
        let (url, base) = ("--ldap-url=ldap://localhost", "--ldap-base-dn=dc=test");
        assert_eq!(directory(&[]), Ok(false));
        assert_eq!(directory(&["--ldap-url", ""]), Ok(false), "empty counts as not set");
        assert_eq!(directory(&[url, base]), Ok(true));
        assert_eq!(directory(&["--ldap-url=ldap://ldap.example.ch", base, "--ldap-starttls"]), Ok(true));
        assert_eq!(directory(&["--ldap-url=ldap://ldap.example.ch", base, "--ldap-allow-plaintext=yes"]), Ok(true));
        for (args, named) in [(&[url][..], "UNCLOUD_LDAP_BASE_DN"), (&[base][..], "UNCLOUD_LDAP_URL")] {
            let error = directory(args).expect_err(named);
            assert!(error.contains(named), "{error}");
        }
    }
}
