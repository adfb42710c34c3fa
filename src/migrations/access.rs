//! Privileges of the role that serves: it reads and writes rows, and owns nothing.

use std::str::FromStr;

use sqlx::{AssertSqlSafe, PgPool};

/// The name of a role of PostgreSQL, in the form that needs no quotation marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role(String);

impl FromStr for Role {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (first, rest) = (text.bytes().next(), text.bytes().skip(1));
        let is_start = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        let is_name = first.is_some_and(is_start) && rest.clone().all(|byte| is_start(byte) || byte.is_ascii_digit());
        if is_name && text.len() <= 63 {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be 1 to 63 lowercase letters, digits and underscores, and not begin with a digit")
        }
    }
}

/// Lets a role read and write the rows of all tables, except the list of migrations, which it may read. To be repeated
/// after each migration: those may add tables.
pub async fn grant(pool: &PgPool, Role(role): &Role) -> sqlx::Result<()> {
    let grants = format!(
        "begin;
         grant usage on schema public to {role};
         grant select, insert, update, delete on all tables in schema public to {role};
         grant usage, select on all sequences in schema public to {role};
         revoke insert, update, delete on _sqlx_migrations from {role};
         commit"
    );
    // The form of the name is checked.
    sqlx::raw_sql(AssertSqlSafe(grants)).execute(pool).await?;
    tracing::info!(role, "the role may read and write");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_that_would_need_quotation_marks_is_refused() {
        assert!("uncloud_api".parse::<Role>().is_ok() && "_1".parse::<Role>().is_ok());
        for wrong in ["", "1a", "Api", "a-b", "a b", "a\"b", "a;drop table x", "é", &"a".repeat(64)] {
            assert!(wrong.parse::<Role>().is_err(), "{wrong}");
        }
    }
}
